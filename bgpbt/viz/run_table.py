"""Runs on disk, a line for each."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from bgpbt.storage.listing import Listed
from bgpbt.viz.formatting import (
    MISSING,
    columns,
    format_count,
    format_duration,
    format_number,
)

HEAD = ["run", "state", "timesteps", "best", "report", "time", "last round"]


def run_table(runs: Sequence[Listed], folder: Path) -> list[str]:
    """The lines.

    Args:
      runs: what is known of each.
      folder: in which they lie; paths begin there.
    """
    return columns([HEAD, *(_row(run, folder) for run in runs)])


def _row(run: Listed, folder: Path) -> list[str]:
    saved = MISSING
    if run.saved is not None:
        saved = datetime.fromtimestamp(run.saved).strftime("%Y-%m-%d %H:%M")
    steps = f"{format_count(run.timesteps)} of {format_count(run.max_timesteps)}"
    return [
        str(run.path.relative_to(folder)),
        run.state,
        steps if run.max_timesteps else MISSING,
        format_number(run.fitness),
        format_number(run.report),
        format_duration(run.seconds),
        saved,
    ]
