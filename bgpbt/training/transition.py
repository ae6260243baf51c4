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
    draw_configs,
    group_by_padding,
    initialise,
    padding_index,
    pick,
    regrouped,
    with_padding,
)
from bgpbt.training.observer import Observer
from bgpbt.training.run_state import Generation, RunState, Trigger
from bgpbt.training.state import fresh_strategy
from bgpbt.types import Distillation, Source

DISTILLATION_PROGRAMS = ("init", "distil", "evaluate")


def foresee_generation(engine: Engine, state: RunState) -> None:
    """Begins to compile what the next generation needs. Nothing waits for it.

    Not before the first round is over, which would wait for a core. Paddings are those
    of the population: nobody can know those of its students.
    """
    progress = state.progress
    if progress.round == 0 or state.generation.number >= engine.plan.rules.most:
        return
    begin_compiling(engine.propose)
    for padding in set(progress.paddings.tolist()):
        begin_compiling(engine.programs[padding].distil)


def begin_generation(
    engine: Engine, state: RunState, trigger: Trigger, observer: Observer
) -> RunState:
    """The best member becomes the teacher of new networks."""
    progress = state.progress
    number = int(state.generation.number) + 1
    timesteps = int(progress.timesteps.max())
    observer.notice(
        f"generation {number} begins after {timesteps:,} steps of a member: "
        f"{REASONS[trigger]}"
    )
    observer.phase("proposing", "architectures")
    config, source = _candidates(engine, state, number)
    order, paddings, active = group_by_padding(engine, config)
    compile_for(engine, paddings, DISTILLATION_PROGRAMS, observer)
    teacher = argbest(progress.fitness)
    slots = len(order)
    blocks = len(engine.task.blocks)
    groups = initialise(
        engine, int(progress.seed), int(progress.round), paddings, config[order]
    )
    generation = _next_generation(state.generation, number, trigger)._replace(
        candidates=np.array(len(config)), teacher_config=progress.config[teacher]
    )
    progress = progress._replace(
        config=config[order],
        parents=np.full((slots, blocks), teacher),
        source=source[order],
        active=active,
        timesteps=np.full(slots, timesteps),
        age=np.zeros(slots, np.int64),
        fitness=np.full(slots, np.nan),
        paddings=paddings,
    )
    largest = len(engine.tasks) - 1
    member = pick(engine, state.population, teacher)
    return state._replace(
        progress=progress,
        generation=generation,
        population=groups,
        teacher=with_padding(engine, member, largest),
    )


def _candidates(
    engine: Engine, state: RunState, number: int
) -> tuple[np.ndarray, np.ndarray]:
    """The configurations of generation `number` and their sources."""
    key = fold(int(state.progress.seed), Stream.generate, number)
    key_draw, key = jax.random.split(key)
    seed = int(jax.random.bits(key_draw))
    drawn = draw_configs(engine, seed, engine.plan.candidates + number)
    return choose_candidates(
        key,
        engine.plan,
        engine.task.space,
        engine.propose,
        state.progress,
        state.generation.architectures,
        drawn,
    )


def _next_generation(
    generation: Generation, number: int, trigger: Trigger
) -> Generation:
    return generation._replace(
        number=np.array(number),
        trigger=np.array(int(trigger)),
        best=np.array(-np.inf),
        stalled_rounds=np.array(0),
        updates=np.array(0),
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
    """Survivors of a rung go on, each with its weights, environments and counters.

    Args:
      engine: the programs.
      state: after the last round of the rung.
      step: who goes on.
      evaluation: of that round.
      observer: told what happens.
    """
    progress = state.progress
    order, paddings, active = group_by_padding(engine, progress.config[step.survivors])
    if step.last:  # one group, which also holds the saved best
        of_best = padding_index(engine, state.best.config[None])
        paddings = np.maximum(paddings, of_best)
    slots = step.survivors[order]
    source = Source.distilled if state.generation.number else Source.initial
    progress = progress._replace(
        config=progress.config[slots],
        parents=np.tile(slots[:, None], (1, progress.parents.shape[1])),
        source=np.full(len(slots), int(source)),
        active=active,
        timesteps=progress.timesteps[slots],
        age=progress.age[slots],
        fitness=progress.fitness[slots],
        paddings=paddings,
    )
    population = regrouped(engine, state.population, slots, paddings)
    state = state._replace(progress=progress, population=population)
    if not step.last:
        return state
    survivors = slice_evaluation(evaluation, slots)
    return _end_halving(engine, state, survivors, observer)


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
        strategy=fresh_strategy(engine, progress, evaluation),
    )
