"""Draw the learning curve of a run as a PNG file."""

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bgpbt.storage.records import best_fitness, tidy, winner_lineage, with_parent
from bgpbt.viz.population import draw_lineage, draw_members, draw_spread
from bgpbt.viz.style import (
    BEST,
    MEDIAN,
    MEMBER,
    SMALL,
    TEXT,
    WINNER,
    add_title_and_legend,
    style_axes,
    write_png,
)


def learning_curve(
    records: pd.DataFrame,
    path: str | Path,
    *,
    title: str,
    return_label: str = "episode return",
    report: dict | None = None,
    winner: tuple[int, int] | None = None,
    minimise: bool = False,
) -> Figure:
    """Draws fitness against timesteps.

    It shows every member, the population's spread and best, and the winner's lineage.

    Args:
      records: one row per round and member.
      path: of the PNG file.
      title: of the figure.
      return_label: what the fitness is the mean of.
      report: adds the returns of the reported member and of the best untrained member
        on fresh episodes or unseen data. Keys `mean`, `sd`, `episodes`,
        `untrained_mean`, and `unseen` if the data are unseen.
      winner: round and member; None: the best member of the last round.
      minimise: smaller fitness is better.

    Returns:
      The figure that was written.
    """
    rows = tidy(records)
    figure = Figure(figsize=(8, 4.8), layout="constrained")
    widths = [12, 1] if report else [1]
    panels = figure.subplots(
        1, len(widths), sharey=True, squeeze=False, width_ratios=widths
    )[0]
    axes = panels[0]
    transitions = with_parent(records)
    draw_members(axes, transitions, rows, "fitness")
    _draw_replaced(axes, transitions, rows)
    _draw_failed(axes, rows, minimise)
    _draw_best(axes, rows, minimise)
    draw_spread(axes, rows, "fitness")
    _draw_untrained(axes, rows)
    lineage = winner_lineage(rows, winner, minimise=minimise)
    draw_lineage(axes, lineage, "fitness")
    _draw_interim(axes, rows)
    style_axes(axes, rows)
    direction = ", smaller is better" if minimise else ""
    axes.set(
        xlabel="timesteps per member",
        ylabel=f"fitness (mean {return_label}{direction})",
    )
    if report:
        _draw_report(panels[1], report)
    _cut_far_worse(axes, rows, lineage, report, minimise)
    add_title_and_legend(figure, title)
    write_png(figure, path)
    return figure


def _draw_replaced(axes: Axes, transitions: pd.DataFrame, rows: pd.DataFrame) -> None:
    transitions = transitions[~transitions["reinitialised"]]
    inherited = pd.MultiIndex.from_frame(transitions[["round_before", "member_before"]])
    childless = ~pd.MultiIndex.from_frame(rows[["round", "member"]]).isin(inherited)
    replaced = rows[childless & (rows["round"] < rows["round"].max())]
    style: dict[str, Any] = {"ls": "", "marker": "o", "ms": 3.5, "mew": 0.8}
    style |= {"mfc": "white", "mec": MEMBER, "zorder": 3, "label": "replaced"}
    if len(replaced):
        axes.plot(replaced["timesteps"], replaced["fitness"], **style)


def _draw_failed(axes: Axes, rows: pd.DataFrame, minimise: bool) -> None:
    """Crosses at the worse end, for there is no fitness to draw them at."""
    failed = rows[rows["fitness"].isna()]
    style = {"ls": "", "marker": "x", "ms": 5, "color": MEDIAN, "label": "failed"}
    if len(failed):
        height = [0.97 if minimise else 0.03] * len(failed)
        transform = axes.get_xaxis_transform()
        axes.plot(failed["timesteps"], height, **style, transform=transform)


def _draw_best(axes: Axes, rows: pd.DataFrame, minimise: bool) -> None:
    by_round = rows.groupby("round")
    best = best_fitness(by_round["fitness"], minimise=minimise)
    style = {"color": BEST, "lw": 3.6, "marker": "o", "ms": 3.6, "mew": 0, "zorder": 4}
    axes.plot(by_round["timesteps"].max(), best, **style, label="best")


def _draw_interim(axes: Axes, rows: pd.DataFrame) -> None:
    """The saved best where it played fresh episodes during the run."""
    if "report" not in rows or rows["report"].isna().all():
        return
    by_round = rows.groupby("round")
    style = {"ls": "", "marker": "D", "ms": 4, "color": WINNER, "zorder": 5}
    label = "saved best, fresh evaluation"
    means = by_round["report"].first()
    axes.plot(by_round["timesteps"].max(), means, **style, label=label)


def _draw_untrained(axes: Axes, rows: pd.DataFrame) -> None:
    untrained = rows.loc[rows["timesteps"] == 0, "fitness"].median()
    if rows["fitness"].isna().all():
        axes.set_yticks([])
        style = {"ha": "center", "color": TEXT, "transform": axes.transAxes}
        axes.text(0.5, 0.5, "every fitness is NaN", **style)
    elif pd.notna(untrained):
        style = {"color": MEDIAN, "lw": 0.9, "ls": (0, (1, 2))}
        axes.axhline(untrained, **style, label="untrained")


def _cut_far_worse(
    axes: Axes,
    rows: pd.DataFrame,
    lineage: pd.DataFrame,
    report: dict | None,
    minimise: bool,
) -> None:
    """Ends the axis where members are far worse than all curves; arrows say so."""
    by_round = rows.groupby("round")["fitness"]
    best = best_fitness(by_round, minimise=minimise)
    curves = [*best, *by_round.median(), *lineage["fitness"]]
    if report:
        mean, sd = report["mean"], report["sd"] or 0.0
        curves += [mean - sd, mean + sd, report["untrained_mean"]]
    low, high = pd.Series(curves).min(), pd.Series(curves).max()
    far, near = high - low, 0.1 * (high - low)
    if minimise:
        bottom, top = low - near, high + far
        beyond = rows[rows["fitness"] > top]
        marker, height, label = "^", 0.98, "above this axis"
    else:
        bottom, top = low - far, high + near
        beyond = rows[rows["fitness"] < bottom]
        marker, height, label = "v", 0.02, "below this axis"
    if beyond.empty or low == high:
        return
    axes.set_ylim(bottom, top)
    style = {"ls": "", "marker": marker, "ms": 4, "color": MEMBER, "label": label}
    heights = [height] * len(beyond)
    transform = axes.get_xaxis_transform()
    axes.plot(beyond["timesteps"], heights, **style, transform=transform)


def _draw_report(axes: Axes, report: dict) -> None:
    style = {"fmt": "D", "ms": 6, "capsize": 4, "color": WINNER}
    label = "reported member"
    axes.errorbar(
        [0], [report["mean"]], yerr=[report["sd"] or 0.0], **style, label=label
    )
    style = {"ls": "", "marker": "D", "ms": 6, "mfc": "white", "mec": MEDIAN}
    axes.plot([0], [report["untrained_mean"]], **style, label="best untrained member")
    axes.set_xlim(-1, 1)
    fresh = f"{report['episodes']} fresh\nepisodes"
    source = "unseen\ndata" if report.get("unseen") else fresh
    axes.set_xticks([0], [f"{source}\n(± sd)"])
    axes.tick_params(left=False, labelleft=False, bottom=False, labelsize=SMALL)
    axes.spines[["top", "right", "bottom", "left"]].set_visible(False)
