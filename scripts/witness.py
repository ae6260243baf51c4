"""Does a change of the code change what a run computes?

Short runs of every strategy on every task that it serves. Write the records before a
change and after it, on the same machine, and compare them:

    python scripts/witness.py before
    python scripts/witness.py after --against before

Records and reports are compared to the last digit, column by column; only the wall
clock may differ. Exit code 1 where something differs.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pandas as pd

import bgpbt
from bgpbt.cli.command import prepare_jax
from bgpbt.registry import STRATEGIES
from scripts.benchmarks import flags

CLOCKS = ["seconds"]  # columns of the records that differ between equal runs
ROUNDS = 5
COMMON = {
    "pop_size": 8,
    "n_init": 8,
    "quantile_fraction": 0.25,
    "frequencies": (1, 2),
    "interval": 2,
    "max_distillation": 1,
    "report_episodes": 8,
    "render": False,
    "devices": 2,
}
TOY = {"task": "toy", "t_ready": 4}
DIGITS = {"task": "classification", "t_ready": 2}
AGENTS = {
    "env_name": "inverted_pendulum",
    "num_envs": 32,
    "episode_length": 50,
    "eval_episodes": 2,
    "t_ready": 480,
}
SIZES = {"policy_layers": (8,), "value_layers": (8,)}
TASKS = {
    "quadratic": TOY | {"problem": "quadratic"},
    "deceptive": TOY | {"problem": "deceptive"},
    "digits": DIGITS,
    "digits, both": DIGITS | {"search_mode": "both"},
    "digits, cells": DIGITS | {"search_mode": "nas"},
    "agents": AGENTS | SIZES,
    "agents, recurrent": AGENTS | SIZES | {"recurrent": True, "recurrent_units": 8},
    "agents, both": AGENTS | {"search_mode": "both", "arch_space": "small"},
    "agents, networks": AGENTS | {"search_mode": "nas", "arch_space": "small"},
}
QUICK_TASKS = ["quadratic"]
NO_ARCHITECTURE = ("quadratic", "deceptive", "digits", "agents", "agents, recurrent")
NO_HYPERPARAMETERS = ("digits, cells", "agents, networks")
# A strategy and a task that it cannot serve.
REFUSED = {(name, task) for name in ("pbtnas", "mutation") for task in NO_ARCHITECTURE}
WITH_BANDIT = ("pb2", "pb2mix", "ipbt")
REFUSED |= {(name, t) for name in WITH_BANDIT for t in NO_HYPERPARAMETERS}


def options(folder: Path, name: str, task: str) -> bgpbt.Options:
    """The settings of a short run, with a second generation where there can be one.

    Args:
      folder: where the run goes.
      name: of the strategy.
      task: one of `TASKS`.
    """
    settings = COMMON | TASKS[task] | {"strategy": name, "save_dir": str(folder)}
    length = settings["t_ready"]
    budget = {"max_timesteps": ROUNDS * length}
    generations = {"distill_every": 2 * length, "t_distillation": 2 * length}
    return bgpbt.load_options(settings | budget | generations)


def pairs(tasks: list[str], strategies: list[str]) -> list[tuple[str, str]]:
    """Every one of the tasks with every one of the strategies that serves it."""
    return [(t, s) for t in tasks for s in strategies if (s, t) not in REFUSED]


def differences(folder: Path, other: Path) -> list[str]:
    """Where two folders of runs differ, in words.

    A run that only one of them has is a difference, too.
    """
    roots = folder, other
    names = {p.parent.relative_to(r) for r in roots for p in r.rglob("records.csv")}
    differing = []
    for name in sorted(names):
        runs = [root / name for root in roots]
        if not all((run / "records.csv").exists() for run in runs):
            differing.append(f"{name}: only in one of the folders")
            continue
        differing += [f"{name}: {what}" for what in _differing_parts(*runs)]
    return differing


def _differing_parts(run: Path, other: Path) -> list[str]:
    """The columns of the records in which two runs differ, and the report."""
    ours, theirs = (
        pd.read_csv(folder / "records.csv", dtype=str, keep_default_na=False)
        for folder in (run, other)
    )
    if len(ours) != len(theirs):
        return ["another number of rows"]
    either = [*ours, *(column for column in theirs if column not in ours)]
    compared = [c for c in either if c in ours and c in theirs and c not in CLOCKS]
    differing = [f"{c}, only in one of them" for c in either if c not in compared]
    differing = [text for text in differing if text.partition(",")[0] not in CLOCKS]
    differing += [c for c in compared if not ours[c].equals(theirs[c])]
    if _report(run) != _report(other):
        differing.append("report.json")
    return differing


def _report(run: Path) -> str:
    path = run / "report.json"
    return path.read_text() if path.exists() else ""


def parser() -> flags.Parser:
    """The flags."""
    result = flags.Parser(__doc__)
    result.add_argument("folder", type=Path, help="folder for the runs")
    result.add_argument(
        "--against", type=Path, metavar="FOLDER", help="compare with the runs there"
    )
    result.add_names("--tasks", TASKS)
    result.add_names("--strategies", STRATEGIES)
    result.add_quick("small, one task", tasks=QUICK_TASKS)
    return result


@flags.answered
def main(argv: list[str]) -> int:
    """Runs, and compares where it is asked to."""
    args = parser().parse_args(argv)
    for place, (task, name) in enumerate(pairs(args.tasks, args.strategies)):
        run_options = options(args.folder / task.replace(", ", "_"), name, task)
        if place == 0:
            prepare_jax(run_options)
        bgpbt.run(run_options)
    if args.against is None:
        return 0
    differing = differences(args.folder, args.against)
    print("\n".join(differing) or "no difference")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
