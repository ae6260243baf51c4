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
from bgpbt.tasks.nas.designer import (
    DECISIONS,
    Acting,
    Designer,
    Happened,
    Learner,
    Step,
    World,
    gradient_step,
)
from bgpbt.types import Array, Hyperparams, Key, PyTree

STEP_COUNTS = (5, 10, 20)  # n
SHORTEST = min(STEP_COUNTS)
VALUE_WEIGHT = 0.5
MAX_GRADIENT = 0.5  # global norm
SPACE: SearchSpace = {
    "learning_rate": Float(1e-4, 3e-2, 1e-3, log=True, least=0),
    "entropy_cost": Float(1e-3, 1e-1, 1e-2, log=True, least=0),
    "discounting": Float(
        0.5, 0.999, 0.9, complement=True, log_complement=True, least=0, most=1
    ),
    "num_steps": Categorical(STEP_COUNTS, 0),
}


def _as_seen(window: Step, targets: Array) -> Array:
    return window.seen


class Agent(NamedTuple):
    """What does not change while an agent learns."""

    network: RecurrentActorCritic
    world: World
    greedy: bool = False  # the likeliest action in the place of a drawn one
    # What the published code does in place of what the paper says: the memory is
    # cleared after every episode, ...
    forgets: bool = False
    # ... and the network learns from other inputs than it has acted on:
    # (decisions [T], targets [T]) -> [T, I].
    learnt_from: Callable[[Step, Array], Array] = _as_seen


def meta_a2c(agent: Agent) -> Designer:
    """The agent as a `Designer`."""
    return Designer(
        space=SPACE,
        init=partial(init, agent),
        begin=partial(begin, agent),
        update=partial(update, agent),
        decide=lambda hyperparams, params, acting, key: take_step(
            agent, params, acting, key
        ),
    )


def begin(agent: Agent, key: Key) -> Acting:
    """Before the first decision of a trial."""
    return Acting(agent.world.begin(key), agent.network.nothing())


def init(agent: Agent, key: Key) -> Learner:
    """Draws an agent that has learnt nothing."""
    drawn, begun = jax.random.split(key)
    inputs = jnp.zeros(agent.world.input_size)
    params = agent.network.init(drawn, agent.network.nothing(), inputs)
    return Learner(params, optimizer().init(params), begin(agent, begun))


def optimizer() -> optax.GradientTransformation:
    """RMSProp as TensorFlow 1 has it, without the learning rate."""
    rms = optax.scale_by_rms(decay=0.99, eps=1e-5, initial_scale=1.0, eps_in_sqrt=True)
    return optax.chain(optax.clip_by_global_norm(MAX_GRADIENT), rms)


def take_step(
    agent: Agent, params: PyTree, acting: Acting, key: Key
) -> tuple[Acting, Step]:
    """Decides once."""
    chosen, moved, begun = jax.random.split(key, 3)
    seen = agent.world.seen(acting.place)
    memory, logits, value = agent.network.step(params, acting.memory, seen)
    drawn = jax.random.categorical(chosen, logits)
    action = (logits.argmax() if agent.greedy else drawn).astype(jnp.int32)
    place, happened = agent.world.decide(moved, acting.place, action)
    following = Acting(place, _kept(agent, happened, memory))
    following = jax.tree.map(
        lambda new, old: jnp.where(happened.trial_over, new, old),
        begin(agent, begun),
        following,
    )
    return following, Step(seen, action, value, _entropy(logits), happened)


def _kept(agent: Agent, happened: Happened, memory: Memory) -> Memory:
    """What is remembered after a decision."""
    forgotten = happened.over if agent.forgets else happened.trial_over
    return jax.tree.map(
        lambda nothing, x: jnp.where(forgotten, nothing, x),
        agent.network.nothing(),
        memory,
    )


def _entropy(logits: Array) -> Array:
    log_probs = jax.nn.log_softmax(logits)
    return -jnp.sum(jnp.exp(log_probs) * log_probs, axis=-1)


def update(
    agent: Agent, hyperparams: Hyperparams, learner: Learner, key: Key
) -> tuple[Learner, tuple[Array, Step]]:
    """Makes T decisions, and learns after every n of them.

    Returns:
      The learner; the mean loss `[]`, and the decisions, each with a first axis T.
    """
    count = jnp.asarray(STEP_COUNTS)[hyperparams["num_steps"]]
    act = partial(take_step, agent)
    chunks = DECISIONS // SHORTEST
    memories = jax.tree.map(
        lambda x: jnp.zeros((DECISIONS, *x.shape)), learner.acting.memory
    )
    first = jax.eval_shape(act, learner.params, learner.acting, key)[1]
    steps = jax.tree.map(lambda x: jnp.zeros((DECISIONS, *x.shape), x.dtype), first)

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
        learns = end % count == 0
        params, moments, loss = jax.lax.cond(
            learns,
            lambda: _learn(agent, hyperparams, count, learner, steps, memories, end),
            lambda: (learner.params, learner.moments, jnp.zeros(())),
        )
        learner = learner._replace(params=params, moments=moments)
        return (learner, steps, memories), loss

    state = learner, steps, memories
    (learner, steps, _), losses = jax.lax.scan(chunk, state, jnp.arange(chunks))
    return learner, (losses.sum() * count / DECISIONS, steps)


def _next_value(agent: Agent, learner: Learner) -> Array:
    """The value of what is seen now, `[]`."""
    seen = agent.world.seen(learner.acting.place)
    return agent.network.step(learner.params, learner.acting.memory, seen)[2]


def _learn(
    agent: Agent,
    hyperparams: Hyperparams,
    count: Array,
    learner: Learner,
    steps: Step,
    memories: Memory,
    end: Array,
) -> tuple[PyTree, PyTree, Array]:
    """One gradient step from the `count` decisions before `end`.

    Returns:
      Weights, moments and the loss.
    """
    begin = end - count
    window = jax.tree.map(lambda x: jnp.roll(x, -begin, axis=0), steps)
    memory = jax.tree.map(lambda x: x[begin], memories)
    used = jnp.arange(DECISIONS) < count
    targets = n_step_returns(
        window.happened, _next_value(agent, learner), hyperparams["discounting"], used
    )
    loss, gradient = jax.value_and_grad(_loss, argnums=1)(
        agent, learner.params, memory, window, targets, used, hyperparams
    )
    rate = hyperparams["learning_rate"]
    return *gradient_step(optimizer(), learner, gradient, rate), loss


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
    agent: Agent,
    params: PyTree,
    memory: Memory,
    window: Step,
    targets: Array,
    used: Array,
    hyperparams: Hyperparams,
) -> Array:
    """A2C: policy gradient, entropy, squared error of the values."""

    def step(memory: Memory, now: tuple) -> tuple[Memory, tuple[Array, Array]]:
        seen, happened = now
        memory, logits, value = agent.network.step(params, memory, seen)
        return _kept(agent, happened, memory), (logits, value)

    # What was noted is not needed, and may be large.
    happened = window.happened._replace(note=())
    inputs = agent.learnt_from(window, targets), happened
    _, (logits, values) = jax.lax.scan(step, memory, inputs)
    log_probs = jax.nn.log_softmax(logits)
    chosen = jnp.take_along_axis(log_probs, window.action[:, None], axis=1)[:, 0]
    advantage = targets - window.value
    each = (
        -advantage * chosen
        - hyperparams["entropy_cost"] * _entropy(logits)
        + VALUE_WEIGHT * (targets - values) ** 2
    )
    return jnp.mean(each, where=used)
