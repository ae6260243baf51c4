"""How a run begins, and what its checkpoint looks like."""

from typing import Any

import numpy as np
import pandas as pd

from bgpbt.storage.checkpoints import Unreadable
from bgpbt.storage.store import RunStore
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
from bgpbt.training.origin import Origin, begin_with
from bgpbt.training.progress import fresh_strategy, no_best, untrained_progress
from bgpbt.training.round_records import round_records
from bgpbt.training.run_state import RunState


def begin(
    engine: Engine, seed: int, observer: Observer, origin: Origin | None = None
) -> tuple[RunState, pd.DataFrame]:
    """Round 0: the untrained population, or all initial candidates, evaluated.

    Args:
      engine: programs and rules.
      seed: of the run.
      observer: told what they are worth.
      origin: what they have learnt before; None: nothing.
    """
    candidates = first_configs(engine, seed)
    groups = initialise(engine, seed, 0, candidates.paddings, candidates.config)
    if origin is not None:
        groups = begin_with(engine, groups, origin)
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
    blocks = len(engine.task.blocks)
    progress = untrained_progress(seed, blocks, candidates, evaluation)
    first = pick(engine, groups, 0)
    return RunState(
        progress=progress,
        generation=first_generation(engine.plan, engine.task.space),
        population=groups,
        best=no_best(first, candidates.config[0], int(candidates.paddings[0])),
        teacher=(),
        strategy=fresh_strategy(
            engine.strategy, engine.plan.pop_size, progress, evaluation
        ),
    )


def layout_of(state: RunState) -> dict[str, Any]:
    """What decides the shapes of a state: a checkpoint says it beside its arrays."""
    return {
        "paddings": state.progress.paddings.tolist(),
        "best_padding": int(state.best.padding),
        "teacher": bool(state.teacher),
    }


def read_state(engine: Engine, seed: int, store: RunStore, round_: int) -> RunState:
    """The state of a round of a run.

    Raises:
      Unreadable: it is not one of this run's.
    """
    state = store.read(round_, state_template(engine, seed, store.layout(round_)))
    if int(state.progress.seed) != seed:
        raise Unreadable(f"is of seed {int(state.progress.seed)}")
    return state


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
