"""Successive halving in a population of fixed size and equal budget.

Karnin et al., 2013; Jamieson and Talwalkar, 2016. Members that began together, a
cohort, are compared at rungs of 1, eta, eta^2, ... rounds, and 1 / eta of them goes on.
The slot of a stopped member starts afresh with a random configuration at once, so that
all slots train as long as those of any other method. `P` members.
"""

import math

import jax
import numpy as np

from bgpbt.space import SearchSpace
from bgpbt.strategies.operators import reinitialise
from bgpbt.types import Strategy


def sha(space: SearchSpace, blocks: tuple[str, ...], *, eta: int = 2) -> Strategy:
    """Configurations stay as drawn; weights are never copied.

    Args:
      space: the search space, `D` dimensions; a slot that starts afresh draws all of
        them.
      blocks: the blocks of weights.
      eta: of a cohort of n, ceil(n / eta) go on; at least 2.
    """
    restart = jax.jit(
        lambda key, outcome, stopped: reinitialise(
            key, space, outcome, stopped, len(blocks)
        )
    )

    def step(key, state, outcome):
        rounds = state + np.asarray(outcome.active)
        stopped = select_stopped(np.asarray(outcome.fitness), rounds, eta)
        rounds = np.where(stopped, 0, rounds).astype(np.int32)
        return rounds, restart(key, outcome, stopped)

    return Strategy(
        init=lambda key, outcome: np.zeros(len(outcome.fitness), np.int32),
        step=step,
    )


def select_stopped(fitness: np.ndarray, rounds: np.ndarray, eta: int) -> np.ndarray:
    """Selects the members that are stopped.

    At a rung these are all but the best of a cohort. A failed member is always stopped.

    Args:
      fitness: NaN = failed. Shape `[P]`.
      rounds: since each member began. Shape `[P]`.
      eta: of a cohort of n, ceil(n / eta) go on.

    Returns:
      Shape `[P]`, bool.
    """
    stopped = np.isnan(fitness)
    for age in np.unique(rounds[rounds > 0]):
        if eta ** round(math.log(age, eta)) != age:
            continue
        cohort = np.flatnonzero(rounds == age)
        order = cohort[np.argsort(-fitness[cohort], kind="stable")]  # NaN last
        stopped[order[math.ceil(len(cohort) / eta) :]] = True
    return stopped
