"""Draw the learning curve of a run as a PNG file."""

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from bgpbt.storage.records import best_fitness, tidy, winner_lineage, with_parent
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
    _draw_family_tree(axes, with_parent(records), rows)
    _draw_failed(axes, rows, minimise)
    _draw_population(axes, rows, minimise)
    _draw_untrained(axes, rows)
    lineage = winner_lineage(rows, winner, minimise=minimise)
    _draw_lineage(axes, lineage)
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


def _draw_family_tree(
    axes: Axes, transitions: pd.DataFrame, rows: pd.DataFrame
) -> None:
    """Lines lead from the parent's fitness to the child's, in `with_parent`'s rows.

    The tree ends where weights were dropped.
    """
    transitions = transitions[~transitions["reinitialised"]]
    alpha = min(0.8, 12 / rows["member"].nunique())
    known = transitions.dropna(subset=["fitness", "fitness_before"])
    start = known[["timesteps_before", "fitness_before"]].to_numpy()
    end = known[["timesteps", "fitness"]].to_numpy()
    segments = list(zip(start, end, strict=True))
    style = {"colors": MEMBER, "linewidths": 0.7, "alpha": alpha}
    axes.add_collection(LineCollection(segments, **style, label="members"))
    style = {"ls": "", "marker": "o", "ms": 1.6, "mew": 0, "color": MEMBER}
    axes.plot(rows["timesteps"], rows["fitness"], **style, alpha=alpha)
    _draw_replaced(axes, transitions, rows)


def _draw_replaced(axes: Axes, transitions: pd.DataFrame, rows: pd.DataFrame) -> None:
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


def _draw_population(axes: Axes, rows: pd.DataFrame, minimise: bool) -> None:
    by_round = rows.groupby("round")
    time = by_round["timesteps"].max()
    fitness = by_round["fitness"]
    band = {"color": MEDIAN, "alpha": 0.18, "lw": 0, "zorder": 2.5, "label": "25–75%"}
    axes.fill_between(time, fitness.quantile(0.25), fitness.quantile(0.75), **band)
    style = {"color": BEST, "lw": 3.6, "marker": "o", "ms": 3.6, "mew": 0, "zorder": 4}
    best = best_fitness(fitness, minimise=minimise)
    axes.plot(time, best, **style, label="best")
    style = {"color": MEDIAN, "lw": 1.6, "marker": "o", "ms": 1.6, "zorder": 5}
    axes.plot(time, fitness.median(), **style, label="median")


def _draw_untrained(axes: Axes, rows: pd.DataFrame) -> None:
    untrained = rows.loc[rows["timesteps"] == 0, "fitness"].median()
    if rows["fitness"].isna().all():
        axes.set_yticks([])
        style = {"ha": "center", "color": TEXT, "transform": axes.transAxes}
        axes.text(0.5, 0.5, "every fitness is NaN", **style)
    elif pd.notna(untrained):
        style = {"color": MEDIAN, "lw": 0.9, "ls": (0, (1, 2))}
        axes.axhline(untrained, **style, label="untrained")


def _draw_lineage(axes: Axes, lineage: pd.DataFrame) -> None:
    style = {"color": WINNER, "lw": 1.8, "marker": "o", "ms": 2.5, "zorder": 6}
    label = "winner's lineage"
    axes.plot(lineage["timesteps"], lineage["fitness"], **style, label=label)


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
