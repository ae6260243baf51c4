"""What panels over time share: the members, their spread, the winner's lineage."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from bgpbt.viz.style import MEDIAN, MEMBER, WINNER


def draw_members(
    axes: Axes, transitions: pd.DataFrame, rows: pd.DataFrame, column: str
) -> None:
    """Lines lead from the parent's value to the child's.

    The tree ends where weights were dropped.

    Args:
      axes: against timesteps.
      transitions: rows of `records.with_parent`.
      rows: tidy records.
      column: of the records.
    """
    transitions = transitions[~transitions["reinitialised"]]
    alpha = min(0.8, 12 / rows["member"].nunique())
    known = transitions.dropna(subset=[column, f"{column}_before"])
    start = known[["timesteps_before", f"{column}_before"]].to_numpy()
    end = known[["timesteps", column]].to_numpy()
    segments = list(zip(start, end, strict=True))
    style = {"colors": MEMBER, "linewidths": 0.7, "alpha": alpha}
    axes.add_collection(LineCollection(segments, **style, label="members"))
    style = {"ls": "", "marker": "o", "ms": 1.6, "mew": 0, "color": MEMBER}
    axes.plot(rows["timesteps"], rows[column], **style, alpha=alpha)


def draw_spread(axes: Axes, rows: pd.DataFrame, column: str) -> None:
    """The median of each round, and half of the members around it."""
    by_round = rows.groupby("round")
    time, values = by_round["timesteps"].max(), by_round[column]
    band = {"color": MEDIAN, "alpha": 0.18, "lw": 0, "zorder": 2.5, "label": "25–75%"}
    axes.fill_between(time, values.quantile(0.25), values.quantile(0.75), **band)
    style = {"color": MEDIAN, "lw": 1.6, "marker": "o", "ms": 1.6, "zorder": 5}
    axes.plot(time, values.median(), **style, label="median")


def draw_lineage(
    axes: Axes, lineage: pd.DataFrame, column: str, label: str = "winner's lineage"
) -> None:
    """What the winner's weights passed through."""
    style = {"color": WINNER, "lw": 1.8, "marker": "o", "ms": 2.5, "zorder": 6}
    axes.plot(lineage["timesteps"], lineage[column], **style, label=label)
