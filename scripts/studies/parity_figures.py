"""What the results of `ppo_parity.py` come to: figures, verdicts, the picture.

`S` agents of an arm, `T` evaluations of a curve.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from bgpbt.intervals import difference_interval, interval
from bgpbt.viz.style import MEMBER, WINNER
from scripts.benchmarks.figures import Figure, number
from scripts.studies.parity_settings import ARMS

COLORS = {"bgpbt": WINNER, "brax": MEMBER}
MARGIN = 0.1  # of Brax's gain: differences that small are none


class Curves(NamedTuple):
    """All agents of an arm in one environment."""

    steps: np.ndarray  # [T]
    returns: np.ndarray  # [S, T] at each evaluation, the first of untrained agents
    final: np.ndarray  # [S] on fresh episodes in the end
    failed: int


def curves_of(results: list[dict[str, Any]], task: str, arm: str) -> Curves | None:
    """What an arm's cells give, None where there are none.

    An agent that failed counts with what it returned before training, from where it
    failed.

    Args:
      results: of cells.
      task: the environment.
      arm: one of `ARMS`.
    """
    own = [r for r in results if r["task"] == task and r["arm"] == arm]
    if not own:
        return None
    own = sorted(own, key=lambda r: r["seeds"])
    returns = np.concatenate([np.array(r["returns"], float) for r in own])
    final = np.concatenate([np.array(r["final"], float) for r in own])
    failed = np.isnan(final)
    first = returns[:, :1]
    return Curves(
        steps=np.array(own[0]["steps"]),
        returns=np.where(np.isnan(returns), first, returns),
        final=np.where(failed, first[:, 0], final),
        failed=int(failed.sum()),
    )


def learning(curves: Curves) -> np.ndarray:
    """How early an agent is good: its mean return over the evaluations. Shape `[S]`."""
    return curves.returns[:, 1:].mean(axis=1)


def verdict(low: float, high: float, margin: float) -> str:
    """What the protocol calls a difference with this 95 % interval.

    Args:
      low: its lower end.
      high: its upper end.
      margin: differences up to it are none.
    """
    words = []
    if high < 0:
        words.append("worse")
    elif low > 0:
        words.append("better")
    if max(-low, high) <= margin:
        words.append("at par")
    return ", ".join(words) or "not told apart"


def summarise(results: list[dict[str, Any]], tasks: list[str]) -> list[Figure]:
    """Every arm's final returns, then the differences and what they are called.

    Args:
      results: of cells.
      tasks: environments, in their order.
    """
    figures = []
    for task in tasks:
        found = {arm: curves_of(results, task, arm) for arm in ARMS}
        present = {arm: c for arm, c in found.items() if c is not None}
        for arm, curves in present.items():
            figures.append(_of_arm(task, arm, curves))
        if len(present) == len(ARMS):
            figures += _differences(task, **present)
    return figures


def _of_arm(task: str, arm: str, curves: Curves) -> Figure:
    low, high = interval(curves.final)
    note = f"{number(low)} to {number(high)}; untrained "
    note += number(curves.returns[:, 0].mean())
    if curves.failed:
        note += f"; {curves.failed} failed"
    repeats = tuple(curves.final.tolist())
    what = f"{task}, {arm}: final return, mean"
    return Figure(what, float(curves.final.mean()), "", note=note, repeats=repeats)


def _differences(task: str, bgpbt: Curves, brax: Curves) -> list[Figure]:
    gain = brax.final.mean() - brax.returns[:, 0].mean()
    margin = MARGIN * abs(float(gain))
    measures = {
        "final return": (bgpbt.final, brax.final),
        "mean of the curve": (learning(bgpbt), learning(brax)),
    }
    figures = []
    for name, (ours, theirs) in measures.items():
        low, high = map(float, difference_interval(ours, theirs))
        note = f"{number(low)} to {number(high)}: {verdict(low, high, margin)}"
        what = f"{task}, bgpbt less brax: {name}"
        figures.append(Figure(what, float(ours.mean() - theirs.mean()), "", note=note))
    return figures


def draw(results: list[dict[str, Any]], tasks: list[str], path: Path) -> None:
    """Learning curves above, their difference below; a column for each environment.

    Lines are means over agents, bands their 95 % intervals.

    Args:
      results: of cells.
      tasks: environments, in their order.
      path: of the picture.
    """
    figure = Drawing(figsize=(2.9 * len(tasks) + 0.5, 5), layout="constrained")
    rows = figure.subplots(2, len(tasks), squeeze=False, sharex="col")
    for (above, below), task in zip(rows.T, tasks, strict=True):
        found = {arm: curves_of(results, task, arm) for arm in ARMS}
        present = {arm: c for arm, c in found.items() if c is not None}
        for arm, curves in present.items():
            ends = [interval(x) for x in curves.returns.T]
            _band(above, curves, curves.returns.mean(axis=0), ends, arm)
        if len(present) == len(ARMS):
            ours, theirs = (present[arm].returns for arm in ARMS)
            ends = np.transpose(difference_interval(ours, theirs))
            middle = ours.mean(axis=0) - theirs.mean(axis=0)
            _band(below, present["bgpbt"], middle, ends, "bgpbt")
        above.set(title=task.replace("_", " "))
        below.axhline(0, color="#222222", lw=0.8)
        below.set(xlabel="steps, millions")
        for axes in (above, below):
            axes.spines[["top", "right"]].set_visible(False)
    rows[0, 0].set(ylabel="return")
    rows[1, 0].set(ylabel="bgpbt less brax")
    rows[0, 0].legend(frameon=False)
    figure.savefig(path, dpi=120)


def _band(axes: Axes, curves: Curves, middle, ends, arm: str) -> None:
    millions = curves.steps / 1e6
    low, high = np.transpose(ends)
    axes.fill_between(millions, low, high, color=COLORS[arm], alpha=0.2, lw=0)
    axes.plot(millions, middle, color=COLORS[arm], lw=1.6, label=arm)
