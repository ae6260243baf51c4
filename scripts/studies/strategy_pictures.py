"""The picture of `compare_strategies.py`."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from bgpbt.viz.style import MEMBER, WINNER
from scripts.benchmarks.bandit_functions import FUNCTIONS
from scripts.benchmarks.rows import draw_rows
from scripts.studies.strategy_problems import GROUPS
from scripts.studies.strategy_scores import means_of, scores_of

COLORS = {
    "bgpbt": WINNER,
    "pb2": "#c77dbb",
    "pb2mix": "#6f4e9c",
    "pbt": "#2a7f62",
    "mfpbt": "#d98c3f",
    "ipbt": "#8c6bb1",
    "firepbt": "#b03a2e",
    "sha": "#4a78b5",
    "random": MEMBER,
}


def draw(rows: pd.DataFrame, path: Path) -> None:
    """Interquartile means with their intervals, and the functions' cumulative regret.

    Args:
      rows: one for every problem, strategy and seed.
      path: of the picture.
    """
    groups = [group for group in GROUPS if scores_of(rows, group)]
    functions = [name for name in FUNCTIONS if name in set(rows["problem"])]
    width = 2.8 * max(len(groups), len(functions), 2)
    figure = Drawing(figsize=(width, 6 if functions else 3), layout="constrained")
    parts = figure.subfigures(2 if functions else 1, 1, squeeze=False)[:, 0]
    if groups:
        _draw_means(parts[0], rows, groups)
    if functions:
        panels = parts[1].subplots(1, len(functions), squeeze=False)[0]
        for axes, name in zip(panels, functions, strict=True):
            _draw_regret(axes, rows[rows["problem"] == name])
            axes.set(title=name, xlabel="round")
        panels[0].set(ylabel="cumulative regret, mean over seeds")
        panels[0].legend(frameon=False, fontsize="small")
    figure.savefig(path, dpi=120)


def _draw_means(part, rows: pd.DataFrame, groups: list[str]) -> None:
    panels = part.subplots(1, len(groups), squeeze=False)[0]
    for axes, group in zip(panels, groups, strict=True):
        draw_rows(axes, means_of(rows, group))
        axes.set(title=group)
    part.supxlabel(
        "interquartile mean; 0: random search's mean, 1: the best there is",
        fontsize="medium",
    )


def _draw_regret(axes: Axes, rows: pd.DataFrame) -> None:
    """The curves of one function."""
    for strategy, color in COLORS.items():
        curves = rows.loc[rows["strategy"] == strategy, "curve"]
        regret = np.array([[float(x) for x in curve.split()] for curve in curves])
        total = regret.cumsum(axis=1).mean(axis=0)
        axes.plot(np.arange(1, len(total) + 1), total, color=color, label=strategy)
    axes.spines[["top", "right"]].set_visible(False)
