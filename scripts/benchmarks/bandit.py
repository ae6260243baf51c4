"""What the bandit costs.

A suggestion, the growth with the population, and its share of a real round. A
suggestion is a fit and a search, as the strategy calls them, over the nine
hyperparameters and the context. The rival in the same run is the same fit and search
written plainly with GPyTorch: the same starts, bounds and numbers of steps, PyTorch's
L-BFGS for the fit, all walks of the search in one batch.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import numpy as np

from bgpbt.gp import acquisition, fit, trust_region
from bgpbt.gp.bandit import make_bandit
from bgpbt.gp.history import History
from bgpbt.gp.in_turn import Situation
from bgpbt.gp.inference import make_inference
from bgpbt.space import SearchSpace
from bgpbt.strategies.bgpbt import bgpbt
from bgpbt.tasks.ppo.spaces import hyperparameter_space
from bgpbt.types import Outcome, Strategy
from scripts.benchmarks.cases import small_options
from scripts.benchmarks.control import outside, timed_run
from scripts.benchmarks.figures import Figure, Result, Target, interleave, median, ratio

SPACE = hyperparameter_space(64)
COUNTS = (100, 1000)  # observations
POPULATIONS = (8, 64, 512)
LAST = np.arange(8)  # of eight members, the last one asks
Measured = dict[str, list[float]]


def run(quick: bool, repeats: int, say: Callable) -> Result:
    """Interleaved repeats of suggestions and decisions, then a few real rounds."""
    counts = (20, 40) if quick else COUNTS
    sizes = (8, 16) if quick else POPULATIONS
    suggestions = {count: Suggestion(count) for count in counts}
    for count, suggestion in suggestions.items():
        seconds = suggestion.compile_seconds
        say(f"a suggestion at {count} observations compiled in {seconds:.1f} s")
    cases = {f"suggestion {count}": call for count, call in suggestions.items()}
    for size in sizes:
        strategy = bgpbt(SPACE, ("all",), quantile_fraction=0.125)
        cases[f"members {size}"] = Step(size, strategy, SPACE)
    try:
        cases["gpytorch"] = Rival(counts[0])
    except ImportError:
        say("GPyTorch is not installed: the rival is left out")
    measured = interleave(cases, repeats, say)
    compiling = {n: call.compile_seconds for n, call in suggestions.items()}
    what = "everything outside training and evaluation"
    share = share_of_a_round(quick, 3)
    figures = [
        *_suggestion_figures(measured, compiling),
        *_decision_figures(measured, sizes),
        median(what, "% of a round", share, Target("<=", 2)),
    ]
    settings = {
        "dimensions": len(SPACE),
        "starts": fit.STARTS,
        "walks": acquisition.STARTS,
    }
    return Result("bandit", settings, figures, quick)


def bumps(config: np.ndarray) -> np.ndarray:
    """Squared distance of the first dimensions from where they are best. Shape `[N]`.

    Args:
      config: in the unit cube. Shape `[N, D]`.
    """
    return ((config[:, :3] - 0.6) ** 2).sum(axis=1)


def observed(count: int) -> History:
    """A full history of `count` rows.

    Their changes of fitness depend on a few dimensions.
    """
    rng = np.random.default_rng(0)
    config = rng.uniform(size=(count, len(SPACE))).astype(np.float32)
    cost = -np.exp(-8 * bumps(config)) + 0.1 * rng.normal(size=count)
    rounds = (np.arange(count) // 8).astype(np.float32)
    valid = np.ones(count, bool)
    return History(config, rounds * 50, rounds, cost.astype(np.float32), valid)


class Suggestion:
    """One fit and one search at a full history, timed by calling it."""

    def __init__(self, count: int, name: str = "jax"):
        self.rows = observed(count)
        self.bandit = make_bandit(SPACE, make_inference(name))
        prior_mean, _ = fit.prior(len(SPACE) + 1, 0)
        self.raw = jax.tree.map(lambda x: np.asarray(x, np.float32), prior_mean)
        self.calls = 0
        began = time.perf_counter()
        self()
        self.compile_seconds = time.perf_counter() - began

    def __call__(self) -> float:
        """Seconds."""
        rows = self.rows
        key = jax.random.PRNGKey(self.calls)
        self.calls += 1
        asked = Situation(
            rows.config[-8:], rows.context[-8:], LAST < 7, np.int32(rows.time[-1] + 1)
        )
        region = jax.tree.map(np.asarray, trust_region.start())
        began = time.perf_counter()
        self.raw, _ = self.bandit.fit(key, self.raw, rows)
        self.bandit.suggest(key, self.raw, rows, asked, LAST == 7, region)
        return time.perf_counter() - began


class Step:
    """A round's decision in a population of some size, timed by calling it.

    The strategy has seen `rows` members' rounds before and is compiled.
    """

    def __init__(
        self, size: int, strategy: Strategy, space: SearchSpace, rows: int = 100
    ):
        self.size = size
        self.round = 0
        self.strategy = strategy
        self.rng = np.random.default_rng(0)
        config = self.rng.uniform(size=(size, len(space))).astype(np.float32)
        self.outcome = self.outcome_of(config, np.zeros(size))
        self.state = self.strategy.init(jax.random.PRNGKey(0), self.outcome)
        while self.round < -(-rows // size) + 1:
            self()

    def outcome_of(self, config: np.ndarray, fitness: np.ndarray) -> Outcome:
        """What the strategy sees."""
        fitness = fitness.astype(np.float32)
        clock = np.full(self.size, 1000 * self.round, np.int32)
        active = np.ones(self.size, bool)
        return Outcome(config, fitness, fitness[:, None], clock, clock, active)

    def __call__(self) -> float:
        """Seconds of one decision."""
        self.round += 1
        config = self.outcome.config
        gain = 1 - bumps(config) + 0.1 * self.rng.normal(size=self.size)
        outcome = self.outcome_of(config, self.outcome.fitness + gain)
        began = time.perf_counter()
        step = self.strategy.step(jax.random.PRNGKey(self.round), self.state, outcome)
        self.state, decision = jax.block_until_ready(step)
        seconds = time.perf_counter() - began
        parents = np.asarray(decision.parents)[:, 0]
        config = np.asarray(decision.config)
        self.outcome = self.outcome_of(config, outcome.fitness[parents])
        return seconds


class Rival:
    """The same suggestion, plainly with GPyTorch; the same kinds of dimensions."""

    def __init__(self, count: int):
        from scripts.benchmarks import gpytorch_bandit

        self.plain = gpytorch_bandit
        self.rows = observed(count)

    def __call__(self) -> float:
        """Seconds."""
        began = time.perf_counter()
        self.plain.suggest(SPACE, self.rows)
        return time.perf_counter() - began


def share_of_a_round(quick: bool, repeats: int) -> list[float]:
    """Percent of real rounds that were neither training nor evaluation, with BG-PBT."""
    steps = 2000 if quick else 100_000
    length = steps * (repeats + 3) - steps // 2
    options = small_options(
        quick, strategy="bgpbt", t_ready=steps, max_timesteps=length
    )
    with tempfile.TemporaryDirectory() as folder:
        # The first decision compiles the bandit: its round is left out beside the
        # first one.
        rounds = timed_run(options, Path(folder) / "run")[1:]
    return [100 * outside(r) / r["round"] for r in rounds]


def _suggestion_figures(
    measured: Measured, compiling: dict[int, float]
) -> list[Figure]:
    fewest, most = compiling
    few, many = (measured[f"suggestion {count}"] for count in compiling)
    at_fewest = f"{fewest} observations"
    figures = [
        median(f"one suggestion at {at_fewest}", "s", few, Target("<=", 0.2)),
        median(f"one suggestion at {most} observations", "s", many, Target("<=", 2)),
    ]
    for count, seconds in compiling.items():
        figures.append(Figure(f"compiling, {count} observations", seconds, "s"))
    if theirs := measured.get("gpytorch"):
        figures += [
            median(f"the same with GPyTorch, {at_fewest}", "s", theirs),
            ratio("GPyTorch / ours", theirs, few),
        ]
    return figures


def _decision_figures(measured: Measured, sizes: Sequence[int]) -> list[Figure]:
    first = measured[f"members {sizes[0]}"]
    figures = []
    for size in sizes:
        seconds = measured[f"members {size}"]
        figures.append(median(f"a decision for {size} members", "s", seconds))
        if size != sizes[0]:
            target = Target("<=", size / sizes[0])
            what = f"the same against {sizes[0]} members"
            figures.append(ratio(what, seconds, first, target))
    return figures
