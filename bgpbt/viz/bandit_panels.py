"""Draw the trust region and the lengthscales with which BG-PBT's bandit chose."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from bgpbt.viz.style import BEST, MEDIAN, SMALL, TEXT

# Columns of the records.
TRUST_REGION = ("timesteps", "trust_region", "gp_rows")
# Columns of the records: one for each numeric dimension and for the context.
LENGTHSCALE = "gp_lengthscale_"


def draw_trust_region(rows: pd.DataFrame, axes: Axes) -> None:
    """Draws the edge of the trust region against timesteps.

    The edge is measured in the unit cube, where every hyperparameter has the range 0 to
    1. Triangles mark where a region was given up for a new one.

    Args:
      rows: tidy records with the columns `trust_region` and, for the triangles,
        `gp_rows`: rows of history in the region.
      axes: where to draw.
    """
    columns = [name for name in TRUST_REGION if name in rows]
    rounds = rows.groupby("round")[columns].max()
    style = {"color": BEST, "lw": 2, "drawstyle": "steps-pre"}
    axes.plot(rounds["timesteps"], rounds["trust_region"], **style)
    if "gp_rows" in rounds:
        _mark_restarts(axes, rounds)
    axes.set_ylim(0, 1.05)
    axes.set_yticks([0, 0.5, 1])
    axes.set_ylabel("edge in the unit cube", fontsize=SMALL, color=TEXT)


def _mark_restarts(axes: Axes, rounds: pd.DataFrame) -> None:
    """A new region begins without history, so the rows become fewer."""
    restarted = rounds["gp_rows"].diff() < 0
    if not restarted.any():
        return
    time = rounds["timesteps"].shift()[restarted]  # when the round before ended
    edge = rounds["trust_region"][restarted]
    style = {"ls": "", "marker": "v", "ms": 4, "color": MEDIAN}
    axes.plot(time, edge, **style, label="new trust region")


def draw_importance(rows: pd.DataFrame, axes: Axes) -> None:
    """Draws the share of each inverse lengthscale, as last fitted.

    Dimensions with short lengthscales matter: the fitness changes fast along them.

    Args:
      rows: tidy records with columns that begin with `LENGTHSCALE`.
      axes: where to draw.
    """
    # The bandit says nothing during a successive halving.
    known = rows.filter(like=LENGTHSCALE).astype(float).dropna()
    if known.empty:
        axes.set(xticks=[], yticks=[])
        return
    lengthscale = known.iloc[-1].rename(lambda name: name.removeprefix(LENGTHSCALE))
    share = (1 / lengthscale / (1 / lengthscale).sum()).sort_values()
    axes.barh(range(len(share)), share, color=BEST)
    _name_bars(axes, share)
    axes.set(xlim=(0, 1.6 * share.max()), yticks=[])
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.tick_params(labelbottom=True)
    axes.set_xlabel("share, last round", fontsize=SMALL, color=TEXT)


def _name_bars(axes: Axes, share: pd.Series) -> None:
    """Names stand beside their bars: as tick labels they would push panels apart.

    They shrink where there are many, so that they do not overlap.
    """
    style: dict[str, Any] = {"textcoords": "offset points", "va": "center"}
    style |= {"fontsize": min(7, 100 / len(share)), "color": TEXT}
    for index, (name, value) in enumerate(share.items()):
        axes.annotate(str(name), (value, index), (3, 0), **style)
