"""The problems of `compare_strategies.py`, and how a strategy is run on them."""

import tempfile
from collections.abc import Container
from functools import cache

import bgpbt
from bgpbt.config.loading import load_options
from bgpbt.config.lookup import kwargs_from, resolve
from bgpbt.config.options import Options
from bgpbt.registry import STRATEGIES
from bgpbt.tasks.toy import BEST as TOY_BEST
from bgpbt.types import Task
from scripts.bandit_regret import play
from scripts.benchmarks.bandit_functions import FUNCTIONS, ROUNDS

POPULATION = 8
COMMON = {
    "pop_size": POPULATION,
    "n_init": POPULATION,
    "quantile_fraction": 0.25,
    "frequencies": (1, 4),
    "interval": 4,
    "render": False,
}
# Problems that the engine runs: their settings.
RUNS = {
    "quadratic": {"task": "toy", "problem": "quadratic"},
    "deceptive": {"task": "toy", "problem": "deceptive"},
    "digits": {"task": "classification", "problem": "digits"},
    "digits, cells": {
        "task": "classification",
        "problem": "digits",
        "search_mode": "nas",
        "max_distillation": 1,  # of bgpbt: 7 rounds, then 4 of distillation, 20 in all
        "distill_every": 126,
        "t_distillation": 72,
    },
}
TOYS = ("quadratic", "deceptive")
SEARCHERS = (
    "bgpbt",
    "pb2",
    "pb2mix",
    "pbt",
    "mfpbt",
    "ipbt",
    "firepbt",
    "sha",
    "random",
)
ARCHITECTURE_SEARCHERS = ("bgpbt", "pbtnas", "mutation", "sha", "random")
# Which strategies can search, and on which problems.
GROUPS = {
    "functions": (SEARCHERS, tuple(FUNCTIONS)),
    "digits": (SEARCHERS, ("digits",)),
    "digits, cells": (ARCHITECTURE_SEARCHERS, ("digits, cells",)),
}
# What the toys' usual settings mean for pbt's noise.
OWN = {"mfpbt": {"perturb_scale": 0.2}}
QUICK = {"t_ready": 4, "max_timesteps": 12, "max_distillation": 0}
ROUNDS_QUICK = 4  # of a function


def pairs(problems: Container[str]) -> list[tuple[str, str]]:
    """Each of the problems with every strategy that can search there."""
    groups = [(SEARCHERS, TOYS), *GROUPS.values()]
    return [
        (problem, strategy)
        for strategies, names in groups
        for problem in names
        for strategy in strategies
        if problem in problems
    ]


def options_of(
    problem: str, strategy: str, seeds: tuple[int, ...], save_dir: str, quick: bool
) -> Options:
    """The settings of runs."""
    values = COMMON | RUNS[problem] | OWN.get(strategy, {})
    values |= {"strategy": strategy, "seed": seeds, "save_dir": save_dir}
    return load_options(values | (QUICK if quick else {}))


def what(problem: str, quick: bool) -> str:
    """What results of a problem have in common: only such ones are put together."""
    if problem in FUNCTIONS:
        return f"{POPULATION} members, {_rounds(quick)} rounds"
    options = options_of(problem, "random", (0,), "unused", quick)
    steps, length = options.max_timesteps, options.t_ready
    return f"{POPULATION} members, {steps} steps, rounds of {length}"


def _rounds(quick: bool) -> int:
    return ROUNDS_QUICK if quick else ROUNDS


@cache
def task_of(problem: str) -> Task:
    """One task for all strategies."""
    return bgpbt.make_task(options_of(problem, "random", (0,), "unused", False))


def by_engine(
    problem: str, strategy: str, seeds: tuple[int, ...], quick: bool
) -> list[dict]:
    """Runs of a strategy: their scores and steps."""
    best = TOY_BEST if RUNS[problem]["task"] == "toy" else 1.0
    with tempfile.TemporaryDirectory() as folder:
        options = options_of(problem, strategy, seeds, folder, quick)
        results = bgpbt.run_seeds(options, task_of(problem))
        reports = [result.report for result in results]
    return [
        {
            "score": max(report["mean"] / best, 0.0),
            "steps": report["env_steps_total"],
            "curve": "",
        }
        for report in reports
    ]


def by_play(
    problem: str, strategy: str, seeds: tuple[int, ...], quick: bool
) -> list[dict]:
    """Plays of a function; the curve is the regret of every round."""
    function = FUNCTIONS[problem]
    rounds = _rounds(quick)
    build = resolve("strategy", strategy, STRATEGIES)
    own = {"task": "toy", "strategy": strategy, "t_ready": 1, "max_timesteps": rounds}
    settings = kwargs_from(Options(**COMMON, **own), build)
    player = build(function.space, ("all",), **settings)
    results = []
    for seed in seeds:
        regret = play(function, player, seed, rounds)
        result = {
            "score": 1 - regret.mean(),
            "steps": POPULATION * rounds,
            "curve": " ".join(f"{x:.4f}" for x in regret),
        }
        results.append(result)
    return results
