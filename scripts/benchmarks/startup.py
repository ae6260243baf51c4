"""From the command to its first finished round, with an empty and with a filled compilation cache; peak memory.

The first round of `make run` (8 members x 24,000 steps, `-sm both`), its evaluation, report, figures and moving picture.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

from scripts.benchmarks import commands
from scripts.benchmarks.figures import Bar, Result, median

REPEATS = 3


def run(quick: bool, repeats: int, say: Callable) -> Result:
    """Runs the command twice per repeat: in a new cache folder, and again in the same."""
    steps = "1000" if quick else "24_000"
    runs = {"cold": [], "warm": []}
    for repeat in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            command = commands.train(quick, "-tr", steps, "-mt", steps, "--save_dir", f"{folder}/runs")
            for name, found in runs.items():
                found.append(commands.run(command, Path(folder) / "cache"))
                say(f"repeat {repeat + 1} of {repeats}: {name} {found[-1]}")
    figures = []
    for name, found in runs.items():
        bar = Bar("<=", 90) if name == "cold" else None
        figures.append(median(f"{name}: command to first round", "s", [r.first_round for r in found], bar))
        figures.append(median(f"{name}: command to end", "s", [r.seconds for r in found], note="with report and pictures"))
        figures.append(median(f"{name}: peak memory", "MB", [r.peak_bytes / 1e6 for r in found], note="resident"))
    settings = {"command": "main.py " + " ".join(command[4:-2]), "repeats": repeats}
    return Result("startup", settings, figures, quick)
