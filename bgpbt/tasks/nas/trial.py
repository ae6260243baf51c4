"""A trial: an agent designs one network after the other on one data set.

What an episode leaves behind is the agent's memory alone; the design begins anew.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from bgpbt.tasks.nas.design import (
    Design,
    Rules,
    act,
    empty,
    observation_size,
    observe,
    over,
)
from bgpbt.types import Array, PyTree

# (found, design) -> what the design is worth, in [0, 1], and what has been found then
Worth = Callable[[PyTree, Design], tuple[Array, PyTree]]


class Trial(NamedTuple):
    """Where an agent stands between two decisions."""

    design: Design
    action: Array  # [] int32, the last one; 0 before the first
    reward: Array  # [] of the last one; 0 before the first


class Decided(NamedTuple):
    """What a decision led to."""

    reward: Array  # []
    over: Array  # [] bool, the episode has ended with it
    design: Design  # after it, before another one begins


def begin(rules: Rules) -> Trial:
    """Before the first decision of a trial."""
    return Trial(empty(rules), jnp.zeros((), jnp.int32), jnp.zeros(()))


def input_size(rules: Rules) -> int:
    """I: 260 for chains of ten layers, 376 with branches."""
    return observation_size(rules) + rules.actions.number + 2


def seen(rules: Rules, trial: Trial) -> Array:
    """What an agent sees: the design, its last action and reward, and the step.

    Nas-dmrl (2019, section 4.1), after RL^2 (Duan et al. 2016). Shape `[I]`.
    """
    last = jax.nn.one_hot(trial.action, rules.actions.number)
    numbers = jnp.stack([trial.reward, trial.design.steps.astype(jnp.float32)])
    return jnp.concatenate([observe(rules, trial.design), last, numbers])


def decide(
    rules: Rules,
    worth: Worth,
    move_factor: float,
    found: PyTree,
    trial: Trial,
    action: Array,
) -> tuple[Trial, Decided, PyTree]:
    """Takes a decision, and begins another design where the episode has ended.

    Args:
      rules: of designs.
      worth: what a design is worth.
      move_factor: of the reward of an action that moves a pointer (sigma).
      found: what `worth` has found so far.
      trial: before.
      action: `[]` int32.
    """
    design = act(rules, trial.design, action)
    moves = action >= len(rules.actions.layers)
    value, found = worth(found, design)
    earned = jnp.where(moves, move_factor, 1.0) * value
    reward = jnp.where(design.buildable & design.inside, earned, 0.0)
    ended = over(rules, design)
    following = jax.tree.map(
        lambda new, old: jnp.where(ended, new, old), empty(rules), design
    )
    decided = Decided(reward, ended, design)
    return Trial(following, action, reward), decided, found


def as_the_reference_learns(seen: Array, over: Array, targets: Array) -> Array:
    """The inputs that nas-dmrl's code learns from, which are not those it acted on.

    In the place of the last reward stands the discounted return before, in that of the
    step the number of steps after the decision.

    Args:
      seen: when it acted, `[T, I]`.
      over: whether the episode ended then, `[T]`.
      targets: discounted returns, `[T]`.
    """
    rewards = jnp.concatenate([seen[:1, -2], targets[:-1]])
    steps = jnp.where(over, 0, seen[:, -1] + 1)
    return seen.at[:, -2].set(rewards).at[:, -1].set(steps)
