"""Whether resident memory grows with the rounds: of the toy, of digits, of agents.

Each is a process of its own, with one core, a checkpoint after every round and nothing
printed but rounds. Its memory after 300 rounds is set beside that after 3,000.
"""

import os
import re
import subprocess
import tempfile
from collections.abc import Callable

from scripts.benchmarks.commands import PYTHON, ROOT
from scripts.benchmarks.figures import CannotMeasure, Figure, Result, Target, median

REPEATS = 1
ROUNDS = (300, 3000)
QUICK = (2, 4)
# By name: flags, and the timesteps of a round.
RUNS = {
    "toy": ("-t toy", 1),
    "digits": ("-t classification --problem digits -a sgd", 1),
    "agents": (
        "-e inverted_pendulum --num_envs 32 --policy_layers 32 --value_layers 32 "
        "--episode_length 50 --fitness training --report_episodes 1",
        480,
    ),
}
COMMON = "-ps 4 -qf 0.25 --devices 1 --no_render"


def run(quick: bool, repeats: int, say: Callable) -> Result:
    """Runs each of them `repeats` times."""
    rounds = QUICK if quick else ROUNDS
    figures = []
    names = list(RUNS)[:1] if quick else RUNS
    for name in names:
        words, steps = RUNS[name]
        flags = f"{words} {COMMON} -tr {steps} -mt {steps * rounds[1]}".split()
        measured = []
        for repeat in range(repeats):
            measured.append(resident_memory(flags, rounds))
            early, late = (f"{size / 1e6:.0f} MB" for size in measured[-1])
            say(f"{name}, repeat {repeat + 1} of {repeats}: {early}, {late}")
        figures += _figures_of(name, rounds, measured)
    return Result("memory", {"rounds": list(rounds)}, figures, quick)


def resident_memory(flags: list[str], rounds: tuple[int, int]) -> list[int]:
    """Bytes that a run has in memory when each of the rounds has ended."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [*PYTHON, "main.py", *flags, "--save_dir", folder],
            cwd=ROOT,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                match = re.match(r"\[\S+\] round (\d+) ", line)
                if match and int(match[1]) in rounds:
                    found[int(match[1])] = _resident(process.pid)
    if process.wait() or len(found) < len(rounds):
        raise CannotMeasure(f"`main.py {' '.join(flags)}` has failed")
    return [found[number] for number in rounds]


def _resident(pid: int) -> int:
    with open(f"/proc/{pid}/status") as file:
        (line,) = (line for line in file if line.startswith("VmRSS:"))
    return 1024 * int(line.split()[1])


def _figures_of(
    name: str, rounds: tuple[int, int], measured: list[list[int]]
) -> list[Figure]:
    early, late = rounds
    ratios = [after / before for before, after in measured]
    growth = [(after - before) / (late - early) / 1e3 for before, after in measured]
    sizes = [before / 1e6 for before, _ in measured]
    which = f"{name}: memory after {late:,} rounds, of that after {early:,}"
    return [
        median(which, "", ratios, Target("<=", 1.05)),
        median(f"{name}: memory after {early:,} rounds", "MB", sizes),
        median(f"{name}: growth per round", "kB", growth),
    ]
