"""Advantage actor-critic with a memory that spans episodes (RL^2, Duan et al. 2016).

The agent of nas-dmrl (2019, section 4.1) for one member. Back-propagation is truncated:
an update learns from the last n decisions, from the memory with which they began.

Shapes: `T` decisions of an update at most, `I` numbers that are seen, `A` actions.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from bgpbt.networks.recurrent import Memory, RecurrentActorCritic
from bgpbt.space import Categorical, Float, SearchSpace
from bgpbt.types import Array, Hyperparams, Key, PyTree

STEP_COUNTS = (5, 10, 20)  # n
LONGEST = max(STEP_COUNTS)  # T
SHORTEST = min(STEP_COUNTS)
VALUE_WEIGHT = 0.5
MAX_GRADIENT = 0.5  # global norm
SPACE: SearchSpace = {
    "learning_rate": Float(1e-5, 1e-1, 1e-3, log=True, least=0),
    "entropy_cost": Float(1e-4, 1.0, 1e-2, log=True, least=0),
    "discounting": Float(
        0.5, 0.999, 0.9, complement=True, log_complement=True, least=0, most=1
    ),
    "num_steps": Categorical(STEP_COUNTS, 0),
}


class Happened(NamedTuple):
    """What a decision led to."""

    reward: Array  # []
    over: Array  # [] bool, of the episode
    trial_over: Array  # [] bool: another problem begins, and nothing is remembered


class World(NamedTuple):
    """What an agent acts in, one trial after the other; `place` is where it stands."""

    actions: int  # A
    input_size: int  # I
    begin: Callable[[Key], PyTree]  # -> place
    seen: Callable[[PyTree], Array]  # place -> [I]
    # (key, place, action [] int32) -> the next place, and what happened
    decide: Callable[[Key, PyTree, Array], tuple[PyTree, Happened]]


class Step(NamedTuple):
    """A decision, as far as something is learnt from it."""

    seen: Array  # [I]
    action: Array  # [] int32
    value: Array  # [], expected when it was taken
    happened: Happened


class Acting(NamedTuple):
    """An agent in the world."""

    place: PyTree
    memory: Memory


def begin(network: RecurrentActorCritic, world: World, key: Key) -> Acting:
    """Before the first decision of a trial."""
    return Acting(world.begin(key), network.nothing())


def optimizer() -> optax.GradientTransformation:
    """RMSProp as TensorFlow 1 has it, without the learning rate."""
    rms = optax.scale_by_rms(decay=0.99, eps=1e-5, initial_scale=1.0, eps_in_sqrt=True)
    return optax.chain(optax.clip_by_global_norm(MAX_GRADIENT), rms)


def take_step(
    network: RecurrentActorCritic,
    world: World,
    params: PyTree,
    acting: Acting,
    key: Key,
) -> tuple[Acting, Step]:
    """Decides once; the action is always sampled."""
    chosen, moved, begun = jax.random.split(key, 3)
    seen = world.seen(acting.place)
    memory, logits, value = network.step(params, acting.memory, seen)
    action = jax.random.categorical(chosen, logits).astype(jnp.int32)
    place, happened = world.decide(moved, acting.place, action)
    fresh = begin(network, world, begun)
    following = jax.tree.map(
        lambda new, old: jnp.where(happened.trial_over, new, old),
        fresh,
        Acting(place, memory),
    )
    return following, Step(seen, action, value, happened)


class Learner(NamedTuple):
    """What is learnt, and by whom."""

    params: PyTree
    moments: PyTree
    acting: Acting


def update(
    network: RecurrentActorCritic,
    world: World,
    hyperparams: Hyperparams,
    learner: Learner,
    key: Key,
) -> tuple[Learner, tuple[Array, Step]]:
    """Makes T decisions, and learns after every n of them.

    Returns:
      The learner; the mean loss `[]`, and the decisions, each with a first axis T.
    """
    count = jnp.asarray(STEP_COUNTS)[hyperparams["num_steps"]]
    act = partial(take_step, network, world)
    chunks = LONGEST // SHORTEST
    memories = jax.tree.map(
        lambda x: jnp.zeros((LONGEST, *x.shape)), learner.acting.memory
    )
    first = jax.eval_shape(act, learner.params, learner.acting, key)[1]
    steps = jax.tree.map(lambda x: jnp.zeros((LONGEST, *x.shape), x.dtype), first)

    def chunk(state: tuple, number: Array) -> tuple[tuple, Array]:
        learner, steps, memories = state
        keys = jax.random.split(jax.random.fold_in(key, number), SHORTEST)

        def decide(acting: Acting, key: Key) -> tuple[Acting, tuple[Step, Memory]]:
            following, step = act(learner.params, acting, key)
            return following, (step, acting.memory)

        acting, new = jax.lax.scan(decide, learner.acting, keys)
        place = number * SHORTEST
        steps, memories = jax.tree.map(
            lambda all_, x: jax.lax.dynamic_update_slice_in_dim(all_, x, place, 0),
            (steps, memories),
            new,
        )
        learner = learner._replace(acting=acting)
        end = place + SHORTEST
        learnt, loss = jax.lax.cond(
            end % count == 0,
            partial(_learn, network, world, hyperparams, count),
            lambda learner, *_: (learner, jnp.zeros(())),
            learner,
            steps,
            memories,
            end,
        )
        return (learnt, steps, memories), loss

    state = learner, steps, memories
    (learner, steps, _), losses = jax.lax.scan(chunk, state, jnp.arange(chunks))
    return learner, (losses.sum() * count / LONGEST, steps)


def _learn(
    network: RecurrentActorCritic,
    world: World,
    hyperparams: Hyperparams,
    count: Array,
    learner: Learner,
    steps: Step,
    memories: Memory,
    end: Array,
) -> tuple[Learner, Array]:
    """One gradient step from the `count` decisions before `end`."""
    begin = end - count
    window = jax.tree.map(lambda x: jnp.roll(x, -begin, axis=0), steps)
    memory = jax.tree.map(lambda x: x[begin], memories)
    learner_memory, seen = learner.acting.memory, world.seen(learner.acting.place)
    _, _, next_value = network.step(learner.params, learner_memory, seen)
    used = jnp.arange(LONGEST) < count
    targets = n_step_returns(
        window.happened, next_value, hyperparams["discounting"], used
    )
    loss, gradient = jax.value_and_grad(_loss, argnums=1)(
        network, learner.params, memory, window, targets, used, hyperparams
    )
    updates, moments = optimizer().update(gradient, learner.moments)
    rate = hyperparams["learning_rate"]
    updates = jax.tree.map(lambda x: -rate * x, updates)
    params = optax.apply_updates(learner.params, updates)
    return learner._replace(params=params, moments=moments), loss


def n_step_returns(
    happened: Happened, next_value: Array, discounting: Array, used: Array
) -> Array:
    """Discounted rewards to the end of the window or of the episode, `[T]`.

    Args:
      happened: each with a first axis T.
      next_value: of what is seen after the window, `[]`.
      discounting: `[]`.
      used: `[T]` bool, the decisions of the window; they come first.
    """

    def step(after: Array, now: tuple) -> tuple[Array, Array]:
        reward, over, is_used = now
        value = reward + discounting * jnp.where(over, 0.0, after)
        value = jnp.where(is_used, value, after)
        return value, value

    each = happened.reward, happened.over, used
    _, targets = jax.lax.scan(step, next_value, each, reverse=True)
    return targets


def _loss(
    network: RecurrentActorCritic,
    params: PyTree,
    memory: Memory,
    window: Step,
    targets: Array,
    used: Array,
    hyperparams: Hyperparams,
) -> Array:
    """A2C: policy gradient, entropy, squared error of the values."""

    def step(memory: Memory, now: Step) -> tuple[Memory, tuple[Array, Array]]:
        memory, logits, value = network.step(params, memory, now.seen)
        memory = jax.tree.map(
            lambda x, nothing: jnp.where(now.happened.trial_over, nothing, x),
            memory,
            network.nothing(),
        )
        return memory, (logits, value)

    _, (logits, values) = jax.lax.scan(step, memory, window)
    log_probs = jax.nn.log_softmax(logits)
    chosen = jnp.take_along_axis(log_probs, window.action[:, None], axis=1)[:, 0]
    entropy = -jnp.sum(jnp.exp(log_probs) * log_probs, axis=1)
    advantage = targets - window.value
    each = (
        -advantage * chosen
        - hyperparams["entropy_cost"] * entropy
        + VALUE_WEIGHT * (targets - values) ** 2
    )
    return jnp.mean(each, where=used)
