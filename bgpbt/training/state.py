"""How a run begins, what its checkpoint looks like, what the strategy is told."""

from typing import Any

import jax
import numpy as np
import pandas as pd

from bgpbt.execution.streams import Stream, fold
from bgpbt.training.engine import Engine
from bgpbt.training.evaluation import (
    Evaluation,
    argbest,
    evaluate_untrained,
)
from bgpbt.training.generations import first_generation
from bgpbt.training.groups import (
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
    config, paddings, active = first_configs(engine, seed)
    groups = initialise(engine, seed, 0, paddings, config)
    evaluation = evaluate_untrained(engine, seed, paddings, active, groups, config)
    state = untrained_state(engine, seed, groups, paddings, active, config, evaluation)
    fitness = np.where(active, evaluation.fitness, np.nan)
    progress = state.progress._replace(untrained=np.array(argbest(fitness)))
    state = state._replace(progress=progress)
    if not np.isnan(fitness).all():
        observer.untrained(float(np.nanmax(fitness)), float(np.nanmedian(fitness)))
    return state, round_records(engine, state, evaluation)


def untrained_state(
    engine: Engine,
    seed: int,
    groups: Groups,
    paddings: np.ndarray,
    active: np.ndarray,
    config: np.ndarray,
    evaluation: Evaluation,
) -> RunState:
    """The state of a run whose candidates have been evaluated and nothing else.

    Args:
      engine: the programs and rules.
      seed: of the run.
      groups: the untrained candidates.
      paddings: of each group. Shape `[M / P]`.
      active: who is a candidate, and does not only fill a group. Shape `[M]`.
      config: shape `[M, D]`.
      evaluation: of the candidates.
    """
    number = len(config)
    progress = Progress(
        seed=np.array(seed),
        round=np.array(0),
        config=config,
        parents=own_parents(number, len(engine.task.blocks)),
        source=np.full(number, int(Source.initial)),
        active=active,
        timesteps=np.zeros(number, np.int64),
        age=np.zeros(number, np.int64),
        fitness=evaluation.fitness,
        paddings=np.asarray(paddings, np.int64),
        env_steps_total=np.array(evaluation.env_steps),
        untrained=np.array(0),
    )
    best = Best(
        state=pick(engine, groups, 0),
        fitness=np.array(-np.inf),
        round=np.array(0),
        member=np.array(0),
        age=np.array(0),
        config=config[0],
        padding=np.array(int(paddings[0])),
    )
    return RunState(
        progress=progress,
        generation=first_generation(engine.plan, engine.task.space),
        population=groups,
        best=best,
        teacher=(),
        strategy=fresh_strategy(engine, progress, evaluation),
    )


def own_parents(number: int, blocks: int) -> np.ndarray:
    """Every slot is its own parent. Shape `[M, B]`."""
    return np.tile(np.arange(number)[:, None], (1, blocks))


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
    number = len(paddings) * engine.plan.pop_size
    config = np.zeros((number, len(engine.task.space)), np.float32)
    groups = initialise(engine, seed, 0, paddings, config)
    nothing = Evaluation(
        returns=np.zeros((number, 1)),
        fitness=np.zeros(number),
        failures=[""] * number,
        env_steps=0,
        seconds=0.0,
        train_seconds=0.0,
    )
    active = np.ones(number, bool)
    state = untrained_state(engine, seed, groups, paddings, active, config, nothing)
    largest = len(engine.tasks) - 1
    member = state.best.state
    teacher = with_padding(engine, member, largest) if layout["teacher"] else ()
    best = with_padding(engine, member, layout["best_padding"])
    return state._replace(best=state.best._replace(state=best), teacher=teacher)
