"""From the command to the finished result, beside eight of Brax's runs.

A population of eight stands beside eight of Brax's runs one after the other. Every
process starts with an empty cache; those of the quick form share one. Brax trains its
configuration of the `population` measurement and evaluates once, at the end, its
default. Ours is measured in two ways:
the command: `main.py -c configs/ant_small.yaml -o pbt -sm hpo` with 2x64 networks, PBT
from random configurations, an evaluation in every round, report, figures, moving
picture; and equal: every member with Brax's configuration, through the Python API,
without the picture.
300,000 steps of a member are really run on all sides. 100,000 are run once on Brax's
side and multiplied. 1,000,000 are computed: the time of 300,000 and, for the rest, the
pace between the two lengths.
"""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from scripts.benchmarks import brax_ppo, commands
from scripts.benchmarks.cases import small_options
from scripts.benchmarks.figures import Figure, Result, Target

REPEATS = 1
LENGTHS = (100_000, 300_000, 1_000_000)
PBT_FLAGS = "-o pbt -sm hpo --policy_layers 64,64 --value_layers 64,64".split()
Lengths = tuple[int, int, int]
Seconds = dict[str, float]  # by side


def run(quick: bool, repeats: int, say: Callable) -> Result:
    """Runs all commands; `repeats` is not used, since eight runs are a repetition."""
    del repeats
    lengths = (1000, 2000, 4000) if quick else LENGTHS
    runs = 2 if quick else 8
    with tempfile.TemporaryDirectory() as shared:

        def seconds_of(side: str, steps: int) -> float:
            command = SIDES[side](quick, steps)
            return _seconds(command, Path(shared) if quick else None)

        short = _short_runs(seconds_of, lengths[0], runs, say)
        long = _long_runs(seconds_of, lengths[1], runs, say)
    settings = {"steps": lengths, "Brax runs": runs}
    figures = _figures(short, long, lengths, runs)
    return Result("end_to_end", settings, figures, quick)


def far(short: float, long: float, lengths: Lengths) -> float:
    """Seconds of the third length, from those of the first two."""
    first, second, third = lengths
    return long + (third - second) * (long - short) / (second - first)


def _seconds(command: list[str], cache: Path | None) -> float:
    """Of a command that writes into FOLDER; without a cache, it begins with none."""
    with tempfile.TemporaryDirectory() as folder:
        words = [word.replace("FOLDER", folder) for word in command]
        return commands.run(words, cache or Path(folder) / "cache").seconds


def _ours(quick: bool, timesteps: int) -> list[str]:
    settings = ["-tr", "1000"] if quick else PBT_FLAGS
    length = ["-mt", str(timesteps)]
    return commands.train(quick, *settings, *length, "--save_dir", "FOLDER")


def _equal(quick: bool, timesteps: int) -> list[str]:
    call = {"quick": quick, "timesteps": timesteps, "save_dir": "FOLDER"}
    module = "scripts.benchmarks.equal_run"
    return [*commands.PYTHON, "-m", module, json.dumps(call)]


def _brax(quick: bool, timesteps: int) -> list[str]:
    settings = brax_ppo.settings(small_options(quick))
    return brax_ppo.command(
        {"mode": "finish", "settings": settings, "num_timesteps": timesteps}
    )


SIDES = {"ours, the command": _ours, "ours, equal": _equal, "Brax": _brax}


def _short_runs(seconds_of: Callable, steps: int, runs: int, say: Callable) -> Seconds:
    """One run of each side; Brax's counts `runs` times."""
    seconds = {}
    for name in SIDES:
        seconds[name] = seconds_of(name, steps) * (runs if name == "Brax" else 1)
        say(f"{name}, {steps:,} steps: {seconds[name]:.1f} s")
    return seconds


def _long_runs(seconds_of: Callable, steps: int, runs: int, say: Callable) -> Seconds:
    """All of Brax's runs, and ours between them, so that a drift meets both."""
    seconds = {}
    ours = [name for name in SIDES if name != "Brax"]
    brax = []
    for index in range(runs):
        if index in (runs // 4, runs // 2):
            name = ours[index == runs // 2]
            seconds[name] = seconds_of(name, steps)
            say(f"{name}, {steps:,} steps: {seconds[name]:.1f} s")
        brax.append(seconds_of("Brax", steps))
        say(f"Brax {index + 1} of {runs}, {steps:,} steps: {brax[-1]:.1f} s")
    for name in ours:
        seconds.setdefault(name, float("nan"))
    seconds["Brax"] = sum(brax)
    return seconds


def _figures(
    short: Seconds, long: Seconds, lengths: Lengths, runs: int
) -> list[Figure]:
    computed = {name: far(short[name], long[name], lengths) for name in long}
    notes = (f"Brax: one run x {runs}", "all run", "computed")
    figures = []
    for steps, seconds, note in zip(
        lengths, (short, long, computed), notes, strict=True
    ):
        figures += [
            Figure(f"{name}, {steps:,} steps", s, "s", note=note)
            for name, s in seconds.items()
        ]
        for name in seconds:
            if name == "Brax":
                continue
            target = Target(">=", 3) if steps == lengths[1] else None
            what = f"Brax one after the other / {name}, {steps:,} steps"
            ratio = seconds["Brax"] / seconds[name]
            figures.append(Figure(what, ratio, "x", target, note))
    return figures
