"""How means and their intervals are drawn."""

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

from bgpbt.viz.style import MEMBER, WINNER


class Row(NamedTuple):
    """One row of a figure."""

    value: float
    low: float
    high: float
    points: np.ndarray | tuple[()] = ()  # one for each seed


def draw_rows(axes: Axes, rows: dict[str, Row]) -> None:
    """Draws a row for each name: its seeds, the value, the interval.

    Args:
      axes: where to draw.
      rows: from top to bottom.
    """
    for place, row in enumerate(rows.values()):
        if len(row.points):
            places = np.full(len(row.points), place)
            axes.plot(row.points, places, "|", color=MEMBER, ms=9)
        ends = [row.low, row.high]
        line = {"color": WINNER, "lw": 3, "solid_capstyle": "butt"}
        axes.plot(ends, [place, place], **line)
        axes.plot(row.value, place, "o", color=WINNER, ms=6)
    axes.set(
        ylim=(len(rows) - 0.5, -0.5), yticks=range(len(rows)), yticklabels=list(rows)
    )
    axes.spines[["top", "right"]].set_visible(False)
