"""Rows in order, the latest kept; ranks as normal quantiles; the context's scale."""

import numpy as np
from scipy.stats import norm

from bgpbt.gp import history
from bgpbt.gp.history import History


def rows(first: int, valid) -> History:
    number = np.arange(first, first + len(valid), dtype=np.float32)
    return History(
        np.stack([number, -number], 1),
        number,
        number,
        10 * number,
        np.array(valid, bool),
    )


def test_the_latest_rows_are_kept_in_order():
    found = history.empty(4, 2)
    assert not found.valid.any()
    found = history.append(found, rows(1, [True, False, True]))
    np.testing.assert_array_equal(found.cost, [0, 0, 10, 30])
    np.testing.assert_array_equal(found.valid, [False, False, True, True])
    found = history.append(found, rows(4, [True, True, True]))
    np.testing.assert_array_equal(found.time, [3, 4, 5, 6])
    np.testing.assert_array_equal(found.config[:, 1], [-3, -4, -5, -6])
    assert (
        found.valid.all()
        and found.valid.dtype == bool
        and found.cost.dtype == np.float32
    )


def test_a_row_that_is_not_valid_leaves_nothing_behind():
    bad = rows(1, [False, True])._replace(cost=np.array([np.nan, 5.0], np.float32))
    found = history.append(history.empty(3, 2), bad)
    np.testing.assert_array_equal(found.cost, [0, 0, 5])


def test_ranks_become_normal_quantiles():
    x, valid = (
        np.array([3.0, -1.0, 99.0, 7.0, -1.0]),
        np.array([True, True, False, True, True]),
    )
    found = history.rank_gaussian(x, valid)
    np.testing.assert_allclose(
        found, norm.ppf([3 / 5, 2 / 5, 0.5, 4 / 5, 2 / 5]), atol=1e-6
    )


def test_equal_values_are_no_problem():
    found = history.rank_gaussian(np.ones(4), np.array([True, True, True, False]))
    assert np.isfinite(found).all() and len(set(np.asarray(found)[:3])) == 1


def test_a_quantile_stands_for_a_value():
    x, valid = np.array([5.0, 1.0, 100.0, 3.0]), np.array([True, True, False, True])
    z = history.rank_gaussian(x, valid)
    np.testing.assert_allclose(
        history.from_rank_gaussian(z[valid], x, valid), x[valid], rtol=1e-5
    )
    np.testing.assert_allclose(
        history.from_rank_gaussian(np.array([-9.0, 9.0]), x, valid), [1, 5], rtol=1e-5
    )
    half = (z[1] + z[3]) / 2
    np.testing.assert_allclose(history.from_rank_gaussian(half, x, valid), 2, rtol=1e-5)


def test_the_context_is_scaled_by_what_is_there():
    low, width = history.scale_context(
        np.array([2.0, 6.0, 100.0]), np.array([True, True, False])
    )
    assert (low, width) == (2, 4)
    assert history.scale_context(np.array([2.0, 2.0]), np.array([True, True])) == (2, 1)
    assert history.scale_context(np.array([2.0]), np.array([False])) == (0, 1)
