"""What a run knows between its rounds: how it begins, what its checkpoint looks like, what is told to the strategy."""

import jax
import numpy as np

from bgpbt import generations
from bgpbt.engine import Engine, Groups, Measured, in_size, initialise, pick
from bgpbt.population import Purpose
from bgpbt.types import Outcome, Progress, RunState, Source


def untrained_state(engine: Engine, seed: int, groups: Groups, sizes, active, config, measured: Measured) -> RunState:
    """The state of a run whose candidates have been evaluated and nothing else.

    Args:
      engine: the programs and settings.
      seed: of the run.
      groups: the untrained candidates.
      sizes: padded size of each group. Shape `[M / P]`.
      active: who is a candidate, and does not only fill a group. Shape `[M]`.
      config: shape `[M, D]`.
      measured: the evaluation.
    """
    number, blocks = len(config), len(engine.task.blocks)
    progress = Progress(
        seed=np.array(seed),
        round=np.array(0),
        config=config,
        parents=np.tile(np.arange(number)[:, None], (1, blocks)),
        source=np.full(number, int(Source.initial)),
        active=active,
        timesteps=np.zeros(number, np.int64),
        age=np.zeros(number, np.int64),
        fitness=measured.fitness,
        sizes=np.asarray(sizes, np.int64),
        env_steps_total=np.array(measured.env_steps),
        best_fitness=np.array(-np.inf),
        best_round=np.array(0),
        best_member=np.array(0),
        best_age=np.array(0),
        best_config=config[0],
        best_size=np.array(int(sizes[0])),
        untrained=np.array(0),
    )
    generation = generations.first(engine.options, engine.task.space)
    return RunState(progress, generation, groups, pick(engine, groups, 0), (), fresh_strategy(engine, progress, measured))


def fresh_strategy(engine: Engine, progress: Progress, measured: Measured):
    """The strategy before it has seen a round; during a tournament it waits, and what stands here is not used."""
    members = slice(engine.options.pop_size)
    key = jax.random.fold_in(jax.random.PRNGKey(int(progress.seed)), Purpose.decide)
    return engine.strategy.init(key, jax.tree.map(lambda x: x[members], outcome_of(progress, measured)))


def layout_of(state: RunState) -> dict:
    """What decides the shapes of a state: a checkpoint says it beside its arrays."""
    sizes, best = state.progress.sizes, state.progress.best_size
    return {"sizes": sizes.tolist(), "best_size": int(best), "teacher": bool(state.teacher)}


def blank_state(engine: Engine, seed: int, layout: dict) -> RunState:
    """An untrained state of a layout: the shapes and the placement that a checkpoint is read into."""
    sizes = np.array(layout["sizes"])
    config = np.zeros((len(sizes) * engine.options.pop_size, len(engine.task.space)), np.float32)
    groups = initialise(engine, seed, 0, sizes, config)
    nothing = Measured(np.zeros((len(config), 1)), np.zeros(len(config)), [""] * len(config), 0, 0.0, 0.0)
    state = untrained_state(engine, seed, groups, sizes, np.ones(len(config), bool), config, nothing)
    teacher = in_size(engine, state.best, len(engine.tasks) - 1) if layout["teacher"] else ()
    return state._replace(best=in_size(engine, state.best, layout["best_size"]), teacher=teacher)


def outcome_of(progress: Progress, measured: Measured) -> Outcome:
    return Outcome(
        config=np.asarray(progress.config, np.float32),
        fitness=measured.fitness.astype(np.float32),
        episode_returns=measured.returns.astype(np.float32),
        timesteps=progress.timesteps.astype(np.int32),
        age=progress.age.astype(np.int32),
        active=progress.active,
    )


def best_of(fitness: np.ndarray) -> int:
    """Who is best; NaN = failed is last."""
    return int(np.argmax(np.where(np.isnan(fitness), -np.inf, fitness)))
