"""Figures of `pbt_vs_random_mnist.py`: accuracies, schedules, what is better."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D

from bgpbt.intervals import interval
from bgpbt.result import Result
from bgpbt.storage import records
from bgpbt.viz.style import MEMBER, WINNER
from scripts.benchmarks.figures import Figure

# Areas of marks in the figure: at the beginning of training, at its end.
DOTS = (2, 30)
STARS = (20, 110)


def schedule_of(result: Result) -> pd.DataFrame:
    """The winner's lineage, oldest first.

    The ancestor of every round, the untrained one included.
    """
    last = int(result.records["round"].max())
    winner = records.best_member(result.records, last)
    return records.lineage(result.records, last, winner)


def summarise(rows: pd.DataFrame, arms: Iterable[str]) -> list[Figure]:
    """Every arm's accuracies, and how much better PBT's winners are, seed by seed.

    Args:
      rows: one for every arm and seed.
      arms: all arms, `random` among them.
    """
    figures = []
    for arm in arms:
        figures += _accuracies(arm, rows[rows["arm"] == arm])
    wide = rows.pivot(index="seed", columns="arm", values="test")
    for arm in arms:
        if arm != "random":
            difference = (wide[arm] - wide["random"]).to_numpy()
            figures.append(_difference(arm, difference))
    failed = rows.groupby("arm")["failures"].sum()
    note = ", ".join(f"{arm} {failed[arm]}" for arm in arms)
    total = float(failed.sum())
    not_finite = float((~rows["finite"]).sum())
    return [
        *figures,
        Figure("rounds of members that failed", total, "", note=note),
        Figure("retrained networks that are not finite", not_finite, ""),
    ]


def _accuracies(arm: str, rows: pd.DataFrame) -> list[Figure]:
    test, validation = rows["test"], float(rows["validation"].mean())
    spread = f"variance {test.var(ddof=1):.2e}" if len(rows) > 1 else ""
    mean, repeats = float(test.mean()), tuple(test)
    what = f"{arm}: test accuracy, retrained"
    return [
        Figure(what, mean, "", note=spread, repeats=repeats),
        Figure(f"{arm}: validation accuracy, winner", validation, ""),
    ]


def _difference(arm: str, difference: np.ndarray) -> Figure:
    low, high = interval(difference)
    note = "one seed"
    if len(difference) > 1:
        variance = difference.var(ddof=1)
        note = f"{low:+.4f} to {high:+.4f}, variance {variance:.2e}"
    value, repeats = float(difference.mean()), tuple(difference)
    what = f"{arm} less random, test"
    return Figure(what, value, "", note=note, repeats=repeats)


def draw(first: dict[str, Result], path: Path) -> None:
    """Accuracies over the epochs, and hyperparameters with marks that grow over time.

    The winner's lineage is purple.

    Args:
      first: the runs of one seed, by arm.
      path: of the picture.
    """
    figure = Drawing(figsize=(4 * len(first), 6.4), layout="constrained")
    above, below = figure.subplots(2, len(first), sharex="row", sharey="row")
    for top, bottom, (arm, result) in zip(above, below, first.items(), strict=True):
        lineage = schedule_of(result)
        _draw_accuracies(top, result.records, lineage)
        _draw_hyperparameters(bottom, result.records, lineage)
        top.set(title=arm, xlabel="share of training")
        bottom.set(xscale="log", xlabel="learning rate")
    above[0].set(ylabel="validation accuracy")
    below[0].set(ylabel="momentum")
    for axes in (*above, *below):
        axes.spines[["top", "right"]].set_visible(False)
    handles = legend()
    figure.legend(
        handles.values(),
        handles,
        loc="outside lower center",
        ncols=2,
        frameon=False,
        handler_map={tuple: HandlerTuple(ndivide=None, pad=0)},
    )
    figure.savefig(path, dpi=120)


def _draw_accuracies(axes: Axes, rows: pd.DataFrame, lineage: pd.DataFrame) -> None:
    rounds = rows["round"].max()
    for _, member in rows.groupby("member"):
        share = member["round"] / rounds
        axes.plot(share, member["fitness"], color=MEMBER, lw=0.8, alpha=0.7)
    axes.plot(lineage["round"] / rounds, lineage["fitness"], color=WINNER, lw=1.8)


def _draw_hyperparameters(
    axes: Axes, rows: pd.DataFrame, lineage: pd.DataFrame
) -> None:
    rounds = rows["round"].max()
    dots = {"color": MEMBER, "alpha": 0.35, "lw": 0}
    stars = {"color": WINNER, "marker": "*", "lw": 0}
    for table, areas, style in ((rows, DOTS, dots), (lineage, STARS, stars)):
        size = np.interp(table["round"], (0, rounds), areas)
        axes.scatter(table["learning_rate"], table["momentum"], s=size, **style)
    axes.plot(lineage["learning_rate"], lineage["momentum"], color=WINNER, lw=0.8)


def legend() -> dict[str, Line2D | tuple[Line2D, ...]]:
    """The marks by what they show: of those that grow, the first and the last."""
    dots, stars = (
        tuple(
            Line2D([], [], color=color, marker=marker, lw=0, mew=0, ms=area**0.5)
            for area in areas
        )
        for color, marker, areas in ((MEMBER, "o", DOTS), (WINNER, "*", STARS))
    )
    return {
        "a member": Line2D([], [], color=MEMBER, lw=0.8),
        "a member's hyperparameters, larger with every round": dots,
        "the winner's lineage": Line2D([], [], color=WINNER, lw=1.8),
        "the lineage's hyperparameters, larger with every round": stars,
    }
