"""What the bandit costs: a suggestion, the growth with the population, and its share of a real round.

A suggestion is a fit and a search, as the strategy calls them, over the nine hyperparameters and the context. The rival
in the same run is the same fit and search written plainly with GPyTorch: the same starts, bounds and numbers of steps,
PyTorch's L-BFGS for the fit, all walks of the search in one batch.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

from bgpbt.gp import acquisition, fit, trust_region
from bgpbt.gp.bandit import make_bandit, pending_rows
from bgpbt.gp.engines import engine
from bgpbt.gp.history import History
from bgpbt.space import SearchSpace
from bgpbt.strategies.bgpbt import bgpbt
from bgpbt.tasks.ppo import hyperparameter_space
from bgpbt.types import Outcome, Strategy
from scripts.benchmarks.cases import small_options
from scripts.benchmarks.control import timed_run
from scripts.benchmarks.figures import Bar, Figure, Result, interleave, median, ratio

SPACE = hyperparameter_space(64)
POPULATIONS = (8, 64, 512)


def observed(count: int) -> History:
    """A full history of `count` rows whose changes of fitness depend on a few dimensions."""
    rng = np.random.default_rng(0)
    config = rng.uniform(size=(count, len(SPACE))).astype(np.float32)
    cost = -np.exp(-8 * ((config[:, :3] - 0.6) ** 2).sum(axis=1)) + 0.1 * rng.normal(size=count)
    time_ = (np.arange(count) // 8).astype(np.float32)
    return History(config, time_ * 50, time_, cost.astype(np.float32), np.ones(count, bool))


class Suggestion:
    """One fit and one search at a full history, timed by calling it."""

    def __init__(self, count: int, name: str = "jax"):
        self.rows, self.bandit = observed(count), make_bandit(SPACE, engine(name))
        self.raw = jax.tree.map(lambda x: np.asarray(x, np.float32), fit.prior(len(SPACE) + 1, 0)[0])
        self.number = 0
        began = time.perf_counter()
        self()
        self.compile_seconds = time.perf_counter() - began

    def __call__(self) -> float:
        """Seconds."""
        key, rows = jax.random.PRNGKey(self.number), self.rows
        self.number += 1
        donor, round_ = rows.config[-1], np.int32(rows.time[-1] + 1)
        began = time.perf_counter()
        self.raw, _ = self.bandit.learn(key, self.raw, rows)
        busy = pending_rows(rows.config[-8:], rows.context[-8:], round_, np.arange(7), donor, 8)
        region = jax.tree.map(np.asarray, trust_region.start())
        self.bandit.suggest(key, self.raw, rows, busy, donor, rows.context[-1], region, round_)
        return time.perf_counter() - began


class Step:
    """A round's decision in a population of some size, once the strategy has seen `rows` members' rounds and is compiled."""

    def __init__(self, size: int, strategy: Strategy, space: SearchSpace, rows: int = 100):
        self.size, self.round = size, 0
        self.strategy, self.rng = strategy, np.random.default_rng(0)
        config = self.rng.uniform(size=(size, len(space))).astype(np.float32)
        self.outcome = self.told(config, np.zeros(size))
        self.state = self.strategy.init(jax.random.PRNGKey(0), self.outcome)
        while self.round < -(-rows // size) + 1:
            self()

    def told(self, config, fitness) -> Outcome:
        """What the strategy sees."""
        fitness, clock = fitness.astype(np.float32), np.full(self.size, 1000 * self.round, np.int32)
        return Outcome(config, fitness, fitness[:, None], clock, clock, np.ones(self.size, bool))

    def __call__(self) -> float:
        """Seconds of one decision."""
        self.round += 1
        gain = 1 - ((self.outcome.config[:, :3] - 0.6) ** 2).sum(axis=1) + 0.1 * self.rng.normal(size=self.size)
        outcome = self.told(self.outcome.config, self.outcome.fitness + gain)
        began = time.perf_counter()
        step = self.strategy.step(jax.random.PRNGKey(self.round), self.state, outcome)
        self.state, decision = jax.block_until_ready(step)
        seconds = time.perf_counter() - began
        parents = np.asarray(decision.parents)[:, 0]
        self.outcome = self.told(np.asarray(decision.config), outcome.fitness[parents])
        return seconds


class Rival:
    """The same suggestion, plainly with GPyTorch, floats and whole numbers as in ours."""

    def __init__(self, count: int):
        from scripts.benchmarks import gpytorch_bandit

        self.plain, self.rows = gpytorch_bandit, observed(count)

    def __call__(self) -> float:
        """Seconds."""
        began = time.perf_counter()
        self.plain.suggest(SPACE, self.rows)
        return time.perf_counter() - began


def share_of_a_round(quick: bool, repeats: int) -> list[float]:
    """Percent of real rounds that were neither training nor evaluation, with BG-PBT."""
    steps = 2000 if quick else 100_000
    options = small_options(quick, strategy="bgpbt", t_ready=steps, max_timesteps=steps * (repeats + 3) - steps // 2)
    with tempfile.TemporaryDirectory() as folder:
        # The first decision compiles the bandit: its round is left out beside the first one.
        rounds = timed_run(options, Path(folder) / "run")[1:]
    return [100 * (r["round"] - r["train"] - r["evaluate"]) / r["round"] for r in rounds]


def run(quick: bool, repeats: int, say: Callable) -> Result:
    """Interleaved repeats of suggestions and decisions, then a few real rounds."""
    counts, sizes = ((20, 40), (8, 16)) if quick else ((100, 1000), POPULATIONS)
    ours = {count: Suggestion(count) for count in counts}
    for count, one in ours.items():
        say(f"a suggestion at {count} observations compiled in {one.compile_seconds:.1f} s")
    steps = {size: Step(size, bgpbt(SPACE, ("all",), quantile_fraction=0.125), SPACE) for size in sizes}
    cases = {f"suggestion {count}": one for count, one in ours.items()} | {
        f"members {size}": step for size, step in steps.items()
    }
    try:
        cases["gpytorch"] = Rival(counts[0])
    except ImportError:
        say("GPyTorch is not installed: the rival is left out")
    found = interleave(cases, repeats, say)
    figures = [
        median(f"one suggestion at {counts[0]} observations", "s", found[f"suggestion {counts[0]}"], Bar("<=", 0.2)),
        median(f"one suggestion at {counts[1]} observations", "s", found[f"suggestion {counts[1]}"], Bar("<=", 2)),
        *(Figure(f"compiling, {count} observations", one.compile_seconds, "s") for count, one in ours.items()),
    ]
    if "gpytorch" in found:
        figures.append(median(f"the same with GPyTorch, {counts[0]} observations", "s", found["gpytorch"]))
        figures.append(ratio("GPyTorch / ours", found["gpytorch"], found[f"suggestion {counts[0]}"]))
    first = found[f"members {sizes[0]}"]
    for size in sizes:
        figures.append(median(f"a decision for {size} members", "s", found[f"members {size}"]))
        if size != sizes[0]:
            bar = Bar("<=", size / sizes[0])
            figures.append(ratio(f"the same against {sizes[0]} members", found[f"members {size}"], first, bar))
    figures.append(median("everything outside training and evaluation", "% of a round", share_of_a_round(quick, 3), Bar("<=", 2)))
    return Result("bandit", {"dimensions": len(SPACE), "starts": fit.STARTS, "walks": acquisition.STARTS}, figures, quick)
