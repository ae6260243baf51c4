"""The picture of `designers.py`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D

from bgpbt.intervals import interval
from bgpbt.viz.style import MEMBER, WINNER
from scripts.benchmarks.rows import Row, draw_rows
from scripts.studies.designer_arms import Cell

COLORS = {
    "meta": WINNER,
    "meta, from scratch": "#c77dbb",
    "meta, forgetful": "#4a78b5",
    "meta, as coded": "#8fb3de",
    "dqn": "#2a7f62",
    "uniform": MEMBER,
    "meta, pbt": "#d98c3f",
    "meta, bgpbt": "#8a4b08",
}
Results = Mapping[Cell, dict[str, dict[str, Any]]]  # scores of each seed


def draw(results: Results, path: Path) -> None:
    """Curves of every data set above, the means of their seeds; reports below.

    Args:
      results: of every cell.
      path: of the picture.
    """
    problems = list(dict.fromkeys(cell.problem for cell in results))
    figure = Drawing(figsize=(3 * len(problems), 6.4), layout="constrained")
    panels = figure.subplots(2, len(problems), squeeze=False)
    lines = {}
    for (above, below), problem in zip(panels.T, problems, strict=True):
        own = {cell: runs for cell, runs in results.items() if cell.problem == problem}
        for cell, runs in own.items():
            lines[cell.arm] = _draw_curve(above, cell, runs)
        above.set(title=problem, xlabel="decisions of an agent")
        above.spines[["top", "right"]].set_visible(False)
        draw_rows(below, {cell.arm: _row(runs) for cell, runs in own.items()})
        below.set(xlabel="reward, report")
    panels[0, 0].set(ylabel="reward of an episode,\nshare of the highest")
    handles = list(lines.values())
    figure.legend(
        handles,
        list(lines),
        loc="outside upper center",
        ncols=len(lines),
        frameon=False,
    )
    figure.savefig(path, dpi=110)


def _draw_curve(axes: Axes, cell: Cell, runs: dict[str, dict[str, Any]]) -> Line2D:
    curve = np.mean([run["curve"] for run in runs.values()], axis=0)
    decisions = np.linspace(0, cell.decisions, len(curve) + 1)[1:]
    (line,) = axes.plot(decisions, curve, color=COLORS[cell.arm])
    return line


def _row(runs: dict[str, dict[str, Any]]) -> Row:
    reports = np.array([run["report"] for run in runs.values()])
    return Row(float(reports.mean()), *interval(reports), reports)
