"""The loop: train, evaluate, decide, inherit, save, round after round.

The strategy is not traced into the programs of a round: what it gets and gives is a few
kilobytes on the host, so it may use another precision, another engine, or plain Python.
"""

from functools import partial

import numpy as np
import pandas as pd

from bgpbt.config.errors import PopulationLost
from bgpbt.storage.records import best_fitness
from bgpbt.storage.store import RunStore
from bgpbt.successive_halving import current_rung
from bgpbt.training import generations
from bgpbt.training.decision import (
    KeepAll,
    NewGeneration,
    NextStep,
    Promotion,
    decide,
    describe_changes,
    finished,
)
from bgpbt.training.direction import flip_if_minimised
from bgpbt.training.engine import ROUND_PROGRAMS, Engine, compile_for
from bgpbt.training.evaluation import Evaluation, evaluate, train
from bgpbt.training.groups import first_configs, pick
from bgpbt.training.inheritance import inherit
from bgpbt.training.observer import Observer
from bgpbt.training.progress import (
    all_failed,
    best_so_far,
    count,
    with_idle_fitness,
)
from bgpbt.training.round_records import round_records
from bgpbt.training.run_state import Progress, RunState
from bgpbt.training.state import begin, layout_of, state_template
from bgpbt.training.transition import (
    DISTILLATION_PROGRAMS,
    distillation_progress,
    foresee_generation,
)
from bgpbt.types import Task


def train_population(
    engine: Engine, seed: int, store: RunStore, observer: Observer
) -> RunState:
    """Trains one population to the end, or on to the end from its last round.

    Raises:
      PopulationLost: every member failed in the same round; the checkpoint before it
        stays.
    """
    state = _resume(engine, seed, store, observer)
    if state is None:
        paddings = first_configs(engine, seed).paddings
        compile_for(engine, paddings, ROUND_PROGRAMS, observer)
        observer.phase("evaluating", "the untrained population")
        state, rows = begin(engine, seed, observer)
        store.save(state, rows, layout_of(state))
    observer.start(int(state.progress.timesteps.max()))
    while not finished(engine, state):
        foresee_generation(engine, state)
        state = play_round(engine, state, store, observer)
    return state


def play_round(
    engine: Engine, state: RunState, store: RunStore, observer: Observer
) -> RunState:
    """One round: train, evaluate, decide, inherit, save.

    The same five steps serve a population whose members inherit and the candidates of a
    successive halving, whose better half goes on.
    """
    state, updates = _next_round(engine, state, observer)
    steps = updates * engine.task.timesteps_per_update
    teaching = distillation_progress(engine, state)

    population, trainings = train(
        engine, state.progress, state.population, updates, teaching, observer
    )
    evaluation = evaluate(engine, state.progress, population, trainings, observer)
    evaluation = with_idle_fitness(evaluation, state.progress)
    progress = count(state.progress, evaluation, steps)
    state = state._replace(progress=progress, population=population)
    rows = round_records(engine, state, evaluation)
    _check_not_lost(progress, evaluation)
    generation = generations.observe(
        state.generation, engine.task.space, progress, updates
    )
    best = best_so_far(progress, state.best, partial(pick, engine, population))
    state = state._replace(generation=generation, best=best)

    step = decide(engine, state, evaluation)
    _tell(engine.task, observer, state, evaluation, rows, steps, step)
    state = inherit(engine, state, step, evaluation, observer)

    observer.phase("saving")
    store.save(state, rows, layout_of(state))
    return state


def _resume(
    engine: Engine, seed: int, store: RunStore, observer: Observer
) -> RunState | None:
    """The state of the last undamaged checkpoint, None where there is none."""
    if not store.rounds():
        return None
    round_, damaged = store.last_undamaged()
    for bad in damaged:
        observer.notice(
            f"the checkpoint of round {bad} is damaged: the one before is used"
        )
    if round_ is None:
        store.discard_after(None)
        observer.notice("resume: continuing afresh: no checkpoint could be read")
        return None
    layout = store.layout(round_)
    names = DISTILLATION_PROGRAMS if layout["teacher"] else ROUND_PROGRAMS
    compile_for(engine, np.array(layout["paddings"]), names, observer)
    observer.phase("resuming")
    state = store.read(round_, state_template(engine, seed, layout))
    store.discard_after(round_)
    observer.notice(f"resume: continuing after round {round_}")
    return state


def _next_round(
    engine: Engine, state: RunState, observer: Observer
) -> tuple[RunState, int]:
    """Who trains in the round to come, and for how many updates."""
    plan = engine.plan
    progress = state.progress
    updates = plan.schedule.round_updates(int(progress.timesteps.max()))
    if not state.generation.candidates:
        trains = progress.timesteps < plan.schedule.max_timesteps
        progress = progress._replace(active=progress.active & trains)
        return state._replace(progress=progress), updates
    rungs = generations.halving_rungs(plan, state.generation)
    _, left = current_rung(rungs, int(state.generation.updates))
    training = "distil" if state.teacher else "train"
    compile_for(engine, progress.paddings, (training, "evaluate"), observer)
    return state, min(updates, left)


def _check_not_lost(progress: Progress, evaluation: Evaluation) -> None:
    """Raises PopulationLost where every active member failed."""
    if all_failed(progress):
        why = ", ".join(sorted({f for f in evaluation.failures if f}))
        raise PopulationLost(
            f"all members failed in round {int(progress.round)} (not finite: {why}); "
            "the last complete round stays saved"
        )


def _tell(
    task: Task,
    observer: Observer,
    state: RunState,
    evaluation: Evaluation,
    rows: pd.DataFrame,
    steps: int,
    step: NextStep,
) -> None:
    """Tells the figures of a round in which every member made `steps`."""
    seconds = max(evaluation.train_seconds, 1e-9)
    fate = _fate_of_failed(step)
    observer.round(
        round=int(state.progress.round),
        timesteps=int(state.progress.timesteps.max()),
        steps_per_second=float(steps * len(rows) / seconds),
        best=float(best_fitness(rows["fitness"], minimise=task.minimise)),
        median=float(rows["fitness"].median()),
        best_so_far=float(flip_if_minimised(task, state.best.fitness)),
        replacements=describe_changes(step),
        failures=[
            f"member {i} failed, {why} not finite{fate}"
            for i, why in enumerate(evaluation.failures)
            if why
        ],
    )


def _fate_of_failed(step: NextStep) -> str:
    """What becomes of failed members, in words."""
    if isinstance(step, Promotion):
        return ": left out"
    if isinstance(step, NewGeneration):
        return ": left behind"
    return "" if isinstance(step, KeepAll) else ": replaced"
