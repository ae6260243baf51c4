"""Whether a curve still rises, as IPBT decides it (Chebykin et al., 2025).

A curve is the best fitness of every interval, oldest first; `C` of them at most.
"""

import numpy as np

from bgpbt.strategies.curves import smoothed, standardised, values_of

# From so many values on, the best of all has to be a standard deviation above the best
# of those before the last 14.
SLOW_LENGTH = 15
LEAST_GAIN = 1.0


def rises(curve: np.ndarray) -> bool:
    """Whether the smoothed curve's last value is above the one before.

    A flat curve does not rise.

    Args:
      curve: with at least two values. Shape `[C]`.
    """
    before, last = smoothed(values_of(curve))[-2:]
    return bool(last > before)


def is_slow(curve: np.ndarray) -> bool:
    """Whether a long curve has risen too little in its last 14 values.

    Args:
      curve: shape `[C]`.
    """
    values = values_of(curve)
    return len(values) >= SLOW_LENGTH and late_gain(values) < LEAST_GAIN


def late_gain(values: np.ndarray) -> float:
    """How much the last 14 values added to the best, in standard deviations.

    Args:
      values: at least 15. Any length.
    """
    scores = standardised(values)
    return float(scores.max() - scores[: 1 - SLOW_LENGTH].max())
