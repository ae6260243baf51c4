"""From the command to the finished result: a population of eight beside eight of Brax's runs one after the other.

Every process starts with an empty cache. Brax trains its configuration of the `population` measurement and evaluates
once, at the end, its default. Ours is measured in two ways:
the command: `main.py -c configs/ant_small.yaml -o pbt -sm hpo` with 2x64 networks, PBT from random configurations, an
evaluation in every round, report, figures, moving picture; and equal: every member with Brax's configuration, through the Python
API, without the picture.
300,000 steps of a member are really run on all sides. 100,000 are run once on Brax's side and multiplied. 1,000,000 are
computed: the time of 300,000 and, for the rest, the pace between the two lengths.
"""

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from scripts.benchmarks import brax_ppo, commands
from scripts.benchmarks.cases import small_options
from scripts.benchmarks.figures import Bar, Figure, Result

REPEATS = 1
SHORT, LONG, FAR = 100_000, 300_000, 1_000_000


def _cold(command: list[str]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        return commands.run([word.replace("FOLDER", folder) for word in command], Path(folder) / "cache").seconds


def _ours(quick: bool, timesteps: int) -> list[str]:
    settings = ["-tr", "1000"] if quick else ["-o", "pbt", "-sm", "hpo", "--policy_layers", "64,64", "--value_layers", "64,64"]
    return commands.train(quick, *settings, "-mt", str(timesteps), "--save_dir", "FOLDER")


def _equal(quick: bool, timesteps: int) -> list[str]:
    call = {"quick": quick, "timesteps": timesteps, "save_dir": "FOLDER"}
    return [sys.executable, "-W", "ignore", "-m", "scripts.benchmarks.equal_run", json.dumps(call)]


def _brax(quick: bool, timesteps: int) -> list[str]:
    given = brax_ppo.settings(small_options(quick))
    return brax_ppo.command({"mode": "finish", "given": given, "num_timesteps": timesteps})


def far(short: float, long: float, lengths: tuple[int, int, int]) -> float:
    """Seconds of the third length, from those of the first two."""
    first, second, third = lengths
    return long + (third - second) * (long - short) / (second - first)


def run(quick: bool, repeats: int, say: Callable) -> Result:
    """Runs all commands; `repeats` is not used, since eight runs are a repetition."""
    del repeats
    lengths = (1000, 2000, 4000) if quick else (SHORT, LONG, FAR)
    runs = 2 if quick else 8
    sides = {"ours, the command": _ours, "ours, equal": _equal, "Brax": _brax}
    short, long = {}, {}
    for name, command in sides.items():
        short[name] = _cold(command(quick, lengths[0])) * (runs if name == "Brax" else 1)
        say(f"{name}, {lengths[0]:,} steps: {short[name]:.1f} s")
    ours = [name for name in sides if name != "Brax"]
    brax = []
    for index in range(runs):  # ours between Brax's runs, so that a drift meets both
        if index in (runs // 4, runs // 2):
            name = ours[index == runs // 2]
            long[name] = _cold(sides[name](quick, lengths[1]))
            say(f"{name}, {lengths[1]:,} steps: {long[name]:.1f} s")
        brax.append(_cold(_brax(quick, lengths[1])))
        say(f"Brax {index + 1} of {runs}, {lengths[1]:,} steps: {brax[-1]:.1f} s")
    for name in ours:
        long.setdefault(name, float("nan"))
    long["Brax"] = sum(brax)
    return Result("end_to_end", {"steps": lengths, "Brax runs": runs}, _figures(short, long, lengths, runs), quick)


def _figures(short: dict, long: dict, lengths: tuple[int, int, int], runs: int) -> list[Figure]:
    seconds = {lengths[0]: short, lengths[1]: long, lengths[2]: {n: far(short[n], long[n], lengths) for n in long}}
    notes = {lengths[0]: f"Brax: one run x {runs}", lengths[1]: "all run", lengths[2]: "computed"}
    figures = []
    for steps, found in seconds.items():
        figures += [Figure(f"{name}, {steps:,} steps", s, "s", note=notes[steps]) for name, s in found.items()]
        for name in found:
            if name != "Brax":
                bar = Bar(">=", 3) if steps == lengths[1] else None
                what = f"Brax one after the other / {name}, {steps:,} steps"
                figures.append(Figure(what, found["Brax"] / found[name], "x", bar, notes[steps]))
    return figures
