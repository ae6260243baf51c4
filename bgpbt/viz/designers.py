"""Draw what agents that design networks did in a run."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

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

LABEL = 9.5  # points
SHARE = "share_"  # begins the columns of actions
PANELS = {
    "fitness": "accumulated reward",
    "best_reward": "best reward",
    "episode_length": "episode length (decisions)",
    "entropy": "entropy of the policy (nats)",
}


def designers(run: DrawnRun, *, mean: str) -> Figure:
    """Draws rewards, lengths, entropy and actions against timesteps.

    It shows every member, the spread of the population, and the winner's lineage, or a
    single member; of the actions their mean over the members.

    Args:
      run: whose records.
      mean: of which episodes rewards and lengths are means, in words.
    """
    rows = drawn_rows(run.records)
    transitions = with_parent(rows)
    alone = rows["member"].nunique() == 1
    if alone:  # it goes on beyond its best round
        followed, whose = rows, "the agent"
    else:
        followed = winner_lineage(rows, run.winner, minimise=run.minimise)
        whose = "winner's lineage"
    if not rows["round"].any():
        mean = "untrained"
    figure = Figure(figsize=(10, 5.6), layout="constrained")
    grid = figure.add_gridspec(2, 3)
    for i, (column, label) in enumerate(PANELS.items()):
        axes = figure.add_subplot(grid[divmod(i, 3)])
        if not alone:
            draw_members(axes, transitions, rows, column)
            draw_spread(axes, rows, column)
        draw_lineage(axes, followed, column, whose)
        _label(axes, rows, label, mean)
    entropy = figure.axes[-1]
    actions = action_names(rows)
    _draw_equal_actions(entropy, len(actions))
    _label(entropy, rows, PANELS["entropy"], "mean of all decisions")
    shares = figure.add_subplot(grid[1, 1:])
    _label(shares, rows, "share of decisions", "all decisions, mean of all members")
    _draw_shares(shares, rows, actions)
    for axes in (entropy, shares):  # the lower ones
        style = {"fontsize": LABEL, "color": TEXT}
        axes.set_xlabel("timesteps per member (decisions)", **style)
    add_title_and_legend(figure, run.title, columns=5)
    return figure


def _label(axes: Axes, rows: pd.DataFrame, label: str, of_what: str) -> None:
    style_axes(axes, rows)
    if rows["timesteps"].nunique() == 1:
        axes.set_xticks(rows["timesteps"].unique())
    axes.set_ylabel(label, fontsize=LABEL, color=TEXT)
    axes.set_title(of_what, loc="left", fontsize=SMALL, color=TEXT)


def drawn_rows(records: pd.DataFrame) -> pd.DataFrame:
    """Tidy records, in which nothing is left of a member that failed.

    Untrained members are drawn only where nobody was trained: where the fitness comes
    from training, they are judged by other episodes.
    """
    rows = tidy(records)
    shares = [SHARE + name for name in action_names(rows)]
    for column in (*PANELS, *shares):
        values = rows[column].astype(float)
        rows[column] = values.where(np.isfinite(values) & rows["fitness"].notna())
    trained = rows["round"] > 0
    return rows[trained].reset_index(drop=True) if trained.any() else rows


def action_names(rows: pd.DataFrame) -> list[str]:
    """The actions whose shares the records hold, in their order."""
    columns = map(str, rows.columns)
    return [x.removeprefix(SHARE) for x in columns if x.startswith(SHARE)]


def _draw_equal_actions(axes: Axes, actions: int) -> None:
    style = {"color": MEDIAN, "lw": 0.9, "ls": (0, (1, 2))}
    label = f"all {actions} actions alike (ln {actions})"
    axes.axhline(np.log(actions), **style, label=label)
    axes.set_ylim(0, 1.08 * np.log(actions))


def _draw_shares(axes: Axes, rows: pd.DataFrame, actions: list[str]) -> None:
    """Areas on each other, the first action at the bottom."""
    by_round = rows.groupby("round")
    shares = by_round[[SHARE + name for name in actions]].mean().dropna()
    times = by_round["timesteps"].max()[shares.index]
    colours = [colour_of(name) for name in actions]
    if len(shares) == 1:  # an area would have no width
        (heights,) = shares.to_numpy()
        places = list(times) * len(heights)
        axes.bar(places, heights, bottom=heights.cumsum() - heights, color=colours)
        axes.set_xlim(times.iloc[0] - 1, times.iloc[0] + 1)
    elif len(shares):
        style = {"edgecolor": "white", "lw": 0.4}
        axes.stackplot(times, shares.T, colors=colours, **style)
        axes.set_xlim(times.min(), times.max())
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.legend(
        [Patch(color=colour) for colour in colours[::-1]],
        actions[::-1],
        loc="center left",
        bbox_to_anchor=(1, 0.5),
        frameon=False,
        fontsize=SMALL,
    )
