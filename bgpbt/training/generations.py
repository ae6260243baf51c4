"""When a new generation begins, and with which architectures.

BG-PBT's outer loop (Wan et al., 2022, Section 3.3): pure functions of what the loop
counts. `A` architecture dimensions, `D` dimensions in all, `N` rows, `M` slots.
"""

import jax
import numpy as np

from bgpbt import space as spaces
from bgpbt.gp.architectures import Propose
from bgpbt.space import SearchSpace
from bgpbt.successive_halving import Rung, make_rungs
from bgpbt.training.plan import Plan
from bgpbt.training.run_state import (
    ArchitectureHistory,
    Generation,
    Progress,
    Trigger,
)
from bgpbt.types import Key, Source

REASONS = {
    Trigger.patience: "nothing better was found for `patience` rounds",
    Trigger.distill_every: "`distill_every` steps have passed",
}


def architecture_mask(space: SearchSpace) -> np.ndarray:
    """Which dimensions describe an architecture. Shape `[D]`, bool."""
    return ~spaces.group_mask(space, "hyperparameter")


def architecture_space(space: SearchSpace) -> SearchSpace:
    """The dimensions that describe an architecture."""
    return {name: dim for name, dim in space.items() if dim.group != "hyperparameter"}


def first_generation(plan: Plan, space: SearchSpace) -> Generation:
    """Generation 0, before anything has been trained.

    Its successive halving runs if there are more candidates than members.
    """
    most = plan.rules.max_generations
    rows = (most + 1) * (plan.candidates + most) if most else 0
    dimensions = int(architecture_mask(space).sum())
    halves = plan.candidates > plan.pop_size
    return Generation(
        number=np.array(0),
        trigger=np.array(int(Trigger.start)),
        began=np.array(0),
        best=np.array(-np.inf),
        stalled_rounds=np.array(0),
        candidates=np.array(plan.candidates if halves else 0),
        updates=np.array(0),
        teacher_config=np.zeros(len(space), np.float32),
        architectures=ArchitectureHistory(
            config=np.zeros((rows, dimensions), np.float32),
            score=np.full(rows, np.nan),
            generation=np.zeros(rows, np.int64),
        ),
    )


def halving_rungs(plan: Plan, generation: Generation) -> list[Rung]:
    """The rungs of the running successive halving.

    One short rung among the initial candidates, a whole distillation later.
    """
    candidates = int(generation.candidates)
    if generation.number == 0:
        updates = plan.schedule.updates_of(plan.schedule.t_ready)
        return [Rung(candidates, updates, plan.pop_size)]
    return make_rungs(candidates, plan.pop_size, distillation_updates(plan))


def distillation_updates(plan: Plan) -> int:
    """Updates of a student in a whole distillation."""
    return plan.schedule.updates_of(plan.rules.t_distillation)


def should_start(plan: Plan, generation: Generation, timesteps: int) -> Trigger | None:
    """Why a new generation should begin now.

    Args:
      plan: the rules.
      generation: the present one.
      timesteps: of a member so far.

    Returns:
      None where none should begin, or its distillation could not end in time.
    """
    rules = plan.rules
    schedule = plan.schedule
    steps = distillation_updates(plan) * schedule.timesteps_per_update
    ends_in_time = timesteps + steps < schedule.max_timesteps
    if generation.number >= rules.max_generations or not ends_in_time:
        return None
    if generation.stalled_rounds >= rules.patience:
        return Trigger.patience
    if timesteps - generation.began >= rules.distill_every:
        return Trigger.distill_every
    return None


def observe(
    generation: Generation, space: SearchSpace, progress: Progress, updates: int
) -> Generation:
    """Counts a round: what is the best so far, and what became of architectures.

    Args:
      generation: before the round.
      space: the whole search space.
      progress: after the round.
      updates: of each member in it.
    """
    fitness = np.where(progress.active, progress.fitness, np.nan)
    architectures = remember(
        generation.architectures,
        int(generation.number),
        progress.config[:, architecture_mask(space)],
        fitness,
    )
    generation = generation._replace(architectures=architectures)
    if generation.candidates:
        return generation._replace(updates=generation.updates + updates)
    highest = np.max(fitness, initial=-np.inf, where=np.isfinite(fitness))
    better = highest > generation.best
    return generation._replace(
        best=np.maximum(generation.best, highest),
        stalled_rounds=np.where(better, 0, generation.stalled_rounds + 1),
    )


def remember(
    history: ArchitectureHistory,
    generation: int,
    config: np.ndarray,
    fitness: np.ndarray,
) -> ArchitectureHistory:
    """Enters architectures; the highest finite fitness of each in a generation counts.

    Args:
      history: so far.
      generation: which one they belong to.
      config: the architectures. Shape `[M, A]`.
      fitness: shape `[M]`.
    """
    history = ArchitectureHistory(*(x.copy() for x in history))
    for row, value in zip(config, fitness, strict=True):
        if not len(history.score) or not np.isfinite(value):
            continue
        filled = ~np.isnan(history.score)
        equal = (history.config == row).all(axis=1)
        same = filled & (history.generation == generation) & equal
        at = int(np.argmax(same if same.any() else ~filled))
        history.config[at] = row
        history.generation[at] = generation
        history.score[at] = np.fmax(history.score[at], value)
    return history


def normalised_rank(history: ArchitectureHistory) -> np.ndarray:
    """How good each architecture was in its generation. Shape `[N]`.

    In (0, 1), 1 is best; NaN = no row. Later generations have trained longer: across
    generations, only the ranks are comparable.
    """
    filled = ~np.isnan(history.score)
    ranks = np.full(len(history.score), np.nan)
    for generation in np.unique(history.generation[filled]):
        rows = np.flatnonzero(filled & (history.generation == generation))
        places = history.score[rows].argsort().argsort()
        ranks[rows] = (places + 0.5) / len(rows)
    return ranks


def choose_candidates(
    key: Key,
    plan: Plan,
    space: SearchSpace,
    propose: Propose | None,
    progress: Progress,
    history: ArchitectureHistory,
    drawn: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """The configurations that a new generation tries, and the source of each.

    Half of the candidates have an architecture that the Gaussian process proposes and
    the hyperparameters of a random member of the present population; the others are
    random. The best architecture of every generation so far comes beside them, with
    random hyperparameters. With `arch_policy: random`, all are random.

    Args:
      key: PRNG key, consumed.
      plan: how many, and the rules.
      space: the whole search space, D dimensions.
      propose: the search over architectures; None where all are random.
      progress: of the population that ends.
      history: what became of architectures so far.
      drawn: random configurations, of which `candidates` and one for each generation
        are used. Shape `[n, D]`.

    Returns:
      Shapes `[m, D]` and `[m]`.
    """
    drawn = spaces.snap_architectures(space, drawn)
    if plan.rules.arch_policy == "random" or propose is None:
        source = np.full(plan.candidates, int(Source.random))
        return drawn[: plan.candidates], source
    half = plan.candidates // 2
    rest = plan.candidates - half
    key_member, key_propose = jax.random.split(key)
    members = jax.random.randint(key_member, (half,), 0, plan.pop_size)
    filled = ~np.isnan(history.score)
    rank = normalised_rank(history)
    proposed = propose(key_propose, history.config[filled], rank[filled], half)
    best = _best_architectures(history, rank)
    config = [
        _with_architectures(space, progress.config[np.asarray(members)], proposed),
        _with_architectures(space, drawn[rest : rest + len(best)], best),
        drawn[:rest],
    ]
    sources = [int(Source.gp), int(Source.previous), int(Source.random)]
    source = np.repeat(sources, [half, len(best), rest])
    return np.concatenate(config).astype(np.float32), source


def _with_architectures(
    space: SearchSpace, config: np.ndarray, architectures: np.ndarray
) -> np.ndarray:
    """Configurations `[n, D]` with other architectures `[n, A]`."""
    changed = config.copy()
    changed[:, architecture_mask(space)] = architectures
    return changed


def _best_architectures(history: ArchitectureHistory, rank: np.ndarray) -> np.ndarray:
    """The best architecture of every generation, each once. Shape `[n, A]`."""
    best = []
    for generation in np.unique(history.generation[~np.isnan(history.score)]):
        of_generation = np.where(history.generation == generation, rank, np.nan)
        best.append(history.config[np.nanargmax(of_generation)])
    return np.unique(np.array(best, np.float32), axis=0)
