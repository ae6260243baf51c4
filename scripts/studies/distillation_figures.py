"""Figures of `distillation.py`: how much of its teacher's return a student reaches."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Drawing

from bgpbt.intervals import interval
from bgpbt.viz.style import MEMBER, WINNER
from scripts.benchmarks.figures import Figure, Target

ENOUGH = 3_000.0  # return of a teacher
ARMS = {"with the teacher": WINNER, "alpha = 0": MEMBER}


def summarise(rows: pd.DataFrame) -> list[Figure]:
    """The figures and their targets.

    Args:
      rows: one for each seed, arm and part of the distillation; the last part counts.
    """
    last = rows[rows["steps"] == rows["steps"].max()]
    shares = last.pivot(index="seed", columns="arm", values="share")
    taught, alone = (shares[arm].to_numpy() for arm in ARMS)
    low, high = interval(taught - alone)
    teachers = rows.groupby("seed")["teacher"].first().to_numpy()
    return [
        Figure(
            "worst teacher",
            float(teachers.min()),
            "",
            Target(">=", ENOUGH),
            repeats=tuple(teachers.tolist()),
        ),
        _share("with the teacher", taught),
        _share("alpha = 0", alone),
        Figure(
            "seeds with a share of at least 0.9",
            int((taught >= 0.9).sum()),
            f"of {len(taught)}",
            Target(">=", len(taught) - 1),
        ),
        Figure(
            "difference, lower end of its 95 % interval",
            float(low),
            "",
            Target(">=", 0.0),
            note=f"to {high:.2f}",
        ),
    ]


def _share(arm: str, shares: np.ndarray) -> Figure:
    what = f"share of the teacher's return, {arm}"
    repeats = tuple(shares.tolist())
    return Figure(what, float(np.median(shares)), "", repeats=repeats)


def draw(rows: pd.DataFrame, path: Path) -> None:
    """The share of the teacher's return over the students' steps.

    A line for every seed.
    """
    figure = Drawing(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    for arm, color in ARMS.items():
        for place, (_, line) in enumerate(rows[rows["arm"] == arm].groupby("seed")):
            style = {"color": color, "lw": 1.4, "marker": "o", "ms": 2.5}
            steps = np.array([0, *line["steps"]]) / 1000
            label = arm if place == 0 else "_"
            axes.plot(steps, [0, *line["share"]], label=label, **style)
    axes.axhline(0.9, color="#222222", lw=0.8, ls="--")
    axes.set(
        xlabel="steps of the student, thousands", ylabel="share of the teacher's return"
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=120)
