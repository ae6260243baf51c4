"""Training and evaluation of all groups, and their figures on the host.

`P` members, `M` slots in groups of P, `D` dimensions, `E` episodes.
"""

import time
import warnings
from typing import Any, NamedTuple

import jax
import numpy as np

from bgpbt.config.errors import BadInput
from bgpbt.execution.streams import Stream
from bgpbt.training.direction import flip_if_minimised
from bgpbt.training.engine import Engine
from bgpbt.training.groups import GroupedConfigs, Groups, each_group
from bgpbt.training.observer import Observer
from bgpbt.training.run_state import Progress
from bgpbt.types import Distillation, PyTree, Task, TrainState


class Training(NamedTuple):
    """What the training of one group gave, on the host."""

    metrics: dict[str, np.ndarray]  # by name: each [P] or [P, E]
    seconds: float


class Episodes(NamedTuple):
    """What one group got in its episodes, on the host."""

    returns: np.ndarray  # [P, E] float64, larger is better
    env_steps: int  # simulated for them
    weights_finite: np.ndarray  # [P] bool
    columns: dict[str, np.ndarray]  # what else the records hold, each [P]


NO_COLUMNS: dict[str, np.ndarray] = {}


class Evaluation(NamedTuple):
    """The figures of a round, or of the untrained population."""

    returns: np.ndarray  # [M, E], larger is better, NaN-padded
    fitness: np.ndarray  # [M], larger is better, NaN = failed
    failures: list[str]  # why each member failed, in words; "" where it did not
    env_steps: int  # simulated in training and evaluation
    seconds: float  # of training and evaluation
    train_seconds: float
    columns: dict[str, np.ndarray] = NO_COLUMNS  # what else the records hold, each [M]


def train(
    engine: Engine,
    progress: Progress,
    groups: Groups,
    updates: int,
    teaching: Distillation | tuple[()],
    observer: Observer,
) -> tuple[Groups, list[Training]]:
    """Trains the groups for the round to come, one after the other.

    Args:
      engine: the programs.
      progress: seed, round, paddings, who is active, configurations.
      groups: the population, or the candidates of a successive halving. Donated.
      updates: of each member.
      teaching: what students learn from, or `()`.
      observer: told what happens.
    """
    trained = []
    trainings = []
    phase = "distilling" if teaching else "training"
    for padding, slots, group in each_group(engine, progress.paddings, groups):
        where = f"round {int(progress.round) + 1}"
        if len(groups) > 1:
            where += f", group {len(trained) + 1} of {len(groups)}"
        observer.phase(phase, where)
        group, training = _train_group(
            engine, progress, padding, slots, group, updates, teaching
        )
        trained.append(group)
        trainings.append(training)
    return tuple(trained), trainings


def _train_group(
    engine: Engine,
    progress: Progress,
    padding: int,
    slots: np.ndarray,
    group: TrainState,
    updates: int,
    teaching: Distillation | tuple[()],
) -> tuple[TrainState, Training]:
    began = time.monotonic()
    programs = engine.programs[padding]
    arguments = (
        np.uint32(int(progress.seed)),
        np.int32(int(progress.round) + 1),
        np.int32(updates),
        slots.astype(np.int32),
        progress.active[slots],
        group,
        progress.config[slots],
        engine.round_data,
    )
    if teaching:
        group, metrics = programs.distil(*arguments, teaching)
    else:
        group, metrics = programs.train(*arguments)
    metrics = {name: np.asarray(x) for name, x in metrics.items()}
    if engine.task.cache is not None:
        engine.task.cache.add(metrics)
    return group, Training(metrics, time.monotonic() - began)


def evaluate(
    engine: Engine,
    progress: Progress,
    groups: Groups,
    trainings: list[Training],
    observer: Observer,
) -> Evaluation:
    """Judges the groups after their training.

    Args:
      engine: the programs.
      progress: as in the training.
      groups: the trained ones.
      trainings: what their training gave.
      observer: told what happens.
    """
    seed = int(progress.seed)
    round_ = int(progress.round) + 1
    from_training = engine.task.fitness_from_training
    parts = []
    for (padding, slots, group), training in zip(
        each_group(engine, progress.paddings, groups), trainings, strict=True
    ):
        began = time.monotonic()
        metrics = training.metrics
        active = progress.active[slots]
        if from_training:
            episodes = _training_episodes(engine.task, metrics, active)
        else:
            observer.phase("evaluating", f"round {round_}")
            config = progress.config[slots]
            episodes = evaluate_group(
                engine, padding, seed, round_, active, group, config
            )
        checks = _checks(episodes, metrics, allow_missing=from_training)
        trained_steps = int(metrics["env_steps"].sum(dtype=np.int64))
        env_steps = trained_steps + episodes.env_steps
        seconds = training.seconds + time.monotonic() - began
        parts.append(
            _judge(episodes, checks, active, env_steps, seconds, training.seconds)
        )
    return _join(parts)


def _training_episodes(
    task: Task, metrics: dict[str, np.ndarray], active: np.ndarray
) -> Episodes:
    """The episodes that ended in training; its steps are counted there."""
    returns = flip_if_minimised(task, metrics["episode_returns"].astype(np.float64))
    columns = {
        name: np.where(active, column, np.nan)
        for name, column in _columns(task, metrics).items()
    }
    return Episodes(returns, 0, metrics["weights_finite"], columns)


def _columns(task: Task, measured: Any) -> dict[str, np.ndarray]:
    """What the records hold beside the fitness: means over episodes, each `[P]`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean of nothing
        return {name: np.nanmean(measured[name], axis=1) for name in task.columns}


def _checks(
    episodes: Episodes, metrics: dict[str, np.ndarray], *, allow_missing: bool
) -> dict[str, np.ndarray]:
    """What a member must pass, by what is not finite where it fails. Each `[P]`."""
    return {
        "weights": episodes.weights_finite,
        "loss": np.asarray(np.isfinite(metrics["loss"])),
        "environments": metrics["env_finite"],
        "returns": returns_valid(episodes.returns, allow_missing=allow_missing),
    }


def evaluate_untrained(
    engine: Engine,
    seed: int,
    candidates: GroupedConfigs,
    groups: Groups,
) -> Evaluation:
    """Judges untrained candidates; only active ones play."""
    parts = []
    for padding, slots, group in each_group(engine, candidates.paddings, groups):
        began = time.monotonic()
        active = candidates.active[slots]
        config = candidates.config[slots]
        episodes = evaluate_group(engine, padding, seed, 0, active, group, config)
        checks = {
            "weights": episodes.weights_finite,
            "returns": returns_valid(episodes.returns),
        }
        seconds = time.monotonic() - began
        steps = episodes.env_steps
        parts.append(_judge(episodes, checks, active, steps, seconds, 0.0))
    return _join(parts)


def evaluate_group(
    engine: Engine,
    padding: int,
    seed: int,
    round_: int,
    active: np.ndarray,
    group: TrainState,
    config: np.ndarray,
    stream: Stream = Stream.evaluate,
    test_data: PyTree = None,
) -> Episodes:
    """Evaluates one group.

    In a round all members meet the same start states, which takes the luck of the start
    out of the ranking. In a report every copy of a member meets others.

    Args:
      engine: the programs.
      padding: of the group.
      seed: of the run.
      round_: which round, or which call in a report.
      active: who plays. Shape `[P]`, bool.
      group: shape `[P, ...]`.
      config: shape `[P, D]`.
      stream: which random stream the episodes are drawn from.
      test_data: data in the place of the task's own.
    """
    members = np.arange(len(config), dtype=np.int32)
    start_draws = np.zeros_like(members) if stream == Stream.evaluate else members
    scalars = np.uint32(seed), np.int32(round_), np.int32(stream)
    arguments = (*scalars, start_draws, active, group, config)
    programs = engine.programs[padding]
    if test_data is None:
        out = programs.evaluate(*arguments, engine.round_data)
    else:
        out = programs.evaluate_test(*arguments, test_data)
    measured, steps, finite = jax.tree.map(np.asarray, out)
    returns = _scores(engine.task, measured, active & finite)
    returns = flip_if_minimised(engine.task, returns)
    columns = _columns(engine.task, measured)
    return Episodes(returns, int(steps.sum(dtype=np.int64)), finite, columns)


def _scores(task: Task, measured: PyTree, active: np.ndarray) -> np.ndarray:
    """A group's returns in the task's own numbers: measured, or the scores of it.

    Args:
      task: the problem.
      measured: returns `[P, E]`, or statistics of P members.
      active: who is scored. Shape `[P]`, bool.

    Returns:
      Shape `[P, E]`, float64. NaN where statistics are not finite.

    Raises:
      BadInput: the task's `score` gives something else.
    """
    if task.score is None:
        return measured.astype(np.float64)
    returns = np.full((len(active), task.num_scores), np.nan)
    for member in np.flatnonzero(active):
        statistics = jax.tree.map(lambda x, i=member: x[i], measured)
        if not _is_finite(statistics):
            continue
        returns[member] = _as_scores(task, task.score(statistics))
    return returns


def _as_scores(task: Task, scored: Any) -> np.ndarray:
    """What a score gave, as `[num_scores]`; one number may stand alone."""
    try:
        scores = np.atleast_1d(np.asarray(scored, np.float64))
    except (TypeError, ValueError) as error:
        raise BadInput(
            f"task: {task.name}: score gives no numbers: {error}", "task"
        ) from None
    if scores.shape != (task.num_scores,):
        raise BadInput(
            f"task: {task.name}: score gives shape {scores.shape}, "
            f"give ({task.num_scores},), as num_scores says",
            "task",
        )
    return scores


def _is_finite(tree: PyTree) -> bool:
    return all(np.isfinite(x).all() for x in jax.tree.leaves(tree))


def returns_valid(returns: np.ndarray, *, allow_missing: bool = False) -> np.ndarray:
    """Members whose returns can be ranked. Shape `[P]`, bool.

    Args:
      returns: shape `[P, E]`.
      allow_missing: False: all of a member's returns must be finite. True: one must
        be, and the others may be NaN, as where no episode ended.
    """
    finite = np.isfinite(returns)
    if not allow_missing:
        return np.asarray(finite.all(axis=1))
    or_nan = finite | np.isnan(returns)
    return np.asarray(finite.any(axis=1) & or_nan.all(axis=1))


def _judge(
    episodes: Episodes,
    checks: dict[str, np.ndarray],
    active: np.ndarray,
    env_steps: int,
    seconds: float,
    train_seconds: float,
) -> Evaluation:
    """Fitness is the mean of the returns.

    A member that fails a check has none, and an idle one fails none.
    """
    returns = episodes.returns
    failures = [
        " and ".join(name for name, good in checks.items() if active[i] and not good[i])
        for i in range(len(returns))
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean of nothing
        mean = np.nanmean(returns, axis=1)
    fitness = np.where([not failure for failure in failures], mean, np.nan)
    return Evaluation(
        returns,
        fitness,
        failures,
        env_steps,
        seconds,
        train_seconds,
        episodes.columns,
    )


def _join(parts: list[Evaluation]) -> Evaluation:
    """The figures of several groups as one."""
    return Evaluation(
        returns=np.concatenate([part.returns for part in parts]),
        fitness=np.concatenate([part.fitness for part in parts]),
        failures=[failure for part in parts for failure in part.failures],
        env_steps=sum(part.env_steps for part in parts),
        seconds=sum(part.seconds for part in parts),
        train_seconds=sum(part.train_seconds for part in parts),
        columns={
            name: np.concatenate([part.columns[name] for part in parts])
            for name in parts[0].columns
        },
    )


def argbest(fitness: np.ndarray) -> int:
    """The slot with the highest fitness; NaN = failed is last."""
    return int(np.argmax(np.where(np.isnan(fitness), -np.inf, fitness)))


def slice_evaluation(evaluation: Evaluation, slots: np.ndarray | slice) -> Evaluation:
    """Returns and fitness of some slots; the other figures stay."""
    return evaluation._replace(
        returns=evaluation.returns[slots], fitness=evaluation.fitness[slots]
    )
