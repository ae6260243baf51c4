"""Runs that `kill_harness.py` kills, and what is left of them."""

import json
import os
import random
import subprocess
import time
from pathlib import Path

import numpy as np

from bgpbt.cli.parser import parse
from bgpbt.config.loading import load_options
from bgpbt.storage.checkpoints import read_packed
from bgpbt.storage.places import run_folder
from bgpbt.storage.records_file import RECORDS
from bgpbt.storage.records_file import parse as parse_records
from bgpbt.storage.run_folder import REPORT
from bgpbt.storage.store import RunStore
from scripts.benchmarks.commands import PYTHON, ROOT
from scripts.benchmarks.figures import CannotMeasure

MOMENTS = ("after a round", "in a save", "after a rename", "in the start")
LONGEST = 600  # seconds of a process
SAVE = 0.05  # seconds that one may take
POLL = 0.0002  # seconds
PARTIAL = ".partial"


class Run:
    """A command whose run lies in a folder of its own."""

    def __init__(self, words: str, folder: Path):
        self._words = [*words.split(), "--save_dir", str(folder)]
        options = load_options(parse(self._words))
        self.store = RunStore(run_folder(options, 0))

    def start(self) -> subprocess.Popen:
        """A process that begins the run, or goes on with it."""
        return subprocess.Popen(
            [*PYTHON, "main.py", *self._words],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def end(self) -> None:
        """Runs it to its end. Raises CannotMeasure where that fails."""
        process = self.start()
        try:
            _, errors = process.communicate(timeout=LONGEST)
        finally:
            process.kill()
        if process.returncode:
            raise CannotMeasure(f"main.py {' '.join(self._words)}: {errors.strip()}")

    def names(self) -> set[str]:
        """What lies in its folder of checkpoints."""
        try:
            return set(os.listdir(self.store.checkpoints))
        except OSError:
            return set()


def kill(run: Run, moment: str, chance: random.Random) -> str | None:
    """Starts a process and kills it.

    Args:
      run: what is started.
      moment: one of `MOMENTS`.
      chance: says when exactly.

    Returns:
      Where the kill came, by what it left; None where the run had ended before.
    """
    left = run.names()  # by a kill before
    process = run.start()
    try:
        if moment == "in the start":
            time.sleep(chance.uniform(0.1, 5.0))
        else:
            ending = PARTIAL if moment == "in a save" else ""
            for _ in range(chance.randint(1, 3)):
                _wait_for_new(run, ending, process)
            if moment != "after a rename":
                time.sleep(chance.uniform(0.0, SAVE if ending else 0.3))
        had_ended = process.poll() is not None
        process.kill()
    finally:
        process.communicate(timeout=LONGEST)
    return None if had_ended else _where(run, run.names() - left, moment)


def _wait_for_new(run: Run, ending: str, process: subprocess.Popen) -> None:
    """Waits until a checkpoint appears that was not there, or the process ends."""
    before = run.names()
    while process.poll() is None:
        new = run.names() - before
        if any(name.endswith(PARTIAL) == bool(ending) for name in new):
            return
        time.sleep(POLL)


def _where(run: Run, new: set[str], moment: str) -> str:
    if any(name.endswith(PARTIAL) for name in new):
        return "in a save"
    rounds = run.store.rounds()
    path = run.store.path / RECORDS
    if rounds and (not path.exists() or _last_round(path) < rounds[-1]):
        return "between a rename and its records"
    return "in the start" if moment == "in the start" else "elsewhere"


def _last_round(path: Path) -> int:
    return max(map(int, parse_records(path.read_text())["round"]), default=-1)


def differences(one: RunStore, other: RunStore) -> list[str]:
    """In what two finished runs differ; nothing where they are the same run."""
    found = []
    a, b = (parse_records((s.path / RECORDS).read_text()) for s in (one, other))
    if not a.drop(columns="seconds").equals(b.drop(columns="seconds")):
        found.append(RECORDS)
    reports = [json.loads((s.path / REPORT).read_text()) for s in (one, other)]
    if reports[0] != reports[1]:
        found.append(REPORT)
    if one.rounds() != other.rounds():
        return [*found, f"rounds {one.rounds()}, {other.rounds()}"]
    for round_ in one.rounds():
        (a, words), (b, others) = (
            read_packed(s.checkpoint(round_)) for s in (one, other)
        )
        if words != others or not np.array_equal(a, b):
            found.append(f"arrays of round {round_}")
    return found
