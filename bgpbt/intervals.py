"""Means over seeds or episodes, with their intervals."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import stats

DRAWS = 10_000


def mean(values: np.ndarray) -> np.ndarray:
    """The mean along the last axis."""
    return values.mean(axis=-1)


def iqm(values: np.ndarray) -> np.ndarray:
    """Interquartile mean (Agarwal et al., 2021) along the last axis."""
    return stats.trim_mean(values, 0.25, axis=-1)


def interval(
    values: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray] = mean
) -> tuple[float, float]:
    """95 % bootstrap interval of a statistic, whose draws are always equal.

    Args:
      values: one for each seed or episode; of pairs, their differences. Shape `[S]`.
      statistic: of draws `[N, S]`, along the last axis.
    """
    drawn = np.random.default_rng(0).choice(values, (DRAWS, len(values)))
    low, high = np.quantile(statistic(drawn), [0.025, 0.975])
    return low, high


def stratified_interval(
    statistic: Callable[..., np.ndarray],
    *scores: list[np.ndarray],
    paired: bool = True,
) -> tuple[float, float]:
    """95 % bootstrap interval of a statistic over problems (Agarwal et al., 2021).

    Of every problem seeds are drawn by themselves.

    Args:
      statistic: of draws of the scores, a list of `[N, S]` of each, to `[N]`.
      *scores: of each problem, `[S]`; problems may have other numbers of seeds.
      paired: the same seeds are drawn for all `scores`, else others for each.
    """
    rng = np.random.default_rng(0)

    def drawn_from(sizes: list[int]) -> list[np.ndarray]:
        return [rng.integers(size, size=(DRAWS, size)) for size in sizes]

    drawn, chosen = [], None
    for own in scores:
        if chosen is None or not paired:
            chosen = drawn_from([len(x) for x in own])
        drawn.append([x[rows] for x, rows in zip(own, chosen, strict=True)])
    low, high = np.quantile(statistic(*drawn), [0.025, 0.975])
    return float(low), float(high)


def improvement(ours: list[np.ndarray], theirs: list[np.ndarray]) -> np.ndarray:
    """Chance that a seed is above one of the rival's, ties being half.

    Args:
      ours: of each problem, `[..., S]`.
      theirs: the rival's, as many problems.

    Returns:
      The mean over problems, `[...]`.
    """
    chances = []
    for a, b in zip(ours, theirs, strict=True):
        difference = a[..., :, None] - b[..., None, :]
        wins = (difference > 0) + (difference == 0) / 2
        chances.append(wins.mean(axis=(-2, -1)))
    return np.mean(chances, axis=0)


def difference_interval(first: np.ndarray, second: np.ndarray) -> tuple[Any, Any]:
    """95 % interval of a difference of means of two independent samples.

    It is Welch's (1947), for samples of unequal variances.

    Args:
      first: one for each seed. Shape `[S, ...]`.
      second: what is subtracted; its seeds have nothing to do with those of `first`.
        Shape `[R, ...]`.

    Returns:
      The ends, each of shape `[...]`.
    """
    compared = stats.ttest_ind(first, second, equal_var=False)
    return tuple(compared.confidence_interval(0.95))
