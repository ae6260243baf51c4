"""What tests do with the programs of the toy."""

import jax
import numpy as np
from toys import quadratic

from bgpbt.types import Decision

P = 8
SEED = np.uint32(5)
MEMBERS = np.arange(P, dtype=np.int32)
TASK = quadratic()


def train(programs, config, rounds: int = 1, active=None, members=MEMBERS):
    """A population after rounds of different lengths, and the last one's metrics."""
    population = programs.init(SEED, np.int32(0), members, config)
    active = np.ones(len(members), bool) if active is None else active
    for round_ in range(1, rounds + 1):
        args = (SEED, np.int32(round_), np.int32(round_ + 1), members, active)
        population, metrics = programs.train(*args, population, config)
    return population, metrics


def table_decision(config) -> Decision:
    """One row for each kind of inheritance.

    Members 0 and 3 stay; 1 copies 0; 2 takes `first` of 4 and `second` of 6; 4 is the
    saved best; 5 is shrunk and perturbed; 6 starts afresh; 7 copies 0 in `second` only,
    afresh in `first`.
    """
    parents = np.array(
        [[0, 0], [0, 0], [4, 6], [3, 3], [P, P], [0, 0], [6, 6], [7, 0]], np.int32
    )
    shrink = np.ones((P, 2), np.float32)
    perturb = np.zeros((P, 2), np.float32)
    shrink[5] = 0.4
    perturb[5] = 0.1
    shrink[6] = 0
    perturb[6] = 1
    shrink[7, 0] = 0
    perturb[7, 0] = 1
    return Decision(
        np.asarray(config)[::-1].copy(),
        parents,
        shrink,
        perturb,
        np.ones(P, bool),
        np.zeros(P, np.int32),
    )


def copy(tree):
    return jax.tree.map(lambda x: x.copy(), tree)


def member(tree, index: int):
    return jax.tree.map(lambda x: np.asarray(x)[index], tree)


def host(tree):
    return jax.tree.map(np.asarray, tree)
