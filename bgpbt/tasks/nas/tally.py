"""What a designer's episodes gave: what members are ranked by, and what people look at.

Shapes: `T` decisions of an update, `E` episodes, `A` actions.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from bgpbt.tasks.nas.designer import Step
from bgpbt.types import Array


class Note(NamedTuple):
    """What is counted of a design beside its reward, each `[]` bool."""

    buildable: Array
    branched: Array  # and buildable


class Running(NamedTuple):
    """The episode that has not ended yet."""

    gained: Array  # [] sum of its rewards
    best: Array  # [] its highest reward
    length: Array  # [] int32, decisions


class Tally(NamedTuple):
    """Of a round, or of an evaluation."""

    returns: Array  # [E] of the last episodes that ended, NaN where none did
    best: Array  # [E] the highest reward of each
    lengths: Array  # [E] float32, decisions of each
    episodes: Array  # [] int32, that ended
    actions: Array  # [A] how often each was chosen
    entropy: Array  # [] sum of all decisions
    judged: Array  # [] int32, designs that could be built
    branched: Array  # [] int32, of which so many had branches


def nothing_yet() -> Running:
    """Before the first decision of an episode."""
    return Running(jnp.zeros(()), jnp.zeros(()), jnp.zeros((), jnp.int32))


def empty(episodes: int, actions: int) -> Tally:
    """Before the first decision. `episodes`: E, `actions`: A."""
    nan = jnp.full(episodes, jnp.nan)
    zero = jnp.zeros((), jnp.int32)
    return Tally(nan, nan, nan, zero, jnp.zeros(actions), jnp.zeros(()), zero, zero)


def add(running: Running, tally: Tally, step: Step) -> tuple[Running, Tally]:
    """Counts a decision, whose note is a `Note`."""
    reward, over = step.happened.reward, step.happened.over
    running = Running(
        gained=running.gained + reward,
        best=jnp.maximum(running.best, reward),
        length=running.length + 1,
    )
    size = len(tally.returns)
    place = jnp.where(over, tally.episodes % size, size)
    tally = Tally(
        returns=tally.returns.at[place].set(running.gained, mode="drop"),
        best=tally.best.at[place].set(running.best, mode="drop"),
        lengths=tally.lengths.at[place].set(running.length, mode="drop"),
        episodes=tally.episodes + over,
        actions=tally.actions.at[step.action].add(1),
        entropy=tally.entropy + step.entropy,
        judged=tally.judged + step.happened.note.buildable,
        branched=tally.branched + step.happened.note.branched,
    )
    return jax.tree.map(
        lambda new, old: jnp.where(over, new, old), nothing_yet(), running
    ), tally


def add_all(running: Running, tally: Tally, steps: Step) -> tuple[Running, Tally]:
    """Counts decisions one after the other, `[T]` each."""

    def one(state: tuple[Running, Tally], step: Step) -> tuple[tuple, None]:
        return add(state[0], state[1], step), None

    return jax.lax.scan(one, (running, tally), steps)[0]


def statistics(running: Running, tally: Tally, names: tuple[str, ...]) -> dict:
    """The figures by name, for the records.

    Args:
      running: stands for the episodes where none has ended.
      tally: of them.
      names: of the actions.

    Returns:
      `return`, `best_reward` and `episode_length`, each `[E]`; `entropy`, `branched`,
      the share of buildable designs that have branches, and `share_X` of the decisions
      for each action X, each `[1]`.
    """
    none = tally.episodes == 0
    unended = jnp.arange(len(tally.returns)) == 0

    def ended(values: Array, so_far: Array) -> Array:
        return jnp.where(none & unended, so_far, values)

    decisions = jnp.maximum(tally.actions.sum(), 1)
    shares = tally.actions / decisions
    return {
        "return": ended(tally.returns, running.gained),
        "best_reward": ended(tally.best, running.best),
        "episode_length": ended(tally.lengths, running.length.astype(jnp.float32)),
        "entropy": (tally.entropy / decisions)[None],
        "branched": (tally.branched / jnp.maximum(tally.judged, 1))[None],
        **{f"share_{name}": shares[i, None] for i, name in enumerate(names)},
    }
