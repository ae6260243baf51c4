"""Draw the records of a run: its learning curve and its hyperparameter schedule, as PNG files.

Figures are built without pyplot, so drawing neither needs a screen nor touches the state of a notebook. The colours
also differ in lightness and line width, so that they are told apart with any kind of colour vision and in grey print.
"""

import os
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator, PercentFormatter

from bgpbt.records import best_member, lineage, tidy, with_parent

WINNER, BEST, MEDIAN, MEMBER, FAINT = "#7b1fa2", "#f5a700", "#222222", "#9aa0a6", "#d9dce0"
MAX_PANELS = 15
LENGTHSCALE = "gp_lengthscale_"  # columns of the records: one for each numeric dimension and for the context
Limits = tuple[float, float, bool] | tuple[float, float, bool, tuple[str, ...]]


def learning_curve(
    records: pd.DataFrame,
    path: str | Path,
    *,
    title: str,
    measure: str = "episode return",
    report: dict | None = None,
    winner: tuple[int, int] | None = None,
) -> Figure:
    """Draw fitness against timesteps: every member, the population's spread and best, and the winner's lineage.

    `winner` is a round and a member, by default the best one of the last round.
    `measure` is what the fitness is the mean of.
    `report` (keys `mean`, `sd`, `episodes`, `untrained_mean`) adds the final agent's return on fresh episodes or unseen data.
    """
    rows = tidy(records)
    figure = Figure(figsize=(8, 4.8), layout="constrained")
    widths = [12, 1] if report else [1]
    axes, *side = figure.subplots(1, len(widths), sharey=True, squeeze=False, width_ratios=widths)[0]
    _draw_members(axes, with_parent(records), rows)
    _draw_population(axes, rows)
    line = _lineage(rows, winner)
    style = {"color": WINNER, "lw": 1.8, "marker": "o", "ms": 2.5, "zorder": 6, "label": "winner's lineage"}
    axes.plot(line["timesteps"], line["fitness"], **style)
    _dress(axes, rows)
    axes.set(xlabel="timesteps per member", ylabel=f"fitness (mean {measure})")
    for panel in side:
        _draw_report(panel, report)
    _finish(figure, path, title)
    return figure


def hyperparameter_schedule(
    records: pd.DataFrame,
    path: str | Path,
    *,
    space_limits: dict[str, Limits],
    title: str,
    winner: tuple[int, int] | None = None,
) -> Figure:
    """Draw hyperparameters against timesteps, one panel each; `space_limits` maps names to (low, high, is_log).

    Of categories their names follow, which stand at the axis instead of their places 0, 1, ...

    Where a bandit chose them, its trust region and what it holds to be important follow.

    `winner` is a round and a member, by default the best one of the last round.
    """
    rows, steps = tidy(records), with_parent(records)
    line = _lineage(rows, winner)
    names = [name for name in space_limits if name in rows]
    if not names:
        raise ValueError("no hyperparameter of `space_limits` is a column of the records")
    if len(names) > MAX_PANELS:
        title = f"{title} (first {MAX_PANELS} of {len(names)} hyperparameters)"
        names = names[:MAX_PANELS]
    beliefs = {"trust region (edge)": _draw_trust_region, "importance (1 / lengthscale)": _draw_importance}
    panels = [*names, *(beliefs if "trust_region" in rows else ())]
    columns, end = min(len(panels), 3 if len(panels) <= 12 else 4), max(rows["timesteps"].max(), 1)
    lines = -(-len(panels) // columns)
    figure = Figure(figsize=(max(2.9 * columns, 5), 1.9 * lines + 1.1), layout="constrained")
    for place, name in enumerate(panels):
        axes = figure.add_subplot(lines, columns, place + 1)
        axes.set_title(name, loc="left", fontsize=9.5, color=MEDIAN)
        _dress(axes, rows)
        if place + columns < len(names):  # another hyperparameter stands below, on the same axis
            axes.tick_params(labelbottom=False)
        else:
            axes.set_xlabel("timesteps per member", fontsize=8.5, color=MEDIAN)
        axes.set_xlim(-0.05 * end, 1.05 * end)
        if name in beliefs:
            beliefs[name](axes, rows)
        else:
            _draw_schedule(axes, rows, steps, line, name)
            _scale(axes, rows[name], *space_limits[name])
    _finish(figure, path, title)
    return figure


def _draw_trust_region(axes: Axes, rows: pd.DataFrame) -> None:
    region = rows.groupby("round")[["timesteps", "trust_region"]].max()
    axes.plot(region["timesteps"], region["trust_region"], color=BEST, lw=2, drawstyle="steps-pre")
    axes.set_ylim(0, 1.05)


def _draw_importance(axes: Axes, rows: pd.DataFrame) -> None:
    """Short lengthscales matter: each one's share of the inverses, as last fitted."""
    known = rows.filter(like=LENGTHSCALE).astype(float).dropna()  # in a tournament nothing is believed
    if known.empty:
        axes.set(xticks=[], yticks=[])
        return
    lengthscale = known.iloc[-1].rename(lambda name: name.removeprefix(LENGTHSCALE))
    share = (1 / lengthscale / (1 / lengthscale).sum()).sort_values()
    axes.barh(range(len(share)), share, color=BEST)
    for place, (name, value) in enumerate(share.items()):  # beside its bar: as tick labels they would push the panels apart
        axes.annotate(name, (value, place), (3, 0), textcoords="offset points", va="center", fontsize=7, color=MEDIAN)
    axes.set(xlim=(0, 1.6 * share.max()), yticks=[])
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.tick_params(labelbottom=True)
    axes.set_xlabel("share, last round", fontsize=8.5, color=MEDIAN)


def _lineage(rows: pd.DataFrame, winner: tuple[int, int] | None) -> pd.DataFrame:
    """The winner's lineage; empty where every member of the last round failed."""
    if winner is None:
        member = best_member(rows)
        winner = None if member is None else (int(rows["round"].max()), member)
    return rows.iloc[:0] if winner is None else lineage(rows, *winner)


def _draw_members(axes: Axes, steps: pd.DataFrame, rows: pd.DataFrame) -> None:
    """A family tree: each step leads from the parent's fitness to the child's, and ends where weights were dropped."""
    steps = steps[~steps["afresh"]]
    alpha = min(0.8, 12 / rows["member"].nunique())
    known = steps.dropna(subset=["fitness", "fitness_before"])
    start, end = known[["timesteps_before", "fitness_before"]], known[["timesteps", "fitness"]]
    segments = list(zip(start.to_numpy(), end.to_numpy(), strict=True))
    axes.add_collection(LineCollection(segments, colors=MEMBER, linewidths=0.7, alpha=alpha, label="members"))
    axes.plot(rows["timesteps"], rows["fitness"], ls="", marker="o", ms=1.6, mew=0, color=MEMBER, alpha=alpha)
    heirs = pd.MultiIndex.from_frame(steps[["round_before", "member_before"]])
    childless = ~pd.MultiIndex.from_frame(rows[["round", "member"]]).isin(heirs)
    dropped = rows[childless & (rows["round"] < rows["round"].max())]
    style = {"ls": "", "marker": "o", "ms": 3.5, "mew": 0.8, "mfc": "white", "mec": MEMBER}
    if len(dropped):
        axes.plot(dropped["timesteps"], dropped["fitness"], **style, zorder=3, label="replaced")
    failed = rows[rows["fitness"].isna()]
    style = {"ls": "", "marker": "x", "ms": 5, "color": MEDIAN, "transform": axes.get_xaxis_transform()}
    if len(failed):
        axes.plot(failed["timesteps"], [0.03] * len(failed), **style, label="failed")


def _draw_population(axes: Axes, rows: pd.DataFrame) -> None:
    by_round = rows.groupby("round")
    time, fitness = by_round["timesteps"].max(), by_round["fitness"]
    band = {"color": MEDIAN, "alpha": 0.18, "lw": 0, "zorder": 2.5, "label": "25–75%"}
    axes.fill_between(time, fitness.quantile(0.25), fitness.quantile(0.75), **band)
    axes.plot(time, fitness.max(), color=BEST, lw=3.6, marker="o", ms=3.6, mew=0, zorder=4, label="best")
    axes.plot(time, fitness.median(), color=MEDIAN, lw=1.6, marker="o", ms=1.6, zorder=5, label="median")
    untrained = rows.loc[rows["timesteps"] == 0, "fitness"].median()
    if rows["fitness"].isna().all():
        axes.set_yticks([])
        axes.text(0.5, 0.5, "every fitness is NaN", transform=axes.transAxes, ha="center", color=MEDIAN)
    elif pd.notna(untrained):
        axes.axhline(untrained, color=MEDIAN, lw=0.9, ls=(0, (1, 2)), label="untrained")


def _draw_report(axes: Axes, report: dict) -> None:
    axes.errorbar([0], [report["mean"]], yerr=[report["sd"]], fmt="D", ms=6, capsize=4, color=WINNER)
    axes.plot([0], [report["untrained_mean"]], ls="", marker="D", ms=6, mfc="white", mec=MEDIAN)
    axes.set_xlim(-1, 1)
    where = "unseen\ndata" if report.get("unseen") else f"{report['episodes']} fresh\nepisodes"
    axes.set_xticks([0], [f"{where}\n(± sd)"])
    axes.tick_params(left=False, labelleft=False, bottom=False, labelsize=8.5)
    axes.spines[["top", "right", "bottom", "left"]].set_visible(False)


def _draw_schedule(axes: Axes, rows: pd.DataFrame, steps: pd.DataFrame, line: pd.DataFrame, name: str) -> None:
    """Values hold from one evaluation to the next; a dot marks a value which is not the parent's, or with which weights began."""
    start, end, new = (steps[column] for column in ("timesteps_before", "timesteps", name))
    old = steps[f"{name}_before"].where(~steps["afresh"], new)  # what was there before is no past of fresh weights
    bends = [((t0, v0), (t0, v1), (t1, v1)) for t0, v0, t1, v1 in zip(start, old, end, new, strict=True)]
    axes.add_collection(LineCollection(bends, colors=MEMBER, linewidths=0.7, alpha=0.7, label="members"))
    explored = steps[(old != new) | steps["afresh"]]
    dot = {"ls": "", "marker": "o", "mew": 0}
    axes.plot(explored["timesteps_before"], explored[name], **dot, ms=2.2, color=MEMBER, label="explored, or drawn anew")
    times, values = line["timesteps"].tolist(), line[name].tolist()
    began = steps.merge(line[:1][["round", "member"]], on=["round", "member"])["timesteps_before"].tolist()  # after round 0
    axes.plot(began + times, values[: len(began)] + values, color=WINNER, lw=2, drawstyle="steps-pre", label="winner's lineage")
    own = explored.merge(line[["round", "member"]], on=["round", "member"])
    axes.plot(own["timesteps_before"], own[name], **dot, ms=4.5, color=WINNER)
    if steps.empty:
        axes.plot(rows["timesteps"], rows[name], **dot, ms=4.5, color=MEMBER)


def _scale(axes: Axes, values: pd.Series, low: float, high: float, is_log: bool, choices: tuple[str, ...] = ()) -> None:
    """Show the range as light lines, with ticks that people would choose."""
    for limit, label in ((low, "range"), (high, "_range")):
        axes.axhline(limit, color=FAINT, lw=1.2, zorder=0.5, label=label)
    if choices:
        axes.set_yticks(range(len(choices)), choices)
        return
    whole = all(float(value).is_integer() for value in (low, high, *values.dropna()))
    if is_log:
        axes.set_yscale("log", base=2 if whole else 10)
        wide = high / low > 20
        axes.yaxis.set_major_locator(LogLocator(base=2) if whole else LogLocator(subs=(1,) if wide else (1, 2, 5)))
        axes.yaxis.set_minor_locator(NullLocator())
        if whole or not wide or low >= 1e-3:
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    else:
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=whole))


def _dress(axes: Axes, rows: pd.DataFrame) -> None:
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.xaxis.set_major_locator(MaxNLocator(5) if rows["timesteps"].any() else FixedLocator([0]))
    ends = rows.groupby("generation")["timesteps"].max()
    for place, time in enumerate(ends.iloc[:-1]):
        axes.axvline(time, color=MEMBER, lw=0.8, ls="--", zorder=0.5, label="_" * place + "next generation")
    distilled = rows[rows["phase"] == "distillation"].groupby("generation")["timesteps"].max()
    for place, (generation, end) in enumerate(distilled.items()):
        axes.axvspan(ends[generation - 1], end, color=WINNER, alpha=0.08, lw=0, zorder=0.4, label="_" * place + "distillation")
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MEMBER)
    axes.tick_params(color=MEMBER, labelcolor=MEDIAN, labelsize=8.5)


def _finish(figure: Figure, path: str | Path, title: str) -> None:
    """Add title and legend; write beside `path` and rename, so that nobody ever reads half a picture."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=4 if len(labels) <= 8 else 5,
        frameon=False,
        fontsize=8.5,
        columnspacing=1.4,
    )
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold", color=MEDIAN)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        figure.savefig(beside, format="png", dpi=200)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
