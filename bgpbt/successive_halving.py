"""Successive halving: candidates train, the better half goes on, P are left.

Karnin et al. (2013), as BG-PBT uses it at the beginning of a generation (Wan et al.,
2022, Section 3.3): 25 candidates of a population of 8 become 12 after a quarter of the
steps, and those become 8 after the rest. `M` slots.
"""

import math
from typing import NamedTuple

import numpy as np


class Rung(NamedTuple):
    """One part of a successive halving."""

    candidates: int  # how many train
    updates: int  # of each
    survivors: int  # how many go on


def num_rungs(candidates: int, pop_size: int) -> int:
    """ceil(ln candidates / ln pop_size), at least one."""
    return max(1, math.ceil(math.log(candidates) / math.log(pop_size) - 1e-9))


def make_rungs(candidates: int, pop_size: int, updates: int) -> list[Rung]:
    """The parts of a successive halving in which a survivor makes `updates` in all.

    With s rungs, rung r but the last ends at updates * 2^(r - s).

    Args:
      candidates: at least `pop_size`.
      pop_size: how many are left at the end, at least 2.
      updates: of a survivor, at least one for each rung.

    Raises:
      ValueError: fewer updates than rungs.
    """
    count = num_rungs(candidates, pop_size)
    if updates < count:
        raise ValueError(f"{updates} updates are too few for {count} rungs")
    ends = [max(updates // 2 ** (count - r), r + 1) for r in range(count - 1)]
    rungs = []
    start = 0
    for r, end in enumerate([*ends, updates]):
        last = r == count - 1
        survivors = pop_size if last else max(pop_size, round(candidates / 2))
        rungs.append(Rung(candidates, end - start, survivors))
        candidates = survivors
        start = end
    return rungs


def current_rung(rungs: list[Rung], updates: int) -> tuple[Rung, int]:
    """The rung that is reached after `updates`, and how many of its updates are left.

    Raises:
      ValueError: the last rung has ended.
    """
    for rung in rungs:
        if updates < rung.updates:
            return rung, rung.updates - updates
        updates -= rung.updates
    raise ValueError("the successive halving has ended")


def select_survivors(fitness: np.ndarray, active: np.ndarray, count: int) -> np.ndarray:
    """The slots of the best `count` candidates, ascending.

    Where fewer are valid, copies of the best candidate fill the places.

    Args:
      fitness: NaN = failed; at least one active slot is valid. Shape `[M]`.
      active: False: the slot is idle and carries another's fitness. Shape `[M]`, bool.
      count: how many go on.
    """
    valid = active & ~np.isnan(fitness)
    ranked = np.where(valid, fitness, -np.inf)
    order = np.argsort(-ranked, kind="stable")[:count]
    return np.sort(np.where(valid[order], order, order[0]))
