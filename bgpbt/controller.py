"""The controller: train, evaluate, decide, inherit, save, round after round.

The strategy is not traced into the round's programs: what it gets and gives is a few kilobytes on the host, so it may
use another precision, another engine, or plain Python.
"""

import jax
import numpy as np
import pandas as pd

from bgpbt import space as spaces
from bgpbt.display import Display
from bgpbt.engine import Engine, Measured, first_configs, initialise, join, measure_untrained, train
from bgpbt.options import Options, PopulationLost
from bgpbt.plan import PROGRAMS, updates_of_round
from bgpbt.population import Purpose
from bgpbt.store import RunStore, shapes_like
from bgpbt.types import Decision, Outcome, Progress, RunState, Source, Task, TrainState


def train_population(engine: Engine, seed: int, store: RunStore, display: Display) -> RunState:
    """Trains one population to the end, or on to the end from its last complete round.

    Raises:
      PopulationLost: every member failed in the same round; the checkpoint before it stays.
    """
    display.phase("compiling", f"{len(PROGRAMS)} programs side by side")
    for name in PROGRAMS:
        getattr(engine.programs, name).wait()
    state = _resume(engine, seed, store, display)
    if state is None:
        display.phase("evaluating", "the untrained population")
        start = _first_candidates if engine.options.candidates > engine.options.pop_size else _first_population
        state, rows = start(engine, seed, display)
        store.save(state, rows)
    display.start(int(state.progress.timesteps.max()))
    while not finished(engine.options, state.progress):
        state, rows = _round(engine, state, display)
        display.phase("saving")
        store.save(state, rows)
    return state


def finished(options: Options, progress: Progress) -> bool:
    """Whether every member has trained `max_timesteps`."""
    return bool(np.all(progress.timesteps >= options.max_timesteps))


def _resume(engine: Engine, seed: int, store: RunStore, display: Display) -> RunState | None:
    if not store.rounds():
        return None
    display.phase("resuming")
    state, said = store.restore(shapes_like(blank_state(engine, seed)))
    for line in said:
        display.notice(line)
    where = f"after round {int(state.progress.round)}" if state else "afresh: no checkpoint could be read"
    display.notice(f"resume: continuing {where}")
    return state


def blank_state(engine: Engine, seed: int) -> RunState:
    """An untrained state: the shapes and the placement that a checkpoint is read into."""
    config = first_configs(engine, seed)[: engine.options.pop_size]
    nothing = Measured(np.zeros((len(config), 1)), np.zeros(len(config)), [""] * len(config), 0, 0.0, 0.0)
    return _untrained_state(engine, seed, initialise(engine, seed, 0, config), config, nothing, 0)


def _first_population(engine: Engine, seed: int, display: Display) -> tuple[RunState, pd.DataFrame]:
    """Round 0: the untrained population, evaluated."""
    config = first_configs(engine, seed)
    population = initialise(engine, seed, 0, config)
    measured = measure_untrained(engine, seed, np.ones(len(config), bool), population, config)
    state = _untrained_state(engine, seed, population, config, measured, measured.env_steps)
    state = state._replace(progress=state.progress._replace(untrained=np.array(_argmax(measured.fitness))))
    _say_untrained(display, measured.fitness)
    return state, _rows(engine, state, 0, config, measured)


def _first_candidates(engine: Engine, seed: int, display: Display) -> tuple[RunState, pd.DataFrame]:
    """Rounds 0 and 1 with more candidates than members, in groups through the same programs; the best go on."""
    options, task, size = engine.options, engine.task, engine.options.pop_size
    configs, number = first_configs(engine, seed), engine.options.candidates
    updates = updates_of_round(options, task, 0)
    kept, keep, before, after, total = None, np.arange(0), [], [], 0
    for group, config in enumerate(np.split(configs, len(configs) // size)):
        candidates = np.arange(size) + group * size
        active = candidates < number
        population = initialise(engine, seed, group, config)
        before.append(measure_untrained(engine, seed, active, population, config))
        display.phase("training", f"initial candidates {candidates[0]} to {min(candidates[-1], number - 1)} of {number}")
        population, measured = train(engine, seed, 1, updates, active, population, config, group)
        after.append(measured)
        total += before[-1].env_steps + measured.env_steps
        pool = np.concatenate([keep, candidates])
        order = np.argsort(-_rank_key(np.concatenate([m.fitness for m in after])[pool]), kind="stable")
        take = np.sort(order[:size])
        kept = population if kept is None else engine.programs.merge(kept, population, take.astype(np.int32))
        keep = pool[take]
    fitness0 = np.concatenate([m.fitness for m in before])
    _say_untrained(display, fitness0)
    untrained = join(before, keep)
    state = _untrained_state(engine, seed, kept, configs[keep], untrained, total - sum(m.env_steps for m in after))
    state = state._replace(progress=state.progress._replace(untrained=np.array(_argmax(fitness0[:number]))))
    slots = np.full(len(configs), -1)
    slots[keep] = np.arange(size)
    rows0 = _rows(engine, state, 0, configs, join(before, slice(None)), slots)[:number]
    joined = join(after, keep)._replace(env_steps=sum(m.env_steps for m in after))
    state, rows1 = _conclude(engine, state, kept, joined, updates, display)
    rejected = _rows(engine, state, 1, configs, join(after, slice(None)), slots)[:number]
    rejected = rejected[rejected["member"] < 0].assign(timesteps=updates * task.timesteps_per_update)
    return state, pd.concat([rows0, rows1, rejected], ignore_index=True)


def _say_untrained(display: Display, fitness: np.ndarray) -> None:
    if not np.isnan(fitness).all():
        display.notice(f"untrained: best {np.nanmax(fitness):,.1f}, median {np.nanmedian(fitness):,.1f}")


def _untrained_state(
    engine: Engine, seed: int, population: TrainState, config: np.ndarray, measured: Measured, env_steps: int
) -> RunState:
    size, blocks = len(config), len(engine.task.blocks)
    progress = Progress(
        seed=np.array(seed),
        round=np.array(0),
        generation=np.array(0),
        config=config,
        parents=np.tile(np.arange(size)[:, None], (1, blocks)),
        source=np.full(size, int(Source.initial)),
        active=np.ones(size, bool),
        timesteps=np.zeros(size, np.int64),
        age=np.zeros(size, np.int64),
        fitness=measured.fitness,
        env_steps_total=np.array(env_steps),
        best_fitness=np.array(-np.inf),
        best_round=np.array(0),
        best_member=np.array(0),
        best_age=np.array(0),
        best_config=config[0],
        untrained=np.array(0),
    )
    key = jax.random.fold_in(jax.random.PRNGKey(seed), Purpose.decide)
    strategy = engine.strategy.init(key, _outcome(progress, measured))
    return RunState(progress, population, engine.programs.pick(population, np.int32(0)), strategy)


def _round(engine: Engine, state: RunState, display: Display) -> tuple[RunState, pd.DataFrame]:
    progress = state.progress
    updates = updates_of_round(engine.options, engine.task, int(progress.timesteps.max()))
    active = progress.active & (progress.timesteps < engine.options.max_timesteps)
    state = state._replace(progress=progress._replace(active=active))
    display.phase("training", f"round {int(progress.round) + 1}")
    population, measured = train(
        engine,
        int(progress.seed),
        int(progress.round) + 1,
        updates,
        active,
        state.population,
        progress.config,
        0,
        display,
    )
    return _conclude(engine, state, population, measured, updates, display)


def _conclude(
    engine: Engine, state: RunState, population: TrainState, measured: Measured, updates: int, display: Display
) -> tuple[RunState, pd.DataFrame]:
    """After training: counts, saves the best, asks the strategy, lets members inherit. Returns the next round's state."""
    progress, task = state.progress, engine.task
    number = int(progress.round) + 1
    trained = np.where(progress.active, updates * task.timesteps_per_update, 0)
    progress = progress._replace(
        round=np.array(number),
        timesteps=progress.timesteps + trained,
        age=progress.age + trained,
        env_steps_total=progress.env_steps_total + measured.env_steps,
    )
    measured = measured._replace(fitness=np.where(progress.active, measured.fitness, progress.fitness))
    progress = progress._replace(fitness=measured.fitness)
    rows = _rows(engine, state._replace(progress=progress), number, progress.config, measured)
    if np.isnan(measured.fitness[progress.active]).all():
        why = ", ".join(sorted({f for f in measured.failures if f}))
        raise PopulationLost(f"all members failed in round {number} (not finite: {why}); the last complete round stays saved")
    progress, best = _keep_best(engine, progress, population, state.best, measured.fitness)
    outcome = _outcome(progress, measured)
    state = RunState(progress, population, best, state.strategy)
    replacements, last = [], finished(engine.options, progress)
    if not last:
        state, decision = _inherit(engine, state, outcome)
        replacements = _in_words(decision, len(trained))
    display.round(
        round=number,
        timesteps=int(progress.timesteps.max()),
        steps_per_second=float(trained.sum() / max(measured.train_seconds, 1e-9)),
        best=float(np.nanmax(measured.fitness)),
        median=float(np.nanmedian(measured.fitness)),
        best_so_far=float(progress.best_fitness),
        replacements=replacements,
        bad=[
            f"member {i} failed, {why} not finite" + ("" if last else ": replaced")
            for i, why in enumerate(measured.failures)
            if why
        ],
    )
    return state, rows


def _rank_key(fitness: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(fitness), -np.inf, fitness)


def _argmax(fitness: np.ndarray) -> int:
    return int(np.argmax(_rank_key(fitness)))


def _keep_best(engine: Engine, progress: Progress, population: TrainState, best: TrainState, fitness: np.ndarray):
    member = _argmax(fitness)
    if not fitness[member] > progress.best_fitness:
        return progress, best
    progress = progress._replace(
        best_fitness=np.array(fitness[member]),
        best_round=progress.round,
        best_member=np.array(member),
        best_age=progress.age[member],
        best_config=progress.config[member],
    )
    return progress, engine.programs.pick(population, np.int32(member))


def _outcome(progress: Progress, measured: Measured) -> Outcome:
    return Outcome(
        config=np.asarray(progress.config, np.float32),
        fitness=measured.fitness.astype(np.float32),
        episode_returns=measured.returns.astype(np.float32),
        timesteps=progress.timesteps.astype(np.int32),
        age=progress.age.astype(np.int32),
        active=progress.active,
    )


def _inherit(engine: Engine, state: RunState, outcome: Outcome) -> tuple[RunState, Decision]:
    """Asks the strategy and carries out its decision."""
    progress = state.progress
    key = jax.random.PRNGKey(int(progress.seed))
    for part in (int(Purpose.decide), int(progress.round)):
        key = jax.random.fold_in(key, part)
    strategy, decision = engine.strategy.step(key, state.strategy, outcome)
    decision = new_architectures_start_afresh(engine.task, progress, Decision(*map(np.asarray, decision)))
    population = engine.programs.inherit(
        np.uint32(int(progress.seed)), np.int32(progress.round), state.population, state.best, decision
    )
    first = decision.parents[:, 0]
    fresh = (decision.shrink[:, 0] == 0) & (decision.perturb[:, 0] > 0)
    progress = progress._replace(
        config=decision.config,
        parents=decision.parents.astype(np.int64),
        source=decision.source.astype(np.int64),
        active=decision.active,
        age=np.where(fresh, 0, np.append(progress.age, progress.best_age)[first]),
    )
    return RunState(progress, population, state.best, strategy), decision


def new_architectures_start_afresh(task: Task, progress: Progress, decision: Decision) -> Decision:
    """A block whose architecture is not its parent's cannot use its weights: it starts from fresh ones."""
    configs = np.concatenate([progress.config, progress.best_config[None]])
    shrink, perturb = decision.shrink.copy(), decision.perturb.copy()
    for b, block in enumerate(task.blocks):
        genes = spaces.group_mask(task.space, block)
        changed = (decision.config[:, genes] != configs[decision.parents[:, b]][:, genes]).any(axis=1)
        shrink[changed, b], perturb[changed, b] = 0, 1
    return decision._replace(shrink=shrink, perturb=perturb)


def _in_words(decision: Decision, size: int) -> list[str]:
    """The replacements of a decision, one phrase each."""
    words = []
    for member, parents in enumerate(decision.parents):
        source = Source(int(decision.source[member])).name
        names = ["the saved best" if p == size else f"member {p}" for p in dict.fromkeys(parents.tolist())]
        if (parents != member).any():
            words.append(f"member {member} <- {' and '.join(names)}, {source}")
        elif (decision.perturb[member] > 0).any():
            words.append(f"member {member} starts afresh, {source}")
    return words


def _rows(
    engine: Engine,
    state: RunState,
    number: int,
    config: np.ndarray,
    measured: Measured,
    slots: np.ndarray | None = None,
) -> pd.DataFrame:
    """The records of a round: the configurations it was trained with and where they and the weights came from."""
    size, progress = engine.options.pop_size, state.progress
    ours = slots is None
    slots = np.arange(size) if ours else slots
    groups = [engine.programs.hyperparams(part) for part in np.split(config, len(config) // size)]
    columns = {
        "round": number,
        "generation": int(progress.generation),
        "member": slots,
        "parent": np.where(progress.parents[:, 0] == size, int(progress.best_member), progress.parents[:, 0]) if ours else slots,
        "source": [Source(int(s)).name for s in (progress.source if ours else np.zeros(len(slots)))],
        "fitness": measured.fitness,
        "timesteps": progress.timesteps if ours else 0,
        "env_steps_total": int(progress.env_steps_total),
        "seconds": round(measured.seconds, 3),
    }
    natural = {name: np.concatenate([np.asarray(g[name]) for g in groups]) for name in engine.task.space}
    beliefs = engine.strategy.beliefs(state.strategy)
    beliefs = {name: x if ours else np.nan for name, x in beliefs.items()}  # candidates came before any belief
    return pd.DataFrame(columns | natural | beliefs)
