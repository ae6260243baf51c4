"""When a new generation begins, and with which architectures: BG-PBT's outer loop (Wan et al., 2022, Section 3.3).

Pure functions of what the controller counts; `bgpbt.controller` carries them out. `A` architecture dimensions.
"""

import jax
import numpy as np

from bgpbt import space as spaces
from bgpbt.options import Options
from bgpbt.space import SearchSpace
from bgpbt.strategies.architectures import Propose
from bgpbt.tournament import Rung, rungs
from bgpbt.types import Generation, Key, Progress, Source, Task, Tried, Why

REASONS = {
    Why.patience: "nothing better was found for `patience` rounds",
    Why.distill_every: "`distill_every` steps have passed",
}


def architecture(space: SearchSpace) -> np.ndarray:
    """Which dimensions describe an architecture. Shape `[D]`, bool."""
    return ~spaces.group_mask(space, "hyperparameter")


def only_architecture(space: SearchSpace) -> SearchSpace:
    """The dimensions that describe an architecture."""
    return {name: dim for name, dim in space.items() if dim.group != "hyperparameter"}


def first(options: Options, space: SearchSpace) -> Generation:
    """Generation 0, before anything has been trained; its tournament runs if there are more candidates than members."""
    rows = (options.generations + 1) * (options.candidates + options.generations) if options.generations else 0
    return Generation(
        number=np.array(0),
        why=np.array(int(Why.start)),
        began=np.array(0),
        best=np.array(-np.inf),
        stalled=np.array(0),
        candidates=np.array(options.candidates if options.candidates > options.pop_size else 0),
        updates=np.array(0),
        teacher_config=np.zeros(len(space), np.float32),
        tried=Tried(
            np.zeros((rows, int(architecture(space).sum())), np.float32), np.full(rows, np.nan), np.zeros(rows, np.int64)
        ),
    )


def tournament(options: Options, task: Task, generation: Generation) -> list[Rung]:
    """The rungs of the running tournament: one short one among the initial candidates, a whole distillation later."""
    number, size = int(generation.candidates), options.pop_size
    if generation.number == 0:
        return [Rung(number, max(options.t_ready // task.timesteps_per_update, 1), size)]
    return rungs(number, size, distillation_updates(options, task))


def distillation_updates(options: Options, task: Task) -> int:
    """Updates of a student in a whole distillation."""
    return max(options.t_distillation // task.timesteps_per_update, 1)


def place(found: list[Rung], updates: int) -> tuple[Rung, int]:
    """The rung that stands after `updates`, and how many of its updates are left."""
    for rung in found:
        if updates < rung.updates:
            return rung, rung.updates - updates
        updates -= rung.updates
    raise ValueError("the tournament is over")


def due(options: Options, task: Task, generation: Generation, timesteps: int) -> Why | None:
    """Why a new generation should begin now; None where none should, or its distillation could not end in time."""
    steps = distillation_updates(options, task) * task.timesteps_per_update
    if generation.number >= options.generations or timesteps + steps >= options.max_timesteps:
        return None
    if generation.stalled >= options.patience:
        return Why.patience
    return Why.distill_every if timesteps - generation.began >= options.distill_every else None


def observe(generation: Generation, space: SearchSpace, progress: Progress, updates: int) -> Generation:
    """Counts a round of training, or of a tournament: what is the best so far, and what became of architectures.

    Args:
      generation: before the round.
      space: the whole search space.
      progress: after the round.
      updates: of each member in it.
    """
    fitness = np.where(progress.active, progress.fitness, np.nan)
    tried = remember(generation.tried, int(generation.number), progress.config[:, architecture(space)], fitness)
    if generation.candidates:
        return generation._replace(tried=tried, updates=generation.updates + updates)
    highest = np.max(fitness, initial=-np.inf, where=np.isfinite(fitness))
    better = highest > generation.best
    return generation._replace(
        best=np.maximum(generation.best, highest),
        stalled=np.where(better, 0, generation.stalled + 1),
        tried=tried,
    )


def remember(tried: Tried, number: int, config: np.ndarray, fitness: np.ndarray) -> Tried:
    """Enters finite fitnesses `[M]` of architectures `[M, A]` in generation `number`; the highest of each counts."""
    tried = Tried(*(x.copy() for x in tried))
    for row, value in zip(config, fitness, strict=True):
        if not len(tried.score) or not np.isfinite(value):
            continue
        same = ~np.isnan(tried.score) & (tried.generation == number) & (tried.config == row).all(axis=1)
        at = int(np.argmax(same if same.any() else np.isnan(tried.score)))
        tried.config[at], tried.generation[at] = row, number
        tried.score[at] = np.fmax(tried.score[at], value)
    return tried


def standing(tried: Tried) -> np.ndarray:
    """How good each architecture was among those of its generation, in (0, 1), 1 is best; NaN = no row. Shape `[N]`.

    Later generations have trained longer: across generations, only the places are comparable.
    """
    found = np.full(len(tried.score), np.nan)
    for number in np.unique(tried.generation[~np.isnan(tried.score)]):
        rows = np.flatnonzero(~np.isnan(tried.score) & (tried.generation == number))
        found[rows] = (tried.score[rows].argsort().argsort() + 0.5) / len(rows)
    return found


def candidates(
    key: Key, options: Options, space: SearchSpace, propose: Propose | None, progress: Progress, tried: Tried, drawn: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The configurations that a new generation tries, and the source of each.

    Of `candidates`, half have an architecture that the Gaussian process proposes and the hyperparameters of
    a random member of the present population; the others are random. The best architecture of every generation so far
    comes beside them, with random hyperparameters. With `arch_policy: random`, all are random.

    Args:
      key: PRNG key, consumed.
      options: the settings.
      space: the whole search space, D dimensions.
      propose: from `architectures.searched`; None where all are random.
      progress: of the population that ends.
      tried: what became of architectures so far.
      drawn: random configurations, of which `candidates` and one for each generation are used. Shape `[n, D]`.

    Returns:
      Shapes `[m, D]` and `[m]`.
    """
    drawn, number, genes = spaces.settle(space, drawn), options.candidates, architecture(space)
    if options.arch_policy == "random":
        return drawn[:number], np.full(number, int(Source.random))
    rows, score = ~np.isnan(tried.score), standing(tried)
    half = number // 2
    key_member, key_propose = jax.random.split(key)
    member = np.asarray(jax.random.randint(key_member, (half,), 0, options.pop_size))
    proposed = progress.config[member].copy()
    proposed[:, genes] = propose(key_propose, tried.config[rows], score[rows], half)
    best = [tried.config[np.nanargmax(np.where(tried.generation == g, score, np.nan))] for g in np.unique(tried.generation[rows])]
    best = np.unique(np.array(best, np.float32), axis=0)
    kept = drawn[number - half : number - half + len(best)].copy()
    kept[:, genes] = best
    config = np.concatenate([proposed, kept, drawn[: number - half]])
    source = np.repeat([int(Source.gp), int(Source.previous), int(Source.random)], [half, len(best), number - half])
    return config.astype(np.float32), source
