"""How FIRE-PBT compares two curves (Dalibard and Jaderberg, 2021).

Curves are compared where they overlap: from where the one that starts lower has reached
the start of the other. Smoothed curves say where, raw ones say how much.
"""

import math
from functools import cached_property

import numpy as np

from bgpbt.strategies.curves import smoothed

SHIFTS = 10  # tried where the first curve is above the second everywhere
WORSE = 2.0  # in the place of a p-value where it is below everywhere


class Curve:
    """Raw values and smoothed ones, which are computed when they are asked for.

    Args:
      values: oldest first. Shape `[n]`.
    """

    def __init__(self, values: np.ndarray):
        self.raw = np.asarray(values, np.float64)

    @cached_property
    def smooth(self) -> np.ndarray:
        """Shape `[n]`."""
        return smoothed(self.raw)


def overlap(a: np.ndarray, b: np.ndarray) -> tuple[int, int, int] | None:
    """Where two smoothed curves overlap; None: nowhere.

    Args:
      a: one of them, of any length.
      b: the other one.

    Returns:
      First place in `a`, first place in `b`, and number of places.
    """
    starts_lower = a[0] < b[0]
    lower, start = (a, b[0]) if starts_lower else (b, a[0])
    reached = np.flatnonzero(lower >= start)
    if not len(reached):
        return None
    first = int(reached[0])
    first_a, first_b = (first, 0) if starts_lower else (0, first)
    return first_a, first_b, min(len(a) - first_a, len(b) - first_b)


def best_score_difference(a: Curve, b: Curve) -> float:
    """How much better the best of `a` is where they overlap.

    Where they do not, and `a` is better everywhere, it is shifted down until they do,
    by ten distances; the largest difference counts, at least 0.
    """
    difference = _difference(a, b, 0.0)
    if difference is not None:
        return difference
    least = a.raw.min() - b.raw.max()
    most = a.raw.min() - b.raw.min()
    if least <= 0 or np.isclose(least, most):
        return 0.0
    shifts = least + (most - least) / SHIFTS * np.arange(SHIFTS)
    return max(0.0, *(_difference(a, b, shift) or 0.0 for shift in shifts))


def _difference(a: Curve, b: Curve, shift: float) -> float | None:
    """The difference of the best values after `a` was shifted down."""
    found = overlap(a.smooth - shift, b.smooth)
    if found is None:
        return None
    first_a, first_b, number = found
    best_a = a.raw[first_a : first_a + number].max() - shift
    return float(best_a - b.raw[first_b : first_b + number].max())


def p_value(a: Curve, b: Curve) -> float:
    """One-sided binomial test that `a` is above `b` where they overlap.

    Returns:
      The p-value. Where they do not overlap: 0 if `a` is above everywhere, `WORSE` if
      below everywhere, else that of the whole curves.
    """
    found = overlap(a.smooth, b.smooth)
    if found is None:
        if a.raw.min() > b.raw.max():
            return 0.0
        if a.raw.max() < b.raw.min():
            return WORSE
    first_a, first_b, number = found or (0, 0, min(len(a.raw), len(b.raw)))
    ours = a.raw[first_a : first_a + number]
    theirs = b.raw[first_b : first_b + number]
    successes = int((ours > theirs).sum())
    ways = sum(math.comb(number, k) for k in range(successes, number + 1))
    return ways / 2**number
