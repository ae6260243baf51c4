"""Curves of fitness: arrays of a fixed length whose newest values stand last.

`C` values at most, NaN where there is none. NumPy on the host.
"""

import numpy as np

from bgpbt.gp.smoothing import smooth

CAPACITY = 100  # the newest values count


def empty_curve() -> np.ndarray:
    """A curve without values. Shape `[C]`, NaN."""
    return np.full(CAPACITY, np.nan, np.float32)


def with_value(curve: np.ndarray, value: float) -> np.ndarray:
    """The curve with one more value at its end; one that is not finite is left out."""
    if not np.isfinite(value):
        return curve
    return np.append(curve[1:], np.float32(value))


def values_of(curve: np.ndarray) -> np.ndarray:
    """The values of a curve `[C]`, oldest first. Shape `[n]`, float64."""
    return curve[~np.isnan(curve)].astype(np.float64)


def smoothed(values: np.ndarray) -> np.ndarray:
    """A curve's values, smoothed by a Gaussian process; a flat curve stays.

    Args:
      values: oldest first, C at most. Shape `[n]`.

    Returns:
      In the same units. Shape `[n]`, float64.
    """
    if len(values) < 2 or values.max() == values.min():
        return values
    scores = np.zeros(CAPACITY, np.float32)
    scores[-len(values) :] = standardised(values)
    valid = np.arange(CAPACITY) >= CAPACITY - len(values)
    smooth_scores = smooth(scores, valid)[valid].astype(np.float64)
    return values.mean() + values.std(ddof=1) * smooth_scores


def standardised(values: np.ndarray) -> np.ndarray:
    """Values less their mean by their sample standard deviation, 0 if all are equal.

    Args:
      values: two at least. Shape `[n]`.
    """
    spread = values.std(ddof=1)
    if values.max() == values.min() or not spread > 0:
        return np.zeros_like(values)
    return (values - values.mean()) / spread
