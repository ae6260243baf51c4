"""The picture of `suite.py`."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from bgpbt.intervals import iqm, stratified_interval
from bgpbt.viz.style import MEMBER, WINNER
from scripts.benchmarks.rows import Row, draw_rows
from scripts.studies.suite_cells import Results
from scripts.studies.suite_scores import Scale, Scores, mean_of_iqms

COLORS = {
    "bgpbt": WINNER,
    "both": "#7a5195",
    "pbt": "#2a7f62",
    "pb2": "#c77dbb",
    "ipbt": "#4a78b5",
    "random": MEMBER,
    "frozen": "#d98c3f",
}
POINTS = 60  # of a curve


def draw(
    results: dict[tuple[str, str], Results],
    scales: dict[str, Scale],
    scores: Scores,
    path: Path,
) -> None:
    """Curves of every problem, and the scores of all together.

    Args:
      results: of every problem and arm.
      scales: of every problem.
      scores: the areas under the curves, by problem and arm.
      path: of the picture.
    """
    count = len(scales) + 1
    figure = Drawing(figsize=(2.9 * count, 3.4), layout="constrained")
    panels = figure.subplots(1, count, squeeze=False)[0]
    for axes, (problem, scale) in zip(panels, scales.items(), strict=False):
        for arm in scores[problem]:
            _draw_curve(axes, results[problem, arm], scale, arm)
        axes.set(title=problem, xlabel="steps simulated by all members")
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set(ylabel="return of the saved best, fresh episodes")
    panels[0].legend(frameon=False, fontsize="small")
    arms = list(next(iter(scores.values())))
    draw_rows(panels[-1], {arm: _row(scores, arm) for arm in arms})
    panels[-1].set(title="all", xlabel="area under the curve")
    figure.savefig(path, dpi=120)


def _draw_curve(axes: Axes, runs: Results, scale: Scale, arm: str) -> None:
    """Interquartile mean over seeds."""
    steps = np.linspace(0, scale.steps, POINTS)
    curves = np.array([_curve(run, steps) for run in runs.values()])
    axes.plot(steps, iqm(curves.T), color=COLORS[arm], label=arm)


def _curve(run: dict[str, Any], steps: np.ndarray) -> np.ndarray:
    returns = [run["untrained"], *run["report"]]
    return np.interp(steps, [0, *run["steps"]], returns)


def _row(scores: Scores, arm: str) -> Row:
    values = [own[arm] for own in scores.values()]
    return Row(float(mean_of_iqms(values)), *stratified_interval(mean_of_iqms, values))
