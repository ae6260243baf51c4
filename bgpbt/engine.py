"""What all seeds of a run share, and what is measured with it: configurations drawn, populations trained and evaluated."""

import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from bgpbt import space as spaces
from bgpbt.display import Display
from bgpbt.options import Options
from bgpbt.population import Ahead, Arrangement, Programs, Purpose, compile_ahead, make_programs
from bgpbt.types import Strategy, Task, TrainState


class Engine(NamedTuple):
    """What all seeds of a run share: compiled once."""

    options: Options
    task: Task
    strategy: Strategy
    programs: Programs


class Measured(NamedTuple):
    """A population's figures on the host after training or at the start."""

    returns: np.ndarray  # [P, E], NaN-padded
    fitness: np.ndarray  # [P], NaN = failed
    failures: list[str]  # why each member failed, in words; "" where it did not
    env_steps: int  # simulated
    seconds: float
    train_seconds: float


def make_engine(options: Options, task: Task, strategy: Strategy, arrangement: Arrangement, *, ahead: bool = True) -> Engine:
    """Builds the programs; `ahead` starts to compile the large ones, which training needs and looking at a run does not."""
    programs = make_programs(task, options.pop_size, arrangement)
    if ahead:
        programs = compile_ahead(programs, task, options.pop_size, arrangement)
        strategy = _prepare_ahead(strategy, options.pop_size)
    return Engine(options, task, strategy, programs)


def _prepare_ahead(strategy: Strategy, size: int) -> Strategy:
    """The strategy, being prepared in the background: its first step waits for that."""
    worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="prepare")

    def ready():
        strategy.prepare(size)
        return strategy.step

    step = Ahead(worker.submit(ready))
    worker.shutdown(wait=False)
    return strategy._replace(step=step)


def first_configs(engine: Engine, seed: int) -> np.ndarray:
    """Configurations of the initial candidates, in whole groups of the population's size. Shape `[groups * P, D]`."""
    options, space = engine.options, engine.task.space
    groups = -(-options.candidates // options.pop_size)
    if options.freeze == "default":
        config = np.asarray(spaces.encode(space, spaces.defaults(space)), np.float32)
        return np.tile(config, (groups * options.pop_size, 1))
    members = np.arange(groups * options.pop_size, dtype=np.int32).reshape(groups, -1)
    return np.concatenate([np.asarray(engine.programs.configure(np.uint32(seed), group)) for group in members])


def initialise(engine: Engine, seed: int, group: int, config: np.ndarray) -> TrainState:
    """Untrained members of one group of candidates. `config`: shape `[P, D]`."""
    members = np.arange(len(config), dtype=np.int32) + group * len(config)
    return engine.programs.init(np.uint32(seed), members, config)


def evaluate(engine: Engine, seed: int, round_: int, active, population: TrainState, config, purpose=Purpose.evaluate):
    """Returns `[P, E]`, steps, and whether the weights are finite `[P]`.

    In a round all members meet the same start states, which takes the luck of the start out of the ranking.
    """
    draws = np.arange(len(config), dtype=np.int32) * (purpose == Purpose.report)
    scalars = np.uint32(seed), np.int32(round_), np.int32(purpose)
    out = engine.programs.evaluate(*scalars, draws, active, population, config)
    returns, steps, finite = (np.asarray(x) for x in out)
    return returns.astype(np.float64), int(steps.sum(dtype=np.int64)), finite


def measure_untrained(engine: Engine, seed: int, active, population: TrainState, config: np.ndarray) -> Measured:
    """Evaluates an untrained population; only `active` members `[P]` play."""
    began = time.monotonic()
    returns, steps, finite = evaluate(engine, seed, 0, active, population, config)
    checks = [("weights", finite), ("returns", np.isfinite(returns).all(axis=1))]
    return _measured(returns, checks, active, steps, began, 0.0)


def train(
    engine: Engine, seed, round_, updates, active, population, config, group, display: Display | None = None
) -> tuple[TrainState, Measured]:
    """Trains and evaluates a population; its buffers are donated."""
    began = time.monotonic()
    members = np.arange(len(config), dtype=np.int32) + group * len(config)
    population, metrics = engine.programs.train(
        np.uint32(seed), np.int32(round_), np.int32(updates), members, active, population, config
    )
    metrics = {name: np.asarray(x) for name, x in metrics.items()}
    train_seconds = time.monotonic() - began
    env_steps = int(metrics["env_steps"].sum(dtype=np.int64))
    checks = [("loss", np.isfinite(metrics["loss"])), ("environments", metrics["world_finite"])]
    if engine.task.fitness_from_training:
        returns, finite = metrics["episode_returns"].astype(np.float64), metrics["weights_finite"]
        usable = np.isfinite(returns).any(axis=1)  # NaN: no episode ended there
    else:
        if display:
            display.phase("evaluating", f"round {round_}")
        returns, steps, finite = evaluate(engine, seed, round_, active, population, config)
        usable = np.isfinite(returns).all(axis=1)
        env_steps += steps
    checks = [("weights", finite), *checks, ("returns", usable)]
    return population, _measured(returns, checks, active, env_steps, began, train_seconds)


def _measured(returns: np.ndarray, checks: list, active, env_steps: int, began: float, train_seconds: float) -> Measured:
    """Fitness is the mean of the returns; a member that fails a check has none, and an idle one fails none."""
    failures = [" and ".join(name for name, good in checks if active[i] and not good[i]) for i in range(len(returns))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean of nothing
        mean = np.nanmean(returns, axis=1)
    fitness = np.where([not f for f in failures], mean, np.nan)
    return Measured(returns, fitness, failures, env_steps, time.monotonic() - began, train_seconds)


def join(parts: list[Measured], keep) -> Measured:
    """The figures of several groups as one, then of the rows `keep`; steps are the caller's to count."""
    failures = np.concatenate([np.array(m.failures, dtype=object) for m in parts])[keep]
    return Measured(
        returns=np.concatenate([m.returns for m in parts])[keep],
        fitness=np.concatenate([m.fitness for m in parts])[keep],
        failures=list(failures),
        env_steps=0,
        seconds=sum(m.seconds for m in parts),
        train_seconds=sum(m.train_seconds for m in parts),
    )
