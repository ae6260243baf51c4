"""From a generation to the next one: teacher and students, the rungs of their tournament (`bgpbt.generations` says which)."""

import jax
import numpy as np

from bgpbt import generations
from bgpbt.display import Display
from bgpbt.engine import Engine, Measured, compile_for, draw_configs, in_size, initialise, into_groups, pick, regrouped, sizes_of
from bgpbt.plan import PROGRAMS
from bgpbt.population import Purpose
from bgpbt.state import best_of, fresh_strategy
from bgpbt.tournament import survivors
from bgpbt.types import Lesson, RunState, Source, Why


def begin_generation(engine: Engine, state: RunState, why: Why, display: Display) -> RunState:
    """The best member becomes the teacher of new networks, whose distillation begins."""
    options, space, progress = engine.options, engine.task.space, state.progress
    number, steps = int(state.generation.number) + 1, int(progress.timesteps.max())
    display.notice(f"generation {number} begins after {steps:,} steps of a member: {generations.REASONS[why]}")
    display.phase("proposing", "architectures")
    key = jax.random.fold_in(jax.random.PRNGKey(int(progress.seed)), Purpose.generate)
    key_draw, key = jax.random.split(jax.random.fold_in(key, number))
    drawn = draw_configs(engine, int(jax.random.bits(key_draw)), options.candidates + number)
    config, source = generations.candidates(key, options, space, engine.propose, progress, state.generation.tried, drawn)
    order, sizes, active = into_groups(engine, config)
    compile_for(engine, sizes, ("init", "distil", "evaluate"), display)
    teacher = best_of(progress.fitness)
    slots, blocks = np.arange(len(order)), len(engine.task.blocks)
    groups = initialise(engine, int(progress.seed), int(progress.round), sizes, config[order])
    generation = state.generation._replace(
        number=np.array(number),
        why=np.array(int(why)),
        best=np.array(-np.inf),
        stalled=np.array(0),
        candidates=np.array(len(config)),
        updates=np.array(0),
        teacher_config=progress.config[teacher],
    )
    progress = progress._replace(
        config=config[order],
        parents=np.full((len(slots), blocks), teacher),
        source=source[order],
        active=active,
        timesteps=np.full(len(slots), steps),
        age=np.zeros(len(slots), np.int64),
        fitness=np.full(len(slots), np.nan),
        sizes=sizes,
    )
    largest = len(engine.tasks) - 1
    taught = in_size(engine, pick(engine, state.population, teacher), largest)
    return state._replace(progress=progress, generation=generation, population=groups, teacher=taught)


def lesson_of(engine: Engine, state: RunState) -> Lesson:
    """What the students of a distillation learn from, and how far they are."""
    steps = engine.task.timesteps_per_update
    length = generations.distillation_updates(engine.options, engine.task) * steps
    trained = int(state.generation.updates) * steps
    return Lesson(state.teacher, state.generation.teacher_config, np.float32(trained), np.float32(length))


def undecided(state: RunState) -> RunState:
    """Where nobody decides, within a rung and at the end, everyone is its own parent in the round to come."""
    slots, blocks = state.progress.parents.shape
    progress = state.progress._replace(
        parents=np.tile(np.arange(slots)[:, None], (1, blocks)), source=np.full(slots, int(Source.previous))
    )
    return state._replace(progress=progress)


def end_rung(engine: Engine, state: RunState, measured: Measured, number: int, display: Display) -> RunState:
    """The end of a rung: its survivors go on, each with its own weights, moments, worlds and counters."""
    progress, generation = state.progress, state.generation
    chosen = survivors(progress.fitness, progress.active, number)
    over = generation.updates == sum(r.updates for r in generations.tournament(engine.options, engine.task, generation))
    order, sizes, active = into_groups(engine, progress.config[chosen])
    if over:  # one group, which also holds the saved best
        sizes = np.maximum(sizes, sizes_of(engine, progress.best_config[None]))
    take = chosen[order]
    source = Source.distilled if generation.number else Source.initial
    blocks = progress.parents.shape[1]
    progress = progress._replace(
        config=progress.config[take],
        parents=np.tile(take[:, None], (1, blocks)),
        source=np.full(len(take), int(source)),
        active=active,
        timesteps=progress.timesteps[take],
        age=progress.age[take],
        fitness=progress.fitness[take],
        sizes=sizes,
    )
    state = state._replace(progress=progress, population=regrouped(engine, state.population, take, sizes))
    if not over:
        return state
    compile_for(engine, sizes, PROGRAMS, display)
    best = in_size(engine, state.best, int(sizes[0]))
    kept = measured._replace(returns=measured.returns[take], fitness=progress.fitness)
    return state._replace(
        progress=progress._replace(best_size=sizes[0]),
        generation=generation._replace(candidates=np.array(0), updates=np.array(0), began=progress.timesteps.max()),
        best=best,
        teacher=(),
        strategy=fresh_strategy(engine, progress, kept),
    )
