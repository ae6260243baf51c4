"""Who designs: what an agent acts in, and what every kind of agent can do.

Shapes: `T` decisions of an update, `I` numbers that are seen, `A` actions.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from bgpbt.space import SearchSpace
from bgpbt.types import Array, Hyperparams, Key, PyTree

# Decisions between two looks of the engine at its agents, and so a multiple of all that
# agents learn from at once.
DECISIONS = 20  # T


class Happened(NamedTuple):
    """What a decision led to."""

    reward: Array  # []
    over: Array  # [] bool, of the episode
    trial_over: Array  # [] bool: another problem begins, and nothing is remembered
    note: PyTree = ()  # what nobody learns from


class World(NamedTuple):
    """What an agent acts in, one trial after the other; `place` is where it stands."""

    actions: int  # A
    input_size: int  # I
    begin: Callable[[Key], PyTree]  # -> place
    seen: Callable[[PyTree], Array]  # place -> [I]
    # (key, place, action [] int32) -> the next place, and what happened
    decide: Callable[[Key, PyTree, Array], tuple[PyTree, Happened]]


class Step(NamedTuple):
    """A decision."""

    seen: Array  # [I]
    action: Array  # [] int32
    value: Array  # [], expected when it was taken; 0 where nothing is expected
    entropy: Array  # [] nats, of the policy that it was drawn from
    happened: Happened


class Acting(NamedTuple):
    """An agent in the world."""

    place: PyTree
    memory: PyTree = ()  # of what happened in the trial, within the network


class Learner(NamedTuple):
    """An agent that learns."""

    params: PyTree
    moments: PyTree
    acting: Acting
    experience: PyTree = ()  # decisions that it learns from again
    averages: PyTree = ()  # a target network


class Designer(NamedTuple):
    """A kind of agent, in its world."""

    space: SearchSpace
    init: Callable[[Key], Learner]
    begin: Callable[[Key], Acting]  # before the first decision of a trial
    # Makes T decisions and learns; the mean loss [], and the decisions, [T].
    update: Callable[[Hyperparams, Learner, Key], tuple[Learner, tuple[Array, Step]]]
    # Decides once and learns nothing.
    decide: Callable[[Hyperparams, PyTree, Acting, Key], tuple[Acting, Step]]


def gradient_step(
    optimizer: optax.GradientTransformation,
    learner: Learner,
    gradient: PyTree,
    learning_rate: Array,
) -> tuple[PyTree, PyTree]:
    """New weights and moments.

    Args:
      optimizer: without a learning rate.
      learner: before.
      gradient: of the loss, as its weights.
      learning_rate: `[]`.
    """
    updates, moments = optimizer.update(gradient, learner.moments)
    updates = jax.tree.map(lambda x: -learning_rate * x, updates)
    return optax.apply_updates(learner.params, updates), moments


def only_decide(
    decide: Callable[[Hyperparams, PyTree, Acting, Key], tuple[Acting, Step]],
) -> Callable[[Hyperparams, Learner, Key], tuple[Learner, tuple[Array, Step]]]:
    """The `update` of an agent that makes T decisions and learns nothing from them."""

    def update(
        hyperparams: Hyperparams, learner: Learner, key: Key
    ) -> tuple[Learner, tuple[Array, Step]]:
        def one(acting: Acting, key: Key) -> tuple[Acting, Step]:
            return decide(hyperparams, learner.params, acting, key)

        keys = jax.random.split(key, DECISIONS)
        acting, steps = jax.lax.scan(one, learner.acting, keys)
        return learner._replace(acting=acting), (jnp.zeros(()), steps)

    return update
