"""Whether a curve still rises, as IPBT decides it (Chebykin et al., 2025).

A curve is the best fitness of every interval, oldest first; `C` of them at most.
"""

import numpy as np

from bgpbt.gp.smoothing import smooth

CAPACITY = 100  # the newest values count
# From so many values on, the best of all has to be a standard deviation above the best
# of those before the last 14.
SLOW_LENGTH = 15
LEAST_GAIN = 1.0


def empty_curve() -> np.ndarray:
    """A curve without values. Shape `[C]`, NaN."""
    return np.full(CAPACITY, np.nan, np.float32)


def with_value(curve: np.ndarray, value: float) -> np.ndarray:
    """The curve with one more value at its end; one that is not finite is left out."""
    if not np.isfinite(value):
        return curve
    return np.append(curve[1:], np.float32(value))


def rises(curve: np.ndarray) -> bool:
    """Whether the smoothed curve's last value is above the one before.

    A flat curve does not rise.

    Args:
      curve: with at least two values. Shape `[C]`.
    """
    valid = ~np.isnan(curve)
    scores = standardised(curve[valid])
    if scores is None:
        return False
    padded = np.zeros(len(curve), np.float32)
    padded[valid] = scores
    *_, before, last = smooth(padded, valid)
    return bool(last > before)


def is_slow(curve: np.ndarray) -> bool:
    """Whether a long curve has risen too little in its last 14 values.

    Args:
      curve: shape `[C]`.
    """
    values = curve[~np.isnan(curve)]
    return len(values) >= SLOW_LENGTH and late_gain(values) < LEAST_GAIN


def late_gain(values: np.ndarray) -> float:
    """How much the last 14 values added to the best, in standard deviations.

    Args:
      values: at least 15. Any length.
    """
    scores = standardised(values)
    if scores is None:
        return 0.0
    return float(scores.max() - scores[: 1 - SLOW_LENGTH].max())


def standardised(values: np.ndarray) -> np.ndarray | None:
    """Values less their mean by their sample standard deviation; None if all equal."""
    values = values.astype(np.float64)
    spread = values.std(ddof=1)
    if values.max() == values.min() or not spread > 0:
        return None
    return (values - values.mean()) / spread
