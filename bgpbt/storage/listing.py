"""Which runs lie below a folder, and how far each of them is."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bgpbt.config.errors import CommandError
from bgpbt.config.options import Options
from bgpbt.lock import is_taken
from bgpbt.storage.records import best_fitness
from bgpbt.storage.run_folder import LOCK, OPTIONS, REPORT, RUN, RunFolder
from bgpbt.storage.store import RunStore

_MARKS = {RUN, OPTIONS, "checkpoints"}


class Listed(NamedTuple):
    """A run on disk."""

    path: Path
    state: str  # finished, running, stopped, or why it cannot be read
    timesteps: int = 0  # of one member
    max_timesteps: int = 0
    fitness: float | None = None  # the best of any round
    report: float | None = None  # of the saved best, on fresh episodes
    seconds: float = 0.0  # of training and evaluation
    saved: float | None = None  # when its last round was, seconds since 1970


def runs_below(folder: Path) -> Iterator[Path]:
    """The folders of runs below one, or it itself, in order."""
    for place, below, files in os.walk(folder):
        below.sort()
        if len(_MARKS & {*below, *files}) > 1:
            yield Path(place)
            below.clear()


def listed(path: Path) -> Listed:
    """How far a run is; one that cannot be read says why."""
    store = RunStore(path)
    try:
        return _read(store)
    except CommandError as error:
        return Listed(path, f"cannot be read: {error}")


def state_of(folder: RunFolder, options: Options) -> str:
    """Whether a run is running, finished or stopped."""
    if is_taken(folder.path / LOCK):
        return "running"
    report = folder.read_json(REPORT)
    is_long = report is not None and report["timesteps"] >= options.max_timesteps
    return "finished" if is_long else "stopped"


def _read(store: RunStore) -> Listed:
    options = store.options()
    report = store.read_json(REPORT)
    rounds = store.rounds()
    records, _ = store.records()
    state = state_of(store, options)
    if not rounds or records.empty:
        return Listed(store.path, state, 0, options.max_timesteps)
    minimise = bool((store.identity() or {}).get("task", {}).get("minimise"))
    fitness = best_fitness(records["fitness"], minimise=minimise)
    return Listed(
        store.path,
        state,
        int(records["timesteps"].max()),
        options.max_timesteps,
        float(fitness) if np.isfinite(fitness) else None,
        report["mean"] if report else None,
        float(records.groupby("round")["seconds"].first().sum()),
        store.checkpoint(rounds[-1]).stat().st_mtime,
    )
