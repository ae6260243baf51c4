"""From the command to its first finished round, and its peak memory.

With an empty and with a filled compilation cache: the first round of `make run` (8
members x 24,000 steps, `-sm both`), its evaluation, report, figures and moving picture.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

from scripts.benchmarks import commands
from scripts.benchmarks.commands import Ran
from scripts.benchmarks.figures import Figure, Result, Target, median

REPEATS = 3


def run(quick: bool, repeats: int, say: Callable) -> Result:
    """Runs the command twice per repeat: in a new cache folder, and again in it."""
    steps = "1000" if quick else "24_000"
    runs = {"cold": [], "warm": []}
    for repeat in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            command = commands.train(
                quick, "-tr", steps, "-mt", steps, "--save_dir", f"{folder}/runs"
            )
            for name, ran in runs.items():
                ran.append(commands.run(command, Path(folder) / "cache"))
                say(f"repeat {repeat + 1} of {repeats}: {name} {ran[-1]}")
    figures = [
        figure for name, ran in runs.items() for figure in _figures_of(name, ran)
    ]
    settings = {"command": "main.py " + " ".join(command[4:-2]), "repeats": repeats}
    return Result("startup", settings, figures, quick)


def _figures_of(name: str, runs: list[Ran]) -> list[Figure]:
    target = Target("<=", 90) if name == "cold" else None
    first = [r.first_round for r in runs]
    seconds = [r.seconds for r in runs]
    peak = [r.peak_bytes / 1e6 for r in runs]
    note = "with report and pictures"
    return [
        median(f"{name}: command to first round", "s", first, target),
        median(f"{name}: command to end", "s", seconds, note=note),
        median(f"{name}: peak memory", "MB", peak, note="resident"),
    ]
