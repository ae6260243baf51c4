"""What a network costs is counted as by hand."""

import jax
import numpy as np
import pytest

from bgpbt.networks.canvas import Sizes
from bgpbt.networks.structure import Kind
from bgpbt.tasks.nas.cost import Cost, density, flops

SIZES = Sizes(side=12, channels=3, filters=4, dense=6, classes=5, depth=5, joins=True)
# Type, kernel and the two layers that are read; connections per layer; operations.
DESIGNS = {
    "nothing": ((), 0, 0),
    "the end alone": (((Kind.terminal, 0, 0, 0),), 0, 0),
    "a chain": (
        ((1, 3, 0, 0), (2, 2, 1, 0)),
        1,
        10 * 10 * 2 * 9 * 3 * 4 + 5 * 5 * 4 * 4,
    ),
    "joined": (
        ((1, 3, 0, 0), (1, 1, 1, 0), (Kind.add, 0, 1, 2), (Kind.concatenate, 0, 3, 1)),
        6 / 4,
        10 * 10 * (2 * 9 * 3 * 4 + 2 * 4 * 4 + 4),
    ),
}


def rows_of(design) -> np.ndarray:
    rows = np.zeros((SIZES.depth, 5), np.int32)
    for i, layer in enumerate(design):
        rows[i] = i + 1, *layer
    return rows


@pytest.mark.parametrize(("design", "expected", "operations"), DESIGNS.values())
def test_density_and_operations(design, expected, operations):
    rows = rows_of(design)
    assert float(density(rows)) == pytest.approx(expected)
    assert float(flops(SIZES, rows)) == operations


def test_what_is_taken_from_a_reward():
    rows = rows_of(DESIGNS["joined"][0])
    cost = Cost(SIZES, density_weight=8, flops_weight=0.5)
    expected = (8 * np.log(1.5) + 0.5 * np.log(DESIGNS["joined"][2])) / 100
    assert float(jax.jit(cost.penalty)(rows)) == pytest.approx(expected, rel=1e-5)
    assert float(cost.penalty(rows_of(()))) == 0  # the logarithm of nothing is none
