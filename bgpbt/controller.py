"""The controller: train, evaluate, decide, inherit, save, round after round; between generations, a tournament.

The strategy is not traced into the round's programs: what it gets and gives is a few kilobytes on the host, so it may
use another precision, another engine, or plain Python.
"""

import numpy as np
import pandas as pd

from bgpbt import generations
from bgpbt.display import Display, number
from bgpbt.engine import Engine, Measured, compile_for, first_configs, initialise, measure_untrained, pick, train
from bgpbt.inheritance import in_words, inherit
from bgpbt.options import Options, PopulationLost
from bgpbt.plan import PROGRAMS, updates_of_round
from bgpbt.state import best_of, blank_state, layout_of, outcome_of, untrained_state
from bgpbt.store import RunStore, shapes_like
from bgpbt.succession import begin_generation, end_rung, lesson_of, undecided
from bgpbt.types import RunState, Source, Why


def train_population(engine: Engine, seed: int, store: RunStore, display: Display) -> RunState:
    """Trains one population to the end, or on to the end from its last complete round.

    Raises:
      PopulationLost: every member failed in the same round; the checkpoint before it stays.
    """
    state = _resume(engine, seed, store, display)
    if state is None:
        compile_for(engine, first_configs(engine, seed)[1], PROGRAMS, display)
        display.phase("evaluating", "the untrained population")
        state, rows = _begin(engine, seed, display)
        store.save(state, rows, layout_of(state))
    if state.generation.number < engine.options.generations:  # later, but for the same sizes, as far as anybody can know
        for size in set(state.progress.sizes.tolist()):
            engine.programs[size].distil.begin()
    display.start(int(state.progress.timesteps.max()))
    while not finished(engine.options, state):
        state, rows = _round(engine, state, display)
        display.phase("saving")
        store.save(state, rows, layout_of(state))
    return state


def finished(options: Options, state: RunState) -> bool:
    """Whether every member has trained `max_timesteps`."""
    return bool(np.all(state.progress.timesteps >= options.max_timesteps)) and not state.generation.candidates


def _resume(engine: Engine, seed: int, store: RunStore, display: Display) -> RunState | None:
    if not store.rounds():
        return None

    def like(layout: dict) -> RunState:
        names = ("init", "evaluate", "distil") if layout["teacher"] else PROGRAMS
        compile_for(engine, np.array(layout["sizes"]), names, display)
        display.phase("resuming")
        return shapes_like(blank_state(engine, seed, layout))

    state, said = store.restore(like)
    for line in said:
        display.notice(line)
    where = f"after round {int(state.progress.round)}" if state else "afresh: no checkpoint could be read"
    display.notice(f"resume: continuing {where}")
    return state


def _begin(engine: Engine, seed: int, display: Display) -> tuple[RunState, pd.DataFrame]:
    """Round 0: the untrained population, or all initial candidates, evaluated."""
    config, sizes, active = first_configs(engine, seed)
    groups = initialise(engine, seed, 0, sizes, config)
    measured = measure_untrained(engine, seed, sizes, active, groups, config)
    state = untrained_state(engine, seed, groups, sizes, active, config, measured)
    fitness = np.where(active, measured.fitness, np.nan)
    state = state._replace(progress=state.progress._replace(untrained=np.array(best_of(fitness))))
    if not np.isnan(fitness).all():
        display.notice(f"untrained: best {number(np.nanmax(fitness))}, median {number(np.nanmedian(fitness))}")
    return state, _rows(engine, state, measured)


def _round(engine: Engine, state: RunState, display: Display) -> tuple[RunState, pd.DataFrame]:
    """Trains and evaluates one round, and prepares the next one. Returns the state to save and the records."""
    turn = _tournament if state.generation.candidates else _training
    return turn(engine, state, display)


def _training(engine: Engine, state: RunState, display: Display) -> tuple[RunState, pd.DataFrame]:
    """A round of the population: members inherit afterwards, or a new generation begins."""
    options, task, progress = engine.options, engine.task, state.progress
    updates = updates_of_round(options, task, int(progress.timesteps.max()))
    progress = progress._replace(active=progress.active & (progress.timesteps < options.max_timesteps))
    groups, measured = train(engine, progress, state.population, updates, (), display)
    state, rows = _count(engine, state._replace(progress=progress, population=groups), measured, updates)
    why = generations.due(options, task, state.generation, int(state.progress.timesteps.max()))
    changes, last = [], finished(options, state)
    if why is None and not last:
        state, decision = inherit(engine, state, outcome_of(state.progress, measured))
        changes = in_words(decision, options.pop_size)
    elif last:
        state = undecided(state)
    failed = "" if last else ": left behind" if why else ": replaced"
    _say(display, rows, measured, state, updates * task.timesteps_per_update, changes, failed)
    return (begin_generation(engine, state, why, display) if why else state), rows


def _tournament(engine: Engine, state: RunState, display: Display) -> tuple[RunState, pd.DataFrame]:
    """A round of candidates: at the end of a rung, the better ones go on."""
    options, task, generation = engine.options, engine.task, state.generation
    rung, left = generations.place(generations.tournament(options, task, generation), int(generation.updates))
    updates = min(updates_of_round(options, task, int(state.progress.timesteps.max())), left)
    lesson, names = (), ("train", "evaluate")
    if state.teacher:
        lesson, names = lesson_of(engine, state), ("distil", "evaluate")
    compile_for(engine, state.progress.sizes, names, display)
    groups, measured = train(engine, state.progress, state.population, updates, lesson, display)
    state, rows = _count(engine, state._replace(population=groups), measured, updates)
    ends = updates == left
    changes = [f"{rung.survivors} of {rung.candidates} candidates go on"] if ends else []
    _say(display, rows, measured, state, updates * task.timesteps_per_update, changes, ": left out" if ends else "")
    return (end_rung(engine, state, measured, rung.survivors, display) if ends else undecided(state)), rows


def _count(engine: Engine, state: RunState, measured: Measured, updates: int) -> tuple[RunState, pd.DataFrame]:
    """After training: counters, the records of the round, the saved best, what became of architectures."""
    progress, round_ = state.progress, int(state.progress.round) + 1
    trained = np.where(progress.active, updates * engine.task.timesteps_per_update, 0)
    measured = measured._replace(fitness=np.where(progress.active, measured.fitness, progress.fitness))
    progress = progress._replace(
        round=np.array(round_),
        timesteps=progress.timesteps + trained,
        age=progress.age + trained,
        fitness=measured.fitness,
        env_steps_total=progress.env_steps_total + measured.env_steps,
    )
    state = state._replace(progress=progress)
    rows = _rows(engine, state, measured)
    if np.isnan(measured.fitness[progress.active]).all():
        why = ", ".join(sorted({f for f in measured.failures if f}))
        raise PopulationLost(f"all members failed in round {round_} (not finite: {why}); the last complete round stays saved")
    state = _keep_best(engine, state)
    generation = generations.observe(state.generation, engine.task.space, state.progress, updates)
    return state._replace(generation=generation), rows


def _keep_best(engine: Engine, state: RunState) -> RunState:
    progress = state.progress
    member = best_of(np.where(progress.active, progress.fitness, np.nan))
    if not progress.fitness[member] > progress.best_fitness:
        return state
    progress = progress._replace(
        best_fitness=progress.fitness[member],
        best_round=progress.round,
        best_member=np.array(member),
        best_age=progress.age[member],
        best_config=progress.config[member],
        best_size=progress.sizes[member // engine.options.pop_size],
    )
    return state._replace(progress=progress, best=pick(engine, state.population, member))


def _say(display: Display, rows: pd.DataFrame, measured: Measured, state: RunState, steps: int, changes, failed: str) -> None:
    """The figures of the round for the display."""
    display.round(
        round=int(state.progress.round),
        timesteps=int(state.progress.timesteps.max()),
        steps_per_second=float(steps * len(rows) / max(measured.train_seconds, 1e-9)),
        best=float(rows["fitness"].max()),
        median=float(rows["fitness"].median()),
        best_so_far=float(state.progress.best_fitness),
        replacements=changes,
        bad=[f"member {i} failed, {why} not finite{failed}" for i, why in enumerate(measured.failures) if why],
    )


def _rows(engine: Engine, state: RunState, measured: Measured) -> pd.DataFrame:
    """The records of a round: the configurations it was trained with and where they and the weights came from."""
    size, progress, generation = engine.options.pop_size, state.progress, state.generation
    trial = "distillation" if generation.number else "candidates"
    columns = {
        "round": int(progress.round),
        "generation": int(generation.number),
        "why": Why(int(generation.why)).name,
        "phase": trial if generation.candidates else "training",
        "member": np.arange(len(progress.config)),
        "parent": progress.parents[:, 0],
        "source": [Source(int(s)).name for s in progress.source],
        "fitness": measured.fitness,
        "timesteps": progress.timesteps,
        "age": progress.age,
        "env_steps_total": int(progress.env_steps_total),
        "seconds": round(measured.seconds, 3),
    }
    groups = [engine.programs[-1].hyperparams(part) for part in np.split(progress.config, len(progress.config) // size)]
    natural = {name: np.concatenate([np.asarray(g[name]) for g in groups]) for name in engine.task.space}
    beliefs = engine.strategy.beliefs(state.strategy)
    if generation.candidates:  # the strategy waits
        beliefs = dict.fromkeys(beliefs, np.nan)
    rows = pd.DataFrame(columns | natural | beliefs)
    return rows[progress.active] if generation.candidates else rows
