"""In which slots IPBT's members live, and a decision about slots made of one about
members.

A run ends when every slot has trained all its steps. Half of the slots idle between
restarts, so the members change slots: both halves train alike. `N` slots.
"""

from typing import NamedTuple

import numpy as np

from bgpbt.strategies.operators import inherit_all
from bgpbt.types import Decision, Outcome, Source


class Choice(NamedTuple):
    """What the m members that train next go on with."""

    parents: np.ndarray  # [m] members
    config: np.ndarray  # [m, D]
    source: np.ndarray  # [m] a `Source`
    shrink: np.ndarray | float = 1.0  # [m] or for all
    perturb: np.ndarray | float = 0.0  # [m] or for all


def place(slots: np.ndarray, timesteps: np.ndarray) -> np.ndarray:
    """Moves the members that work into the slots that have trained least.

    Of slots that have trained alike, those where members live come first.

    Args:
      slots: of the members; the first half work. Shape `[N]`.
      timesteps: of the slots. Shape `[N]`.

    Returns:
      The members' next slots. Whoever lives in one of the right ones stays. Shape
      `[N]`, int32.
    """
    half = len(slots) // 2
    everyone = np.arange(len(slots))
    empty = ~np.isin(everyone, slots[:half])
    chosen = np.lexsort((everyone, empty, timesteps))[:half]
    stays = np.isin(slots[:half], chosen)
    moved = slots[:half].copy()
    moved[~stays] = np.setdiff1d(chosen, slots[:half])
    return np.append(moved, np.setdiff1d(everyone, moved)).astype(np.int32)


def decide_slots(
    outcome: Outcome,
    before: np.ndarray,
    after: np.ndarray,
    choice: Choice,
    drawn: np.ndarray,
    num_blocks: int,
    max_timesteps: int,
) -> Decision:
    """Turns what members do into what slots do.

    The other slots idle. A member that failed in one of them begins afresh there, so
    that nothing can inherit from it.

    Args:
      outcome: of the round.
      before: slots of the members in it. Shape `[N]`.
      after: their next slots. Shape `[N]`.
      choice: of the first m members.
      drawn: random configurations. Shape `[N, D]`.
      num_blocks: of weights.
      max_timesteps: of a slot. One that has trained them idles, unless all have.
    """
    number = len(before)
    target = after[: len(choice.parents)]
    parents = np.arange(number)
    parents[target] = before[choice.parents]
    moves = parents[target] != target
    config = np.array(outcome.config, np.float32)
    source = np.full(number, int(Source.previous))
    shrink, perturb = np.ones((2, number), np.float32)
    perturb[:] = 0
    active = np.zeros(number, bool)

    dead = np.isnan(outcome.fitness) & outcome.active
    config[dead], source[dead] = drawn[dead], Source.random
    shrink[dead], perturb[dead] = 0, 1

    config[target] = choice.config
    as_it_was = (choice.source == Source.previous) & moves
    source[target] = np.where(as_it_was, Source.copied, choice.source)
    shrink[target], perturb[target] = choice.shrink, choice.perturb
    has_time = outcome.timesteps[target] < max_timesteps
    active[target] = has_time | ~has_time.any()

    decision = inherit_all(outcome, config, parents, num_blocks, source)
    blocks = (1, num_blocks)
    return decision._replace(
        shrink=np.tile(shrink[:, None], blocks),
        perturb=np.tile(perturb[:, None], blocks),
        active=active,
    )
