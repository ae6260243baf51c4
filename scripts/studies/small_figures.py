"""Figures of `compare_small.py`: returns of every arm, and paired differences."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Drawing

from bgpbt.intervals import interval, iqm, mean
from scripts.benchmarks.figures import Figure
from scripts.benchmarks.rows import Row, draw_rows

PAIRS = {
    "bgpbt": ("pbt", "random", "frozen", "defaults"),
    "both": ("bgpbt", "both_random", "pbt"),
}


def returns_of(runs: pd.DataFrame, arms: Iterable[str]) -> dict[str, np.ndarray]:
    """The returns of every arm that was run, seed by seed."""
    wide = runs.pivot(index="seed", columns="arm", values="return")
    return {arm: wide[arm].to_numpy() for arm in arms if arm in wide}


def differences(runs: pd.DataFrame) -> dict[str, np.ndarray]:
    """The returns of `PAIRS`, the first arm's less the second one's, seed by seed."""
    wide = runs.pivot(index="seed", columns="arm", values="return")
    pairs = [
        (arm, rival)
        for arm, rivals in PAIRS.items()
        for rival in rivals
        if arm in wide and rival in wide
    ]
    return {
        f"{arm} less {rival}": (wide[arm] - wide[rival]).dropna().to_numpy()
        for arm, rival in pairs
    }


def summarise(runs: pd.DataFrame, arms: Iterable[str]) -> list[Figure]:
    """Every arm's figures, then the paired differences.

    Args:
      runs: one row for every arm and seed.
      arms: all arms, in their order.
    """
    figures = []
    for arm, values in returns_of(runs, arms).items():
        figures += _figures_of(arm, runs[runs["arm"] == arm], values)
    for name, difference in differences(runs).items():
        low, high = interval(difference)
        value, note = float(mean(difference)), f"{low:,.0f} to {high:,.0f}"
        figures.append(Figure(f"{name}, mean of pairs", value, "", note=note))
    return figures


def _figures_of(arm: str, runs: pd.DataFrame, returns: np.ndarray) -> list[Figure]:
    low, high = interval(returns, iqm)
    median = float(runs["population"].median())
    steps = float(runs["env_steps"].mean())
    seconds = float(runs["seconds"].sum())
    rounds = f"{runs['rounds'].iloc[0]} rounds"
    return [
        Figure(
            f"{arm}: return, interquartile mean",
            float(iqm(returns)),
            "",
            note=f"{low:,.0f} to {high:,.0f}",
            repeats=tuple(returns),
        ),
        Figure(f"{arm}: population's median", median, ""),
        Figure(f"{arm}: environment steps", steps, "", note=rounds),
        Figure(f"{arm}: training and evaluation", seconds, "s", note="all seeds"),
    ]


def draw(runs: pd.DataFrame, arms: Iterable[str], path: Path) -> None:
    """Every arm's returns and the paired differences.

    A tick for every seed, the statistic with its 95 % interval.

    Args:
      runs: one row for every arm and seed.
      arms: all arms, in their order.
      path: of the picture.
    """
    returns = returns_of(runs, arms)
    paired = differences(runs)
    left = ("return on 128 fresh episodes; interquartile mean", returns, iqm)
    right = ("difference of a seed's returns; mean", paired, mean)
    panels = [panel for panel in (left, right) if panel[1]]
    figure = Drawing(figsize=(9.6, 1.2 + 0.36 * len(returns)), layout="constrained")
    all_axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (label, values, statistic) in zip(all_axes, panels, strict=True):
        rows = {
            name: Row(statistic(x), *interval(x, statistic), x)
            for name, x in values.items()
        }
        draw_rows(axes, rows)
        axes.set(xlabel=label)
        if values is paired:
            axes.axvline(0, color="#222222", lw=0.8)
    figure.savefig(path, dpi=120)
