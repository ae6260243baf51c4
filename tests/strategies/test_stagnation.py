"""Whether a curve still rises, with the worked values of IPBT's rules."""

import numpy as np
import pytest

from bgpbt.strategies import curves, stagnation


def curve(*values: float) -> np.ndarray:
    result = curves.empty_curve()
    for value in values:
        result = curves.with_value(result, value)
    return result


@pytest.mark.parametrize(
    ("values", "gain", "slow"),
    [
        (range(1, 16), 3.1305, False),
        ([0] + [10] * 15, 0, True),
        ([0] + [8] * 14 + [10], 0.9553, True),
        ([0] * 15 + [10], 4, False),
    ],
)
def test_a_long_curve_has_to_gain_a_standard_deviation(values, gain, slow):
    assert stagnation.late_gain(np.array(values, float)) == pytest.approx(
        gain, abs=1e-4
    )
    assert stagnation.is_slow(curve(*values)) == slow


def test_fourteen_values_are_too_few_to_be_slow():
    assert not stagnation.is_slow(curve(0, *[10] * 13))


@pytest.mark.parametrize(
    ("values", "rising"),
    [
        ((1, 2), True),
        ((2, 1), False),
        ((3, 3, 3), False),  # flat, and nothing to standardise
        (tuple(np.log(np.arange(1, 15))), True),
        ((1, 2, 3, 4, 4, 4, 4), False),
        ((0, 1, 2, 3, 3.1, 2.9, 3.0, 2.8), False),
        (tuple(1e6 + np.arange(9)), True),
    ],
)
def test_the_smoothed_curve_rises_or_not(values, rising):
    assert stagnation.rises(curve(*values)) == rising


def test_the_newest_values_of_a_curve_count():
    long = curve(*range(curves.CAPACITY + 3))
    assert long[0] == 3 and long[-1] == curves.CAPACITY + 2
    np.testing.assert_array_equal(curves.with_value(long, -np.inf), long)
