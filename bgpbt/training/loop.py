"""The loop: train, evaluate, decide, inherit, save, round after round.

The strategy is not traced into the programs of a round: what it gets and gives is a few
kilobytes on the host, so it may use another precision, another engine, or plain Python.
"""

from functools import partial

import jax
import numpy as np
import pandas as pd

from bgpbt.config.errors import PopulationLost
from bgpbt.execution.streams import Stream, fold
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
from bgpbt.training.observer import Observer, OnRound, Round
from bgpbt.training.origin import Origin
from bgpbt.training.progress import (
    all_failed,
    best_so_far,
    count,
    with_idle_fitness,
)
from bgpbt.training.report import with_interim_report
from bgpbt.training.round_records import round_records
from bgpbt.training.run_state import Progress, RunState
from bgpbt.training.state import begin, layout_of, read_state
from bgpbt.training.stop import Stop, Stopped
from bgpbt.training.transition import (
    DISTILLATION_PROGRAMS,
    distillation_progress,
    foresee_generation,
)
from bgpbt.types import Task


def train_population(
    engine: Engine,
    seed: int,
    store: RunStore,
    observer: Observer,
    stop: Stop,
    origin: Origin | None = None,
    on_round: OnRound | None = None,
) -> RunState:
    """Trains one population to the end, or on to the end from its last round.

    A round in which every member failed is played once more, with other random numbers.

    Args:
      engine: programs and rules.
      seed: of the run.
      store: its folder.
      observer: told what happens.
      stop: by which it can be ended after a round.
      origin: what a new population has learnt before; None: nothing.
      on_round: called after every round, before it is saved.

    Raises:
      PopulationLost: every member failed again; the checkpoint before the round stays.
      Stopped: the run was asked to end; its last round is saved.
    """
    cache = engine.task.cache
    if cache is not None:
        for line in cache.open(store.path):
            observer.notice(line)
    if store.rounds():
        state = _resume(engine, seed, store, observer)
    else:
        paddings = first_configs(engine, seed).paddings
        compile_for(engine, paddings, ROUND_PROGRAMS, observer)
        observer.phase("evaluating", "the untrained population")
        state, rows = begin(engine, seed, observer, origin)
        store.save(state, rows, layout_of(state))
    observer.start(int(state.progress.timesteps.max()))
    unsaved: list[pd.DataFrame] = []
    lost: set[int] = set()  # rounds in which all failed
    with stop.rounds():
        while not finished(engine, state):
            foresee_generation(engine, state)
            round_ = int(state.progress.round) + 1
            try:
                play = play_again if round_ in lost else play_round
                state, rows = play(engine, state, observer)
            except PopulationLost as error:
                if round_ in lost:
                    raise
                lost.add(round_)
                observer.notice(f"{error}; once more, with other random numbers")
                state = _resume(engine, seed, store, observer)
                unsaved = []
                continue
            unsaved.append(rows)
            if on_round is not None:
                on_round(Round(store.path, seed, round_, rows))
            exit_code = stop.exit_code  # another thread may set it at any time
            ends = finished(engine, state) or exit_code is not None
            if ends or len(unsaved) >= engine.plan.save_every:
                observer.phase("saving")
                store.save(state, pd.concat(unsaved), layout_of(state))
                unsaved = []
            if exit_code is not None:
                line = f"stopped after round {round_}{stop.advice}"
                raise Stopped(line, exit_code)
    if cache is not None:
        observer.notice(cache.summary())
    return state


def play_round(
    engine: Engine, state: RunState, observer: Observer
) -> tuple[RunState, pd.DataFrame]:
    """One round: train, evaluate, decide, inherit; and its records.

    The same four steps serve a population whose members inherit and the candidates of a
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
    rows = with_interim_report(engine, state, rows)

    step = decide(engine, state, evaluation)
    _tell(engine.task, observer, state, evaluation, rows, steps, step)
    return inherit(engine, state, step, evaluation, observer), rows


def play_again(
    engine: Engine, state: RunState, observer: Observer
) -> tuple[RunState, pd.DataFrame]:
    """`play_round` with the random numbers of another seed."""
    seed = state.progress.seed
    key = fold(int(seed), Stream.repeat, int(state.progress.round))
    other = state.progress._replace(seed=np.array(int(jax.random.bits(key))))
    state, rows = play_round(engine, state._replace(progress=other), observer)
    return state._replace(progress=state.progress._replace(seed=seed)), rows


def _resume(engine: Engine, seed: int, store: RunStore, observer: Observer) -> RunState:
    """The state of the last checkpoint that can be used.

    Raises:
      BadInput: none can.
    """

    def read(round_: int) -> RunState:
        layout = store.layout(round_)
        names = DISTILLATION_PROGRAMS if layout["teacher"] else ROUND_PROGRAMS
        compile_for(engine, np.array(layout["paddings"]), names, observer)
        observer.phase("resuming")
        return read_state(engine, seed, store, round_)

    restored = store.restore(read)
    for line in (*restored.notices, *store.go_on_after(restored.round)):
        observer.notice(line)
    observer.notice(f"resume: continuing after round {restored.round}")
    return restored.state


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
            "the last checkpoint stays"
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
    """Tells the figures of a round in which every active member made `steps`."""
    seconds = max(evaluation.train_seconds, 1e-9)
    fate = _fate_of_failed(step)
    observer.round(
        round=int(state.progress.round),
        timesteps=int(state.progress.timesteps.max()),
        steps_per_second=float(steps * state.progress.active.sum() / seconds),
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
