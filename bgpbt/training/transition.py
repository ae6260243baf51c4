"""From a generation to the next one: a teacher, its students, their rungs."""

import jax
import numpy as np

from bgpbt.execution.streams import Stream, fold
from bgpbt.training.decision import Promotion
from bgpbt.training.engine import (
    ROUND_PROGRAMS,
    Engine,
    begin_compiling,
    compile_for,
)
from bgpbt.training.evaluation import Evaluation, argbest, slice_evaluation
from bgpbt.training.generations import (
    REASONS,
    choose_candidates,
    distillation_updates,
)
from bgpbt.training.groups import (
    GroupedConfigs,
    draw_configs,
    group_by_padding,
    initialise,
    padding_index,
    pick,
    regrouped,
    with_padding,
)
from bgpbt.training.observer import Observer
from bgpbt.training.progress import fresh_strategy
from bgpbt.training.run_state import Progress, RunState, Trigger
from bgpbt.types import Distillation, Source

DISTILLATION_PROGRAMS = ("init", "distil", "evaluate")


def foresee_generation(engine: Engine, state: RunState) -> None:
    """Begins to compile what the next generation needs. Nothing waits for it.

    Not before the first round is over, which would wait for a core. Paddings are those
    of the population: nobody can know those of its students.
    """
    progress = state.progress
    if (
        progress.round == 0
        or state.generation.number >= engine.plan.rules.max_generations
    ):
        return
    begin_compiling(engine.propose)
    for padding in set(progress.paddings.tolist()):
        begin_compiling(engine.programs[padding].distil)


def begin_generation(
    engine: Engine, state: RunState, trigger: Trigger, observer: Observer
) -> RunState:
    """The best member becomes the teacher of new networks."""
    progress = state.progress
    timesteps = int(progress.timesteps.max())
    index = int(state.generation.number) + 1
    observer.notice(
        f"generation {index} begins after {timesteps:,} steps of a member: "
        f"{REASONS[trigger]}"
    )
    observer.phase("proposing", "architectures")
    config, source = _candidates(engine, state, index)
    students = group_by_padding(engine, config)
    compile_for(engine, students.paddings, DISTILLATION_PROGRAMS, observer)
    scalars = int(progress.seed), int(progress.round)
    population = initialise(engine, *scalars, students.paddings, students.config)
    teacher = argbest(progress.fitness)
    member = pick(engine, state.population, teacher)
    generation = state.generation._replace(
        number=np.array(index),
        trigger=np.array(int(trigger)),
        best=np.array(-np.inf),
        stalled_rounds=np.array(0),
        candidates=np.array(len(config)),
        updates=np.array(0),
        teacher_config=progress.config[teacher],
    )
    return state._replace(
        progress=_of_students(progress, students, source, teacher),
        generation=generation,
        population=population,
        teacher=with_padding(engine, member, len(engine.tasks) - 1),
    )


def _candidates(
    engine: Engine, state: RunState, index: int
) -> tuple[np.ndarray, np.ndarray]:
    """The configurations of the generation `index` and their sources."""
    key = fold(int(state.progress.seed), Stream.generate, index)
    key_draw, key = jax.random.split(key)
    seed = int(jax.random.bits(key_draw))
    drawn = draw_configs(engine, seed, engine.plan.candidates + index)
    return choose_candidates(
        key,
        engine.plan,
        engine.task.space,
        engine.propose,
        state.progress,
        state.generation.architectures,
        drawn,
    )


def _of_students(
    progress: Progress, students: GroupedConfigs, source: np.ndarray, teacher: int
) -> Progress:
    """The counters of students that have not trained. `source`: of each `[m]`."""
    slots = len(students.order)
    return progress._replace(
        config=students.config,
        parents=np.full((slots, progress.parents.shape[1]), teacher),
        source=source[students.order],
        active=students.active,
        timesteps=np.full(slots, int(progress.timesteps.max())),
        age=np.zeros(slots, np.int64),
        fitness=np.full(slots, np.nan),
        paddings=students.paddings,
    )


def distillation_progress(engine: Engine, state: RunState) -> Distillation | tuple[()]:
    """What students learn from, and how far they are; () without a teacher."""
    if not state.teacher:
        return ()
    steps = engine.task.timesteps_per_update
    return Distillation(
        teacher=state.teacher,
        teacher_config=state.generation.teacher_config,
        steps_done=np.float32(int(state.generation.updates) * steps),
        steps_total=np.float32(distillation_updates(engine.plan) * steps),
    )


def promote(
    engine: Engine,
    state: RunState,
    step: Promotion,
    evaluation: Evaluation,
    observer: Observer,
) -> RunState:
    """Keeps the survivors of a rung, in new groups, and drops the other candidates.

    Each keeps its weights, environments and counters. After the last rung they are the
    population.

    Args:
      engine: the programs.
      state: after the last round of the rung.
      step: who goes on.
      evaluation: of that round.
      observer: told what happens.
    """
    progress = state.progress
    survivors = group_by_padding(engine, progress.config[step.survivors])
    paddings = survivors.paddings
    if step.last:  # one group, which also holds the saved best
        of_best = padding_index(engine, state.best.config[None])
        paddings = np.maximum(paddings, of_best)
    slots = step.survivors[survivors.order]
    source = Source.distilled if state.generation.number else Source.initial
    progress = progress._replace(
        config=survivors.config,
        parents=np.tile(slots[:, None], (1, progress.parents.shape[1])),
        source=np.full(len(slots), int(source)),
        active=survivors.active,
        timesteps=progress.timesteps[slots],
        age=progress.age[slots],
        fitness=progress.fitness[slots],
        paddings=paddings,
    )
    population = regrouped(engine, state.population, slots, paddings)
    state = state._replace(progress=progress, population=population)
    if not step.last:
        return state
    return _end_halving(engine, state, slice_evaluation(evaluation, slots), observer)


def _end_halving(
    engine: Engine, state: RunState, evaluation: Evaluation, observer: Observer
) -> RunState:
    """The survivors become the population, and the strategy begins anew."""
    progress = state.progress
    compile_for(engine, progress.paddings, ROUND_PROGRAMS, observer)
    best = state.best._replace(
        state=with_padding(engine, state.best.state, int(progress.paddings[0])),
        padding=progress.paddings[0],
    )
    generation = state.generation._replace(
        candidates=np.array(0),
        updates=np.array(0),
        began=progress.timesteps.max(),
    )
    evaluation = evaluation._replace(fitness=progress.fitness)
    return state._replace(
        generation=generation,
        best=best,
        teacher=(),
        strategy=fresh_strategy(
            engine.strategy, engine.plan.pop_size, progress, evaluation
        ),
    )
