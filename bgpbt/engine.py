"""What all seeds of a run share, and what is measured with it: configurations drawn, populations trained and evaluated.

`P` members; `M` slots, a multiple of P, in groups of P that go through the same programs; `D` dimensions, `E` episodes.
"""

import time
import warnings
from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from bgpbt import generations
from bgpbt import space as spaces
from bgpbt.display import Display
from bgpbt.options import Options
from bgpbt.population import (
    Ahead,
    Arrangement,
    Programs,
    Purpose,
    compile_ahead,
    make_programs,
    regroup,
    repad,
    replicate,
)
from bgpbt.shapes import member_shapes
from bgpbt.space import SearchSpace
from bgpbt.strategies import architectures
from bgpbt.strategies.architectures import Propose
from bgpbt.types import Lesson, Progress, PyTree, Strategy, Task, TrainState

Groups = tuple[TrainState, ...]


class Engine(NamedTuple):
    """What all seeds of a run share: compiled once."""

    options: Options
    task: Task
    strategy: Strategy
    programs: tuple[Programs, ...]  # of each padded size, ascending
    arrangement: Arrangement
    data: PyTree = ()  # the task's, on the devices
    propose: Propose | None = None  # architectures for a new generation

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The task in each padded size."""
        return (*self.task.ladder, self.task)


class Measured(NamedTuple):
    """A population's figures on the host after training or at the start."""

    returns: np.ndarray  # [M, E], NaN-padded
    fitness: np.ndarray  # [M], NaN = failed
    failures: list[str]  # why each member failed, in words; "" where it did not
    env_steps: int  # simulated
    seconds: float
    train_seconds: float


def make_engine(options: Options, task: Task, strategy: Strategy, arrangement: Arrangement, *, ahead: bool = True) -> Engine:
    """Builds the programs; with `ahead` the large ones are compiled in the background once they are begun."""
    tasks = (*task.ladder, task)
    programs = tuple(make_programs(sized, options.pop_size, arrangement) for sized in tasks)
    if ahead:
        programs = tuple(
            compile_ahead(one, (sized, task), options.pop_size, arrangement) for one, sized in zip(programs, tasks, strict=True)
        )
        strategy = _prepare_ahead(strategy, options.pop_size)
    propose = None
    if options.generations and options.arch_policy == "search":
        propose = Ahead(partial(_prepared_search, options, generations.only_architecture(task.space)))
        if ahead:
            propose.begin()
    return Engine(options, task, strategy, programs, arrangement, replicate(task.data, arrangement), propose)


def _prepared_search(options: Options, space: SearchSpace) -> Propose:
    """The search over architectures, compiled by an imagined proposal."""
    propose = architectures.searched(space, gp=options.gp)
    propose(jax.random.PRNGKey(0), architectures.every(space)[:1], np.zeros(1), options.candidates // 2)
    return propose


def _prepare_ahead(strategy: Strategy, size: int) -> Strategy:
    """The strategy, being prepared in the background: its first step waits for that."""

    def ready():
        strategy.prepare(size)
        return strategy.step

    step = Ahead(ready)
    step.begin()
    return strategy._replace(step=step)


def compile_for(engine: Engine, sizes: np.ndarray, names: tuple[str, ...], display: Display) -> None:
    """Waits until the programs `names` of these padded sizes are compiled, on all cores."""
    wanted = [getattr(engine.programs[size], name) for size in sorted(set(sizes.tolist())) for name in names]
    wanted = [program for program in wanted if not program.ready]
    if wanted:
        display.phase("compiling", f"{len(wanted)} programs")
    for program in wanted:
        program.begin()
    for program in wanted:
        program.wait()


def sizes_of(engine: Engine, config: np.ndarray) -> np.ndarray:
    """The smallest padded size that holds each configuration `[M, D]`, as its place on the task's ladder. Shape `[M]`."""
    return np.argmax([task.fits(config) for task in engine.tasks], axis=0)


def into_groups(engine: Engine, config: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sorts configurations `[m, D]` by size and fills the last group up with copies that stay idle.

    Returns:
      Their order, shape `[M]`, the padded size of each group, shape `[M / P]`, and which slots are active, shape `[M]`.
    """
    sizes, members = sizes_of(engine, config), engine.options.pop_size
    order = np.argsort(sizes, kind="stable")
    order = np.append(order, np.repeat(order[-1:], -len(order) % members))
    return order, sizes[order].reshape(-1, members).max(axis=1), np.arange(len(order)) < len(config)


def draw_configs(engine: Engine, seed: int, number: int) -> np.ndarray:
    """At least `number` random configurations, architectures at the centres of their bins. Shape `[n * P, D]`."""
    size, space = engine.options.pop_size, engine.task.space
    groups = np.arange(-(-number // size) * size, dtype=np.int32).reshape(-1, size)
    drawn = np.concatenate([np.asarray(engine.programs[-1].configure(np.uint32(seed), members)) for members in groups])
    return spaces.settle(space, drawn)


def first_configs(engine: Engine, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The initial candidates in groups: configurations `[M, D]`, sizes `[M / P]`, who is active `[M]`."""
    options, space = engine.options, engine.task.space
    config = draw_configs(engine, seed, options.candidates)[: options.candidates]
    key = jax.random.fold_in(jax.random.PRNGKey(seed), Purpose.configure)
    config = np.asarray(engine.strategy.draw(key, config), np.float32)
    if engine.task.first is not None:
        config = np.resize(engine.task.first, config.shape).astype(np.float32)
    if options.freeze == "default":
        config = np.tile(np.asarray(spaces.encode(space, spaces.defaults(space)), np.float32), (len(config), 1))
    order, sizes, active = into_groups(engine, config)
    return config[order], sizes, active


def initialise(engine: Engine, seed: int, round_: int, sizes: np.ndarray, config: np.ndarray) -> Groups:
    """Untrained members in groups of the given padded sizes. `config`: shape `[M, D]`."""
    members = np.split(np.arange(len(config), dtype=np.int32), len(sizes))
    return tuple(
        engine.programs[size].init(np.uint32(seed), np.int32(round_), slots, config[slots])
        for size, slots in zip(sizes, members, strict=True)
    )


def pick(engine: Engine, groups: Groups, member: int) -> TrainState:
    """One member without its world, in the padding of its group."""
    group, slot = divmod(int(member), engine.options.pop_size)
    return engine.programs[0].pick(groups[group], np.int32(slot))


def in_size(engine: Engine, member: TrainState, size: int) -> TrainState:
    """A member without its world, in another padding, which holds its networks."""
    like = member_shapes(engine.tasks[size])._replace(world=())
    if jax.tree.all(jax.tree.map(lambda x, y: x.shape == y.shape, member, like)):
        return member
    return jax.tree.map(lambda x, old: jax.device_put(x, old.sharding), repad(jax.device_get(member), like), member)


def regrouped(engine: Engine, groups: Groups, take: np.ndarray, sizes: np.ndarray) -> Groups:
    """New groups of the members `take` `[M]`, counted through `groups`, in the padded sizes `[M / P]`."""
    return tuple(
        regroup(groups, rows, engine.tasks[size], engine.arrangement)
        for rows, size in zip(np.split(take, len(sizes)), sizes, strict=True)
    )


def evaluate(
    engine: Engine, size: int, seed: int, round_: int, active, population, config, purpose=Purpose.evaluate, unseen: PyTree = None
):
    """Returns `[P, E]` of one group, steps, and whether the weights are finite `[P]`.

    In a round all members meet the same start states, which takes the luck of the start out of the ranking; a report has its
    own for each. `unseen`: data in the place of the task's own.
    """
    draws = np.arange(len(config), dtype=np.int32) * (purpose == Purpose.report)
    scalars = np.uint32(seed), np.int32(round_), np.int32(purpose)
    programs = engine.programs[size]
    program, data = (programs.evaluate, engine.data) if unseen is None else (programs.unseen, unseen)
    out = program(*scalars, draws, active, population, config, data)
    returns, steps, finite = (np.asarray(x) for x in out)
    return returns.astype(np.float64), int(steps.sum(dtype=np.int64)), finite


def measure_untrained(engine: Engine, seed: int, sizes: np.ndarray, active, groups: Groups, config: np.ndarray) -> Measured:
    """Evaluates untrained groups; only `active` members `[M]` play."""
    parts = []
    for size, slots, population in _each(sizes, groups):
        began = time.monotonic()
        returns, steps, finite = evaluate(engine, size, seed, 0, active[slots], population, config[slots])
        checks = [("weights", finite), ("returns", np.isfinite(returns).all(axis=1))]
        parts.append(_measured(returns, checks, active[slots], steps, began, 0.0))
    return _join(parts)


def train(
    engine: Engine, progress: Progress, groups: Groups, updates: int, lesson: Lesson | tuple[()], display: Display
) -> tuple[Groups, Measured]:
    """Trains and evaluates the groups for the round to come, one after the other; their buffers are donated.

    Args:
      engine: the programs.
      progress: seed, round, padded sizes, who is active, configurations.
      groups: the population, or the candidates of a tournament.
      updates: of each member.
      lesson: what students learn from, or ().
      display: told what happens.
    """
    trained, parts, number = [], [], int(progress.round) + 1
    for size, slots, population in _each(progress.sizes, groups):
        where = f"round {number}" + (f", group {len(parts) + 1} of {len(groups)}" if len(groups) > 1 else "")
        display.phase("distilling" if lesson else "training", where)
        population, measured = _train_group(engine, progress, size, slots, population, updates, lesson, display)
        trained.append(population)
        parts.append(measured)
    return tuple(trained), _join(parts)


def _each(sizes: np.ndarray, groups: Groups):
    """Padded size, slots and state of every group that someone is in."""
    slots = np.split(np.arange(len(sizes) * len(jax.tree.leaves(groups[0].params)[0])), len(sizes))
    return zip((int(size) for size in sizes), slots, groups, strict=True)


def _train_group(engine: Engine, progress: Progress, size: int, slots, population, updates, lesson, display):
    began, seed, number = time.monotonic(), int(progress.seed), int(progress.round) + 1
    active, config = progress.active[slots], progress.config[slots]
    programs, scalars = engine.programs[size], (np.uint32(seed), np.int32(number), np.int32(updates))
    arguments = (*scalars, slots.astype(np.int32), active, population, config, engine.data)
    population, metrics = programs.distil(*arguments, lesson) if lesson else programs.train(*arguments)
    metrics = {name: np.asarray(x) for name, x in metrics.items()}
    train_seconds = time.monotonic() - began
    env_steps = int(metrics["env_steps"].sum(dtype=np.int64))
    checks = [("loss", np.isfinite(metrics["loss"])), ("environments", metrics["world_finite"])]
    if engine.task.fitness_from_training:
        returns, finite = metrics["episode_returns"].astype(np.float64), metrics["weights_finite"]
        usable = judgeable(returns, some=True)
    else:
        display.phase("evaluating", f"round {number}")
        returns, steps, finite = evaluate(engine, size, seed, number, active, population, config)
        usable = judgeable(returns)
        env_steps += steps
    checks = [("weights", finite), *checks, ("returns", usable)]
    return population, _measured(returns, checks, active, env_steps, began, train_seconds)


def judgeable(returns: np.ndarray, *, some: bool = False) -> np.ndarray:
    """Members whose returns `[P, E]` are finite: all, or `some` and the others NaN, as where no episode ended. Shape `[P]`."""
    finite = np.isfinite(returns)
    return finite.any(axis=1) & (finite | np.isnan(returns)).all(axis=1) if some else finite.all(axis=1)


def _measured(returns: np.ndarray, checks: list, active, env_steps: int, began: float, train_seconds: float) -> Measured:
    """Fitness is the mean of the returns; a member that fails a check has none, and an idle one fails none."""
    failures = [" and ".join(name for name, good in checks if active[i] and not good[i]) for i in range(len(returns))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean of nothing
        mean = np.nanmean(returns, axis=1)
    fitness = np.where([not f for f in failures], mean, np.nan)
    return Measured(returns, fitness, failures, env_steps, time.monotonic() - began, train_seconds)


def _join(parts: list[Measured]) -> Measured:
    """The figures of several groups as one."""
    return Measured(
        returns=np.concatenate([m.returns for m in parts]),
        fitness=np.concatenate([m.fitness for m in parts]),
        failures=[failure for m in parts for failure in m.failures],
        env_steps=sum(m.env_steps for m in parts),
        seconds=sum(m.seconds for m in parts),
        train_seconds=sum(m.train_seconds for m in parts),
    )
