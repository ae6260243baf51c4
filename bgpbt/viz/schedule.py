"""Draw the hyperparameter schedule of a run as a PNG file."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from bgpbt.storage.records import tidy, winner_lineage, with_parent
from bgpbt.viz.bandit_panels import draw_importance, draw_trust_region
from bgpbt.viz.style import (
    MEMBER,
    RANGE,
    SMALL,
    TEXT,
    WINNER,
    add_title_and_legend,
    style_axes,
    write_png,
)

MAX_PANELS = 24
# Low, high, whether the axis is logarithmic, and the names of categories.
Limits = tuple[float, float, bool] | tuple[float, float, bool, tuple[str, ...]]
Panels = dict[str, Callable[[Axes], None]]  # by title


def hyperparameter_schedule(
    records: pd.DataFrame,
    path: str | Path,
    *,
    space_limits: dict[str, Limits],
    title: str,
    winner: tuple[int, int] | None = None,
    minimise: bool = False,
) -> Figure:
    """Draws hyperparameters against timesteps, one panel each.

    Where a bandit chose them, its trust region and the importance of each
    hyperparameter follow.

    Args:
      records: one row per round and member.
      path: of the PNG file.
      space_limits: name -> (low, high, is_log). Names of categories follow there, which
        stand at the axis instead of their indices 0, 1, ...
      title: of the figure.
      winner: round and member; None: the best member of the last round.
      minimise: smaller fitness is better.

    Returns:
      The figure that was written.

    Raises:
      ValueError: the records have no hyperparameter of `space_limits`.
    """
    rows = tidy(records)
    names = [name for name in space_limits if name in rows]
    if not names:
        raise ValueError(
            "no hyperparameter of `space_limits` is a column of the records"
        )
    if len(names) > MAX_PANELS:
        title = f"{title} (first {MAX_PANELS} of {len(names)} hyperparameters)"
        names = names[:MAX_PANELS]
    lineage = winner_lineage(rows, winner, minimise=minimise)
    draw = partial(_draw_hyperparameter, rows, with_parent(records), lineage)
    panels: Panels = {name: partial(draw, name, space_limits[name]) for name in names}
    if "trust_region" in rows:
        panels["trust region"] = partial(draw_trust_region, rows)
        panels["importance (1 / lengthscale)"] = partial(draw_importance, rows)
    figure = _draw_panels(panels, rows, len(names))
    add_title_and_legend(figure, title)
    write_png(figure, path)
    return figure


def _draw_panels(panels: Panels, rows: pd.DataFrame, hyperparameters: int) -> Figure:
    """Draws a grid of panels; the first ones are those of the hyperparameters."""
    columns = min(len(panels), 3 if len(panels) <= 12 else 4)
    lines = -(-len(panels) // columns)
    # Title and legend need seven inches.
    size = (max(2.9 * columns, 7), 1.9 * lines + 1.1)
    figure = Figure(figsize=size, layout="constrained")
    end = max(rows["timesteps"].max(), 1)
    for index, (name, draw) in enumerate(panels.items()):
        axes = figure.add_subplot(lines, columns, index + 1)
        axes.set_title(name, loc="left", fontsize=9.5, color=TEXT)
        style_axes(axes, rows)
        # Another hyperparameter stands below, on the same axis.
        if index + columns < hyperparameters:
            axes.tick_params(labelbottom=False)
        else:
            axes.set_xlabel("timesteps per member", fontsize=SMALL, color=TEXT)
        axes.set_xlim(-0.05 * end, 1.05 * end)
        draw(axes)
    return figure


def _draw_hyperparameter(
    rows: pd.DataFrame,
    transitions: pd.DataFrame,
    lineage: pd.DataFrame,
    name: str,
    limits: Limits,
    axes: Axes,
) -> None:
    """Values hold from one evaluation to the next; `transitions` are of `with_parent`.

    A dot marks a value that is not the parent's, or with which weights began.
    """
    old = transitions[f"{name}_before"]
    # What was there before is no past of fresh weights.
    old = old.where(~transitions["reinitialised"], transitions[name])
    _draw_members(axes, transitions, old, name)
    explored = transitions[(old != transitions[name]) | transitions["reinitialised"]]
    dot: dict[str, Any] = {"ls": "", "marker": "o", "mew": 0}
    style = dot | {"ms": 2.2, "color": MEMBER, "label": "changed, or drawn anew"}
    axes.plot(explored["timesteps_before"], explored[name], **style)
    _draw_lineage(axes, transitions, lineage, name)
    own = explored.merge(lineage[["round", "member"]], on=["round", "member"])
    axes.plot(own["timesteps_before"], own[name], **dot, ms=4.5, color=WINNER)
    if transitions.empty:
        axes.plot(rows["timesteps"], rows[name], **dot, ms=4.5, color=MEMBER)
    low, high, is_log, *choices = limits
    _draw_range(axes, low, high)
    _set_scale(axes, rows[name], low, high, is_log, *choices)


def _draw_members(
    axes: Axes, transitions: pd.DataFrame, old: pd.Series, name: str
) -> None:
    columns = (
        transitions["timesteps_before"],
        old,
        transitions["timesteps"],
        transitions[name],
    )
    bends = [
        ((start, before), (start, value), (end, value))
        for start, before, end, value in zip(*columns, strict=True)
    ]
    style = {"colors": MEMBER, "linewidths": 0.7, "alpha": 0.7, "label": "members"}
    axes.add_collection(LineCollection(bends, **style))


def _draw_lineage(
    axes: Axes, transitions: pd.DataFrame, lineage: pd.DataFrame, name: str
) -> None:
    times = lineage["timesteps"].tolist()
    values = lineage[name].tolist()
    # A lineage that begins after round 0 begins where the round before ended.
    first = transitions.merge(lineage[:1][["round", "member"]], on=["round", "member"])
    began = first["timesteps_before"].tolist()
    style = {"color": WINNER, "lw": 2, "drawstyle": "steps-pre"}
    values = values[: len(began)] + values
    axes.plot(began + times, values, **style, label="winner's lineage")


def _draw_range(axes: Axes, low: float, high: float) -> None:
    for limit, label in ((low, "range"), (high, "_range")):
        axes.axhline(limit, color=RANGE, lw=1.2, zorder=0.5, label=label)


def _set_scale(
    axes: Axes,
    values: pd.Series,
    low: float,
    high: float,
    is_log: bool,
    choices: tuple[str, ...] = (),
) -> None:
    """Chooses ticks as people would."""
    if choices:
        axes.set_yticks(range(len(choices)), choices)
        return
    integral = all(float(value).is_integer() for value in (low, high, *values.dropna()))
    if not is_log:
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=integral))
        return
    axes.set_yscale("log", base=2 if integral else 10)
    wide = high / low > 20
    subs = (1,) if wide else (1, 2, 5)
    locator = LogLocator(base=2) if integral else LogLocator(subs=subs)
    axes.yaxis.set_major_locator(locator)
    axes.yaxis.set_minor_locator(NullLocator())
    if integral or not wide or low >= 1e-3:
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
