"""Figures of `schedule_replay.py`: what each of the four ways comes to."""

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import EngFormatter

from bgpbt.result import Result
from bgpbt.storage.records import best_fitness
from bgpbt.viz.style import MEMBER, WINNER
from scripts.benchmarks.figures import Figure

WAYS = ("adaptive", "replayed", "constant", "continued")
COLORS = {
    "adaptive": WINNER,
    "continued": "#c77dbb",
    "replayed": "#2a7f62",
    "constant": MEMBER,
}
Ways = dict[str, pd.DataFrame | Result]  # runs, or records of repeats


def summarise(ways: Ways) -> list[Figure]:
    """What each way comes to."""
    run = ways["adaptive"]
    # Fewer rounds than the run has where the winner's weights began afresh.
    rounds = int((run.lineage["round"] > 0).sum())
    where = ", on the data that members are ranked by" if run.task.test_data else ""
    figures = []
    for way in WAYS:
        if isinstance(ways[way], pd.DataFrame):
            records = ways[way]
            figures.append(_repeats(way, records[records["round"] == rounds], where))
        else:
            report = ways[way].report
            note = f"one run, sd over episodes {report['sd']:.4g}"
            figures.append(Figure(way, report["mean"], "", note=note))
    return figures


def _repeats(way: str, rows: pd.DataFrame, where: str) -> Figure:
    """The mean of the repeats that never failed; whoever did has trained less."""
    unbroken = rows["fitness"].notna() & (rows["age"] == rows["timesteps"])
    last = rows.loc[unbroken, "fitness"]
    note = f"{len(last)} repeats, sd {last.std():.4g}{where}"
    if len(last) < len(rows):
        note += f"; {len(rows) - len(last)} more failed"
    return Figure(way, float(last.mean()), "", note=note, repeats=tuple(last))


def draw(ways: Ways, path: Path) -> None:
    """Fitness against timesteps.

    The run and its continuation as their best member, repeats one by one with their
    mean.

    Args:
      ways: runs, or records of repeats.
      path: of the picture.
    """
    figure = Drawing(figsize=(7.2, 4.0), layout="constrained")
    axes = figure.subplots()
    run = ways["adaptive"]
    for way, color in COLORS.items():
        if isinstance(ways[way], pd.DataFrame):
            _draw_repeats(axes, way, ways[way], color)
            continue
        rows = ways[way].records
        if way == "continued":
            rows = rows[rows["round"] >= run.records["round"].max()]
        rounds = rows.groupby("round")
        times = rounds["timesteps"].max()
        best = best_fitness(rounds["fitness"], minimise=run.task.minimise)
        axes.plot(times, best, color=color, lw=1.8, label=f"{way}, best member")
    axes.set(
        xlabel="timesteps of a member", ylabel=f"fitness (mean {run.task.return_label})"
    )
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=120)


def _draw_repeats(axes: Axes, way: str, rows: pd.DataFrame, color: str) -> None:
    for _, member in rows.groupby("member"):
        style = {"color": color, "lw": 0.6, "alpha": 0.4}
        axes.plot(member["timesteps"], member["fitness"], **style)
    rounds = rows.groupby("round")
    times, mean = rounds["timesteps"].max(), rounds["fitness"].mean()
    axes.plot(times, mean, color=color, lw=1.8, label=f"{way}, mean")
