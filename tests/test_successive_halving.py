"""Sizes and steps of a successive halving, and who survives it."""

import numpy as np
import pytest

from bgpbt.successive_halving import Rung, make_rungs, select_survivors

NAN = float("nan")


@pytest.mark.parametrize(
    ("candidates", "expected"),
    [
        (24, [Rung(24, 250, 12), Rung(12, 750, 8)]),
        (25, [Rung(25, 250, 12), Rung(12, 750, 8)]),
        (26, [Rung(26, 250, 13), Rung(13, 750, 8)]),
        (9, [Rung(9, 250, 8), Rung(8, 750, 8)]),
        (8, [Rung(8, 1000, 8)]),
        (100, [Rung(100, 125, 50), Rung(50, 125, 25), Rung(25, 750, 8)]),
    ],
)
def test_sizes_and_steps(candidates, expected):
    rungs = make_rungs(candidates, 8, 1000)
    assert rungs == expected and sum(r.updates for r in rungs) == 1000


def test_every_rung_has_an_update():
    assert [r.updates for r in make_rungs(100, 8, 3)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("fitness", "idle", "number", "expected"),
    [
        ([3.0, 9, 1, 7, 8], [], 3, [1, 3, 4]),  # in their order
        ([NAN, 5, NAN, 7, NAN], [], 4, [1, 3, 3, 3]),  # a failed one never survives
        # A slot that fills a group up carries another's fitness.
        ([3.0, 9, 1, 7, 9], [4], 3, [0, 1, 3]),
        ([3.0, NAN, 9], [2], 2, [0, 0]),
    ],
)
def test_the_best_of_those_who_took_part_survive(fitness, idle, number, expected):
    active = ~np.isin(np.arange(len(fitness)), idle)
    survivors = select_survivors(np.array(fitness), active, number)
    np.testing.assert_array_equal(survivors, expected)
