"""The tournament that a generation begins with: candidates train, the better half goes on, until the population is left.

Successive halving (Karnin et al., 2013) as BG-PBT uses it (Wan et al., 2022, Section 3.3): 25 candidates of a population of 8
become 12 after a quarter of the steps, and those 8 after the rest.
"""

import math
from typing import NamedTuple

import numpy as np


class Rung(NamedTuple):
    """One part of a tournament."""

    candidates: int  # who train
    updates: int  # of each
    survivors: int  # who go on


def how_many(candidates: int, pop_size: int) -> int:
    """Rungs of a tournament: ceil(ln candidates / ln pop_size), at least one."""
    return max(1, math.ceil(math.log(candidates) / math.log(pop_size) - 1e-9))


def rungs(candidates: int, pop_size: int, updates: int) -> list[Rung]:
    """The parts of a tournament in which a survivor makes `updates` in all.

    With s rungs, rung r but the last ends at updates * 2^(r - s).

    Args:
      candidates: at least `pop_size`.
      pop_size: who is left at the end, at least 2.
      updates: of a survivor, at least one for each rung.

    Raises:
      ValueError: fewer updates than rungs.
    """
    number = how_many(candidates, pop_size)
    if updates < number:
        raise ValueError(f"{updates} updates are too few for {number} rungs")
    ends = [max(updates // 2 ** (number - r), r + 1) for r in range(number - 1)] + [updates]
    found, before = [], 0
    for r, end in enumerate(ends):
        survivors = pop_size if r == number - 1 else max(pop_size, round(candidates / 2))
        found.append(Rung(candidates, end - before, survivors))
        candidates, before = survivors, end
    return found


def survivors(fitness: np.ndarray, active: np.ndarray, number: int) -> np.ndarray:
    """Who goes on: the best `number` in their order; where too few are finite, the best of them stands for the rest.

    Args:
      fitness: of the slots, NaN = failed; at least one of the active is finite. Shape `[M]`.
      active: whose fitness counts; an idle slot fills a group up and carries another's. Shape `[M]`, bool.
      number: how many.
    """
    counted = active & ~np.isnan(fitness)
    order = np.argsort(-np.where(counted, fitness, -np.inf), kind="stable")[:number]
    return np.sort(np.where(counted[order], order, order[0]))
