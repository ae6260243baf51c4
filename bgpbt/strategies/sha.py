"""Successive halving (Karnin et al., 2013; Jamieson and Talwalkar, 2016) in a population of fixed size and equal budget.

Members that began together are compared at rungs of 1, eta, eta^2, ... rounds, and 1 / eta of them goes on. The slot of one
that is stopped begins afresh with a random configuration at once, so that all slots train as long as those of any other method.
"""

import math

import jax
import numpy as np

from bgpbt.space import SearchSpace
from bgpbt.strategies.operators import restart
from bgpbt.types import Strategy


def sha(space: SearchSpace, blocks: tuple[str, ...], *, eta: int = 2) -> Strategy:
    """Configurations stay as drawn; weights are never copied.

    Args:
      space: the search space, `D` dimensions; a slot that begins afresh draws all of them.
      blocks: the blocks of weights.
      eta: of a group of n, ceil(n / eta) go on; at least 2.
    """

    begin = jax.jit(lambda key, outcome, gone: restart(key, space, outcome, gone, len(blocks)))

    def step(key, rounds, outcome):
        rounds = rounds + np.asarray(outcome.active)
        gone = stopped(np.asarray(outcome.fitness), rounds, eta)
        return np.where(gone, 0, rounds).astype(np.int32), begin(key, outcome, gone)

    return Strategy(
        init=lambda key, outcome: np.zeros(len(outcome.fitness), np.int32),
        step=step,
        complaint=lambda size: "" if eta > 1 else "eta: 1 of 1 going on stops nobody, give at least 2",
    )


def stopped(fitness: np.ndarray, rounds: np.ndarray, eta: int) -> np.ndarray:
    """Who is stopped: at a rung all but the best of those that began together, and whoever failed. Shape `[P]`, bool.

    Args:
      fitness: NaN = failed. Shape `[P]`.
      rounds: since each member began. Shape `[P]`.
      eta: of a group of n, ceil(n / eta) go on.
    """
    gone = np.isnan(fitness)
    for age in np.unique(rounds[rounds > 0]):
        if eta ** round(math.log(age, eta)) != age:
            continue
        group = np.flatnonzero(rounds == age)
        order = group[np.argsort(-fitness[group], kind="stable")]  # NaN last
        gone[order[math.ceil(len(group) / eta) :]] = True
    return gone
