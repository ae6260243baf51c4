"""A run as somebody sees it who looks in from outside."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bgpbt.storage.records import best_fitness
from bgpbt.viz.formatting import (
    format_count,
    format_duration,
    format_number,
    shorten,
)

BARS = "▁▂▃▄▅▆▇█"
WIDTH = 60  # characters of a curve


def round_line(
    records: pd.DataFrame, round_: int, max_timesteps: int, *, minimise: bool
) -> str:
    """A round in a line: how far, what fitness, how long it will take.

    Args:
      records: of the run so far.
      round_: which round.
      max_timesteps: of one member, at which the run ends.
      minimise: smaller fitness is better.
    """
    so_far = records[records["round"] <= round_]
    own = so_far[so_far["round"] == round_]
    timesteps = int(own["timesteps"].max())
    best = best_fitness(own["fitness"], minimise=minimise)
    ever = best_fitness(so_far.loc[so_far["round"] > 0, "fitness"], minimise=minimise)
    share = min(timesteps, max_timesteps) / max(max_timesteps, 1)
    return (
        f"round {round_}  {format_count(timesteps)} of {format_count(max_timesteps)} "
        f"timesteps per member ({share:.0%})  best {format_number(best)}  "
        f"median {format_number(own['fitness'].median())}  "
        f"best so far {format_number(ever)}  "
        f"left {format_duration(time_left(so_far, max_timesteps))}"
    )


def time_left(records: pd.DataFrame, max_timesteps: int) -> float | None:
    """Seconds until the end, at the pace of the rounds so far; None: not known."""
    rounds = records[records["round"] > 0].groupby("round")
    steps = rounds["timesteps"].max()
    if steps.empty or steps.iloc[-1] <= 0:
        return None
    seconds = rounds["seconds"].first().sum()
    return seconds * max(max_timesteps - steps.iloc[-1], 0) / steps.iloc[-1]


def sparkline(values: Sequence[float], width: int = WIDTH) -> str:
    """A curve as a row of bars; many values are averaged, unknown ones are left out.

    Args:
      values: in time order.
      width: characters at most.
    """
    known = np.array([x for x in values if np.isfinite(x)])
    if not known.size:
        return ""
    parts = np.array_split(known, min(width, known.size))
    means = np.array([part.mean() for part in parts])
    spread = np.ptp(means) or 1.0
    heights = (means - means.min()) / spread * (len(BARS) - 1)
    return "".join(BARS[round(height)] for height in heights)


def curve(records: pd.DataFrame, *, minimise: bool) -> str:
    """The best fitness of each round as a row of bars, and its ends in numbers."""
    trained = records[records["round"] > 0].groupby("round")["fitness"]
    best = best_fitness(trained, minimise=minimise).dropna()
    if best.empty:
        return "no round yet"
    low, high = format_number(best.min()), format_number(best.max())
    return f"{sparkline(best.tolist())}  {low} to {high}"


def changes_line(phrases: Sequence[str]) -> str:
    """What happened in a line, shortened where it is much."""
    return "; ".join(shorten(list(phrases)))
