"""Double deep Q-learning with a dueling network (van Hasselt et al. 2016).

The baseline of nas-dmrl (2019), which had it from OpenAI's baselines: a uniform replay,
no memory within the network, and epsilon-greedy actions whose epsilon falls from 1.

Shapes: `T` decisions of an update, `R` decisions of the replay, `N` of a minibatch,
`I` numbers that are seen, `A` actions.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from bgpbt.networks.dueling import DuelingNetwork
from bgpbt.space import Float, SearchSpace
from bgpbt.tasks.nas.designer import (
    DECISIONS,
    Acting,
    Designer,
    Learner,
    Step,
    World,
    gradient_step,
)
from bgpbt.types import Array, Hyperparams, Key, PyTree

LEARNING_STARTS = 1001  # decisions before the first gradient step
TARGET_PERIOD = 100  # decisions from one copy of the target network to the next
BATCH_SIZE = 20  # N
MAX_GRADIENT = 10.0  # norm of each array
SPACE: SearchSpace = {
    "learning_rate": Float(1e-5, 1e-2, 5e-4, log=True, least=0),
    "discounting": Float(0.5, 1.0, 1.0, complement=True, least=0, most=1),
    # Share of random actions in the last decision.
    "exploration": Float(0.01, 0.5, 0.1, log=True, least=0, most=1),
}


class Replay(NamedTuple):
    """What has happened, the oldest is written over."""

    seen: Array  # [R, I] bool
    following: Array  # [R, I] bool, what was seen then
    action: Array  # [R] int32
    reward: Array  # [R]
    over: Array  # [R] bool
    decisions: Array  # [] int32, in all


class Agent(NamedTuple):
    """What does not change while an agent learns."""

    network: DuelingNetwork
    world: World  # what is seen are zeros and ones
    horizon: int  # decisions after which epsilon has fallen to the end
    greedy: bool = True  # without learning; else epsilon is that of the end

    @property
    def capacity(self) -> int:
        """R, as in the reference."""
        return max(self.horizon // 2, BATCH_SIZE)


def dqn(agent: Agent) -> Designer:
    """The agent as a `Designer`."""

    def decide(
        hyperparams: Hyperparams, params: PyTree, acting: Acting, key: Key
    ) -> tuple[Acting, Step]:
        epsilon = jnp.zeros(()) if agent.greedy else hyperparams["exploration"]
        return take_step(agent, params, acting, key, epsilon)

    return Designer(
        space=SPACE,
        init=partial(init, agent),
        begin=lambda key: Acting(agent.world.begin(key)),
        update=partial(update, agent),
        decide=decide,
    )


def init(agent: Agent, key: Key) -> Learner:
    """Draws an agent that has learnt nothing."""
    drawn, begun = jax.random.split(key)
    size = agent.world.input_size
    params = agent.network.init(drawn, jnp.zeros(size))
    shape = agent.capacity, size
    replay = Replay(
        seen=jnp.zeros(shape, bool),
        following=jnp.zeros(shape, bool),
        action=jnp.zeros(agent.capacity, jnp.int32),
        reward=jnp.zeros(agent.capacity),
        over=jnp.zeros(agent.capacity, bool),
        decisions=jnp.zeros((), jnp.int32),
    )
    acting = Acting(agent.world.begin(begun))
    moments = optimizer().init(params)
    return Learner(params, moments, acting, experience=replay, averages=params)


def optimizer() -> optax.GradientTransformation:
    """Adam without the learning rate."""
    return optax.chain(_clip_each(), optax.scale_by_adam(eps=1e-8))


def _clip_each() -> optax.GradientTransformation:
    """Scales every array down to a norm of at most `MAX_GRADIENT`."""

    def clip(x: Array) -> Array:
        norm = jnp.sqrt(jnp.sum(x**2))
        return x * jnp.minimum(1.0, MAX_GRADIENT / jnp.maximum(norm, 1e-12))

    return optax.stateless(lambda updates, params: jax.tree.map(clip, updates))


def take_step(
    agent: Agent, params: PyTree, acting: Acting, key: Key, epsilon: Array
) -> tuple[Acting, Step]:
    """Decides once: at random with probability `epsilon`, else for the best."""
    explores, drawn, moved = jax.random.split(key, 3)
    seen = agent.world.seen(acting.place)
    values = agent.network.values(params, seen)
    best = values.argmax()
    drawn = jax.random.randint(drawn, (), 0, agent.world.actions)
    action = jnp.where(jax.random.uniform(explores) < epsilon, drawn, best)
    place, happened = agent.world.decide(moved, acting.place, action)
    other = epsilon / agent.world.actions
    probabilities = jnp.full(agent.world.actions, other).at[best].add(1 - epsilon)
    entropy = jax.scipy.special.entr(probabilities).sum()
    return Acting(place), Step(seen, action, values.max(), entropy, happened)


def update(
    agent: Agent, hyperparams: Hyperparams, learner: Learner, key: Key
) -> tuple[Learner, tuple[Array, Step]]:
    """Makes T decisions, and learns after each once there are enough.

    Returns:
      The learner; the mean loss `[]`, and the decisions, each with a first axis T.
    """

    def one(learner: Learner, key: Key) -> tuple[Learner, tuple[Array, Step]]:
        deciding, learning = jax.random.split(key)
        replay: Replay = learner.experience
        fallen = jnp.minimum(replay.decisions / agent.horizon, 1.0)
        epsilon = 1 + fallen * (hyperparams["exploration"] - 1)
        acting, step = take_step(
            agent, learner.params, learner.acting, deciding, epsilon
        )
        replay = _remember(replay, step, agent.world.seen(acting.place))
        learner = learner._replace(acting=acting, experience=replay)
        params, moments, loss = jax.lax.cond(
            replay.decisions > LEARNING_STARTS,
            lambda: _learn(agent, hyperparams, learner, learning),
            lambda: (learner.params, learner.moments, jnp.zeros(())),
        )
        copies = replay.decisions % TARGET_PERIOD == 0
        averages = jax.tree.map(
            lambda new, old: jnp.where(copies, new, old), params, learner.averages
        )
        learner = learner._replace(params=params, moments=moments, averages=averages)
        return learner, (loss, step)

    keys = jax.random.split(key, DECISIONS)
    learner, (losses, steps) = jax.lax.scan(one, learner, keys)
    return learner, (losses.mean(), steps)


def _remember(replay: Replay, step: Step, following: Array) -> Replay:
    place = replay.decisions % len(replay.action)
    return Replay(
        seen=replay.seen.at[place].set(step.seen > 0),
        following=replay.following.at[place].set(following > 0),
        action=replay.action.at[place].set(step.action),
        reward=replay.reward.at[place].set(step.happened.reward),
        over=replay.over.at[place].set(step.happened.over),
        decisions=replay.decisions + 1,
    )


def _learn(
    agent: Agent, hyperparams: Hyperparams, learner: Learner, key: Key
) -> tuple[PyTree, PyTree, Array]:
    """One gradient step. Returns weights, moments and the loss."""
    replay: Replay = learner.experience
    filled = jnp.minimum(replay.decisions, len(replay.action))
    chosen = jax.random.randint(key, (BATCH_SIZE,), 0, filled)
    batch = Replay(*(x[chosen] for x in replay[:-1]), decisions=replay.decisions)
    targets = _targets(agent, hyperparams["discounting"], learner, batch)

    def mean_loss(params: PyTree) -> Array:
        values = agent.network.values(params, batch.seen.astype(jnp.float32))
        taken = jnp.take_along_axis(values, batch.action[:, None], axis=1)[:, 0]
        return optax.huber_loss(taken, targets).mean()

    loss, gradient = jax.value_and_grad(mean_loss)(learner.params)
    rate = hyperparams["learning_rate"]
    return *gradient_step(optimizer(), learner, gradient, rate), loss


def _targets(
    agent: Agent, discounting: Array, learner: Learner, batch: Replay
) -> Array:
    """Rewards and what the target network expects of the best next action, `[N]`."""
    following = batch.following.astype(jnp.float32)
    best = agent.network.values(learner.params, following).argmax(axis=1)
    values = agent.network.values(learner.averages, following)
    expected = jnp.take_along_axis(values, best[:, None], axis=1)[:, 0]
    return batch.reward + discounting * jnp.where(batch.over, 0.0, expected)
