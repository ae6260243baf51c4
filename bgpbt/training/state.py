"""How a run begins, what its checkpoint looks like, what the strategy is told."""

from typing import Any

import jax
import numpy as np
import pandas as pd

from bgpbt.execution.streams import Stream, fold
from bgpbt.training.direction import flip_if_minimised
from bgpbt.training.engine import Engine
from bgpbt.training.evaluation import Evaluation, argbest, evaluate_untrained
from bgpbt.training.generations import first_generation
from bgpbt.training.groups import (
    GroupedConfigs,
    Groups,
    first_configs,
    initialise,
    pick,
    with_padding,
)
from bgpbt.training.observer import Observer
from bgpbt.training.round_records import round_records
from bgpbt.training.run_state import Best, Progress, RunState
from bgpbt.types import Outcome, PyTree, Source


def begin(
    engine: Engine, seed: int, observer: Observer
) -> tuple[RunState, pd.DataFrame]:
    """Round 0: the untrained population, or all initial candidates, evaluated."""
    candidates = first_configs(engine, seed)
    groups = initialise(engine, seed, 0, candidates.paddings, candidates.config)
    evaluation = evaluate_untrained(engine, seed, candidates, groups)
    state = untrained_state(engine, seed, candidates, groups, evaluation)
    fitness = np.where(candidates.active, evaluation.fitness, np.nan)
    progress = state.progress._replace(untrained=np.array(argbest(fitness)))
    state = state._replace(progress=progress)
    if not np.isnan(fitness).all():
        figures = np.nanmax(fitness), np.nanmedian(fitness)
        best, median = (flip_if_minimised(engine.task, x) for x in figures)
        observer.untrained(float(best), float(median))
    return state, round_records(engine, state, evaluation)


def untrained_state(
    engine: Engine,
    seed: int,
    candidates: GroupedConfigs,
    groups: Groups,
    evaluation: Evaluation,
) -> RunState:
    """The state of a run whose candidates have been evaluated and nothing else.

    Args:
      engine: the programs and rules.
      seed: the run's.
      candidates: their configurations.
      groups: their untrained weights.
      evaluation: their evaluation.
    """
    slots = len(candidates.config)
    progress = Progress(
        seed=np.array(seed),
        round=np.array(0),
        config=candidates.config,
        parents=own_parents(slots, len(engine.task.blocks)),
        source=np.full(slots, int(Source.initial)),
        active=candidates.active,
        timesteps=np.zeros(slots, np.int64),
        age=np.zeros(slots, np.int64),
        fitness=evaluation.fitness,
        paddings=np.asarray(candidates.paddings, np.int64),
        env_steps_total=np.array(evaluation.env_steps),
        untrained=np.array(0),
    )
    return RunState(
        progress=progress,
        generation=first_generation(engine.plan, engine.task.space),
        population=groups,
        best=_no_best(engine, candidates, groups),
        teacher=(),
        strategy=fresh_strategy(engine, progress, evaluation),
    )


def _no_best(engine: Engine, candidates: GroupedConfigs, groups: Groups) -> Best:
    """What stands for the saved best before there is one: any fitness is higher."""
    return Best(
        state=pick(engine, groups, 0),
        fitness=np.array(-np.inf),
        round=np.array(0),
        member=np.array(0),
        age=np.array(0),
        config=candidates.config[0],
        padding=np.array(int(candidates.paddings[0])),
    )


def own_parents(slots: int, blocks: int) -> np.ndarray:
    """Every slot is its own parent. Shape `[M, B]`."""
    return np.tile(np.arange(slots)[:, None], (1, blocks))


def fresh_strategy(
    engine: Engine, progress: Progress, evaluation: Evaluation
) -> PyTree:
    """The strategy before it has seen a round.

    During a successive halving it waits, and what stands here is not used.
    """
    key = fold(int(progress.seed), Stream.decide)
    outcome = outcome_of(progress, evaluation)
    members = slice(engine.plan.pop_size)
    outcome = jax.tree.map(lambda x: x[members], outcome)
    return engine.strategy.init(key, outcome)


def outcome_of(progress: Progress, evaluation: Evaluation) -> Outcome:
    """What the strategy sees of a round."""
    return Outcome(
        config=np.asarray(progress.config, np.float32),
        fitness=evaluation.fitness.astype(np.float32),
        episode_returns=evaluation.returns.astype(np.float32),
        timesteps=progress.timesteps.astype(np.int32),
        age=progress.age.astype(np.int32),
        active=progress.active,
    )


def layout_of(state: RunState) -> dict[str, Any]:
    """What decides the shapes of a state: a checkpoint says it beside its arrays."""
    return {
        "paddings": state.progress.paddings.tolist(),
        "best_padding": int(state.best.padding),
        "teacher": bool(state.teacher),
    }


def state_template(engine: Engine, seed: int, layout: dict[str, Any]) -> RunState:
    """An untrained state of a layout.

    It has the shapes and the placement that a checkpoint is read into.
    """
    paddings = np.array(layout["paddings"])
    slots = len(paddings) * engine.plan.pop_size
    candidates = GroupedConfigs(
        order=np.arange(slots),
        config=np.zeros((slots, len(engine.task.space)), np.float32),
        paddings=paddings,
        active=np.ones(slots, bool),
    )
    groups = initialise(engine, seed, 0, paddings, candidates.config)
    evaluation = Evaluation(
        returns=np.zeros((slots, 1)),
        fitness=np.zeros(slots),
        failures=[""] * slots,
        env_steps=0,
        seconds=0.0,
        train_seconds=0.0,
    )
    state = untrained_state(engine, seed, candidates, groups, evaluation)
    largest = len(engine.tasks) - 1
    member = state.best.state
    teacher = with_padding(engine, member, largest) if layout["teacher"] else ()
    best = with_padding(engine, member, layout["best_padding"])
    return state._replace(best=state.best._replace(state=best), teacher=teacher)
