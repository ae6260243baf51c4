"""How the counters of a population go on from round to round, whoever trains it.

None of it knows weights: the engine and a `bgpbt.Tuner` call the same functions. `M`
slots in groups of `P` members; `B` blocks of weights.
"""

from collections.abc import Callable

import jax
import numpy as np

from bgpbt.execution.inherit import starts_afresh
from bgpbt.execution.streams import Stream, fold
from bgpbt.training.evaluation import Evaluation, argbest
from bgpbt.training.groups import GroupedConfigs
from bgpbt.training.run_state import Best, Progress
from bgpbt.types import Decision, Outcome, PyTree, Source, Strategy, TrainState


def untrained_progress(
    seed: int, num_blocks: int, candidates: GroupedConfigs, evaluation: Evaluation
) -> Progress:
    """The counters of candidates that have been evaluated and nothing else.

    Args:
      seed: the run's.
      num_blocks: B.
      candidates: their configurations.
      evaluation: their evaluation.
    """
    slots = len(candidates.config)
    return Progress(
        seed=np.array(seed),
        round=np.array(0),
        config=candidates.config,
        parents=own_parents(slots, num_blocks),
        source=np.full(slots, int(Source.initial)),
        active=candidates.active,
        timesteps=np.zeros(slots, np.int64),
        age=np.zeros(slots, np.int64),
        fitness=evaluation.fitness,
        paddings=np.asarray(candidates.paddings, np.int64),
        env_steps_total=np.array(evaluation.env_steps),
        untrained=np.array(0),
    )


def own_parents(slots: int, blocks: int) -> np.ndarray:
    """Every slot is its own parent. Shape `[M, B]`."""
    return np.tile(np.arange(slots)[:, None], (1, blocks))


def no_best(state: TrainState, config: np.ndarray, padding: int) -> Best:
    """What stands for the saved best before there is one: any fitness is higher.

    Args:
      state: gives the shapes of what is inherited.
      config: gives those of a configuration. Shape `[D]`.
      padding: of `state`.
    """
    return Best(
        state=state,
        fitness=np.array(-np.inf),
        round=np.array(0),
        member=np.array(0),
        age=np.array(0),
        config=config,
        padding=np.array(padding),
    )


def fresh_strategy(
    strategy: Strategy, pop_size: int, progress: Progress, evaluation: Evaluation
) -> PyTree:
    """The strategy before it has seen a round.

    During a successive halving it waits, and what stands here is not used.
    """
    key = fold(int(progress.seed), Stream.decide)
    outcome = outcome_of(progress, evaluation)
    outcome = jax.tree.map(lambda x: x[:pop_size], outcome)
    return strategy.init(key, outcome)


def outcome_of(progress: Progress, evaluation: Evaluation) -> Outcome:
    """What the strategy sees of a round."""
    return Outcome(
        config=np.asarray(progress.config, np.float32),
        fitness=evaluation.fitness.astype(np.float32),
        episode_returns=evaluation.returns.astype(np.float32),
        timesteps=progress.timesteps.astype(np.int32),
        age=progress.age.astype(np.int32),
        active=progress.active,
    )


def with_idle_fitness(evaluation: Evaluation, progress: Progress) -> Evaluation:
    """An idle member keeps the fitness that it had before the round."""
    fitness = np.where(progress.active, evaluation.fitness, progress.fitness)
    return evaluation._replace(fitness=fitness)


def count(
    progress: Progress, evaluation: Evaluation, steps: int | np.ndarray
) -> Progress:
    """The counters after a round in which every active member made `steps`.

    Args:
      progress: before the round.
      evaluation: of the round.
      steps: of all members, or of each one. Shape `[]` or `[M]`.
    """
    trained = np.where(progress.active, steps, 0)
    return progress._replace(
        round=np.array(int(progress.round) + 1),
        timesteps=progress.timesteps + trained,
        age=progress.age + trained,
        fitness=evaluation.fitness,
        env_steps_total=progress.env_steps_total + evaluation.env_steps,
    )


def all_failed(progress: Progress) -> bool:
    """Whether nobody is left to inherit from after a round."""
    return bool(np.isnan(progress.fitness[progress.active]).all())


def best_so_far(
    progress: Progress, best: Best, pick: Callable[[int], TrainState]
) -> Best:
    """The round's best member where it is better than the saved best, else that.

    Args:
      progress: after the round.
      best: the saved best before it.
      pick: what is inherited of a member.
    """
    member = argbest(np.where(progress.active, progress.fitness, np.nan))
    if not progress.fitness[member] > best.fitness:
        return best
    pop_size = len(progress.config) // len(progress.paddings)
    return Best(
        state=pick(member),
        fitness=progress.fitness[member],
        round=progress.round,
        member=np.array(member),
        age=progress.age[member],
        config=progress.config[member],
        padding=progress.paddings[member // pop_size],
    )


def inherited(progress: Progress, best: Best, decision: Decision) -> Progress:
    """The counters of the members that a decision makes, for the round to come."""
    first_parent = decision.parents[:, 0]
    # The saved best comes behind the members, under the number that it had.
    members = np.append(np.arange(len(first_parent)), best.member)
    ages = np.append(progress.age, best.age)
    return progress._replace(
        config=decision.config,
        parents=members[decision.parents],
        source=decision.source.astype(np.int64),
        active=decision.active,
        age=np.where(starts_afresh(decision), 0, ages[first_parent]),
    )
