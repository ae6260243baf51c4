"""Draw what agents that design networks did in a run."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, PercentFormatter

from bgpbt.storage.records import tidy, winner_lineage, with_parent
from bgpbt.viz.figures import DrawnRun
from bgpbt.viz.layer_colours import colour_of
from bgpbt.viz.population import draw_lineage, draw_members, draw_spread
from bgpbt.viz.style import (
    MEDIAN,
    SMALL,
    TEXT,
    add_title_and_legend,
    style_axes,
)

SHARE = "share_"  # begins the columns of actions
PANELS = {
    "fitness": "accumulated reward",
    "best_reward": "best reward",
    "episode_length": "episode length (decisions)",
    "entropy": "entropy of the policy (nats)",
}


def designers(run: DrawnRun, *, means: str) -> Figure:
    """Draws rewards, lengths, entropy and actions against timesteps.

    It shows every member, the spread of the population, and the winner's lineage; of
    the actions their mean over the members.

    Args:
      run: whose records.
      means: of which episodes the values are, in words.
    """
    rows = finite(run.records)
    transitions = with_parent(rows)
    lineage = winner_lineage(rows, run.winner, minimise=run.minimise)
    figure = Figure(figsize=(10, 5.8), layout="constrained")
    grid = figure.add_gridspec(2, 3)
    for i, (column, label) in enumerate(PANELS.items()):
        axes = figure.add_subplot(grid[divmod(i, 3)])
        if rows["member"].nunique() > 1:
            draw_members(axes, transitions, rows, column)
            draw_spread(axes, rows, column)
        draw_lineage(axes, lineage, column)
        style_axes(axes, rows)
        axes.set_ylabel(label)
    _draw_shares(figure.add_subplot(grid[1, 1:]), rows)
    _, _, length, entropy, shares = figure.axes
    length.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    _draw_equal_actions(entropy, len(action_names(rows)))
    for axes in (length, entropy, shares):
        axes.set_xlabel("timesteps per member (decisions)", fontsize=SMALL)
    add_title_and_legend(figure, f"{run.title}\n{means}")
    return figure


def finite(records: pd.DataFrame) -> pd.DataFrame:
    """Tidy records in which no figure of a member that failed is left."""
    rows = tidy(records)
    shares = [SHARE + name for name in action_names(rows)]
    for column in (*PANELS, *shares):
        values = rows[column].astype(float)
        rows[column] = values.where(np.isfinite(values) & rows["fitness"].notna())
    return rows


def action_names(rows: pd.DataFrame) -> list[str]:
    """The actions whose shares the records hold, in their order."""
    columns = map(str, rows.columns)
    return [x.removeprefix(SHARE) for x in columns if x.startswith(SHARE)]


def _draw_equal_actions(axes: Axes, actions: int) -> None:
    style = {"color": MEDIAN, "lw": 0.9, "ls": (0, (1, 2))}
    label = f"all {actions} actions alike (ln {actions})"
    axes.axhline(np.log(actions), **style, label=label)
    axes.set_ylim(0, 1.08 * np.log(actions))


def _draw_shares(axes: Axes, rows: pd.DataFrame) -> None:
    """Areas on each other, the first action at the bottom."""
    names = action_names(rows)
    by_round = rows.groupby("round")
    shares = by_round[[SHARE + name for name in names]].mean().dropna()
    times = by_round["timesteps"].max()[shares.index]
    colours = [colour_of(name) for name in names]
    style_axes(axes, rows)
    style = {"edgecolor": "white", "lw": 0.4}
    if len(shares) == 1:
        ends = shares.iloc[0].cumsum()
        axes.bar(times, shares.iloc[0], bottom=ends - shares.iloc[0], color=colours)
    else:
        axes.stackplot(times, shares.T, colors=colours, **style)
        axes.set_xlim(times.min(), times.max())
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set_ylabel("share of actions")
    axes.set_title("mean of all members", loc="left", fontsize=SMALL, color=TEXT)
    axes.legend(
        [Patch(color=colour) for colour in colours[::-1]],
        names[::-1],
        loc="center left",
        bbox_to_anchor=(1, 0.5),
        frameon=False,
        fontsize=SMALL,
    )
