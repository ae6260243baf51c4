"""Draw runs of designers beside each other: agents, or data sets.

Both functions take the records of one or more runs, such as of several seeds, by what
stands in the legend.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from bgpbt.viz.designers import LABEL, PANELS, SHARE, action_names, drawn_rows
from bgpbt.viz.style import SMALL, TEXT, add_title_and_legend, style_axes

Runs = dict[str, list[pd.DataFrame]]
# Of Okabe and Ito (2008), the dark ones first.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
DASHES = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)))


def compare_designers(runs: Runs, title: str) -> Figure:
    """Draws rewards, lengths and entropy: the mean and a standard deviation around it.

    They are those of all members of all runs of a label, after each round.

    Args:
      runs: whose rounds have the same lengths where they have the same label.
      title: of the figure.
    """
    figure = Figure(figsize=(9, 6), layout="constrained")
    panels = figure.subplots(2, 2).ravel().tolist()
    for axes, (column, label) in zip(panels, PANELS.items(), strict=True):
        for i, (name, records) in enumerate(runs.items()):
            by_time = pd.concat(map(drawn_rows, records)).groupby("timesteps")[column]
            mean, sd = by_time.mean(), by_time.std().fillna(0.0)
            band = {"color": _colour(i), "alpha": 0.15, "lw": 0}
            axes.fill_between(mean.index, mean - sd, mean + sd, **band)
            style = {"color": _colour(i), "ls": DASHES[i % len(DASHES)], "lw": 1.8}
            axes.plot(mean.index, mean, **style, label=name)
        # The marks of generations would be those of one of them.
        style_axes(axes, drawn_rows(next(iter(runs.values()))[0]).assign(generation=0))
        axes.set_ylabel(label, fontsize=LABEL, color=TEXT)
    for axes in panels[2:]:
        style = {"fontsize": LABEL, "color": TEXT}
        axes.set_xlabel("timesteps per member (decisions)", **style)
    add_title_and_legend(figure, title)
    return figure


def compare_actions(runs: Runs, title: str) -> Figure:
    """Draws how often each action was chosen in training, as bars.

    Args:
      runs: all with the same actions.
      title: of the figure.
    """
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    axes = figure.subplots()
    actions = action_names(next(iter(runs.values()))[0])
    width = 0.8 / len(runs)
    for i, (name, records) in enumerate(runs.items()):
        rows = pd.concat(map(drawn_rows, records))
        shares = rows[[SHARE + action for action in actions]].mean()
        places = np.arange(len(actions)) + width * (i - (len(runs) - 1) / 2)
        axes.bar(places, shares, 0.92 * width, color=_colour(i), label=name)
        style_axes(axes, rows.assign(generation=0))
        axes.set_xticks(range(len(actions)), actions)
    style = {"color": TEXT, "lw": 0.9, "ls": (0, (1, 2))}
    axes.axhline(1 / len(actions), **style, label="all actions alike")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_ylabel("share of decisions", fontsize=LABEL, color=TEXT)
    of_what = "all rounds, mean of all members"
    axes.set_title(of_what, loc="left", fontsize=SMALL, color=TEXT)
    add_title_and_legend(figure, title)
    return figure


def _colour(i: int) -> str:
    return COLOURS[i % len(COLOURS)]
