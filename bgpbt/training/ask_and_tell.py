"""A round of members that somebody else trains: told, decided, answered.

It is `loop.play_round` without weights and without generations. `P` members, `D`
dimensions, `B` blocks of weights.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from bgpbt import space as spaces
from bgpbt.config.errors import PopulationLost
from bgpbt.execution.programs import configure_member
from bgpbt.space import Categorical, SearchSpace
from bgpbt.training.decision import ask_strategy
from bgpbt.training.evaluation import Evaluation
from bgpbt.training.groups import GroupedConfigs, drawn_for
from bgpbt.training.progress import (
    all_failed,
    best_so_far,
    count,
    fresh_strategy,
    inherited,
    no_best,
    untrained_progress,
    with_idle_fitness,
)
from bgpbt.training.run_state import Best, Progress
from bgpbt.training.told import Told
from bgpbt.types import Array, Decision, PyTree, Searched, Source, Strategy, TrainState

# Weights are the person's: what is inherited of a member here is nothing.
_NO_WEIGHTS = TrainState({}, {}, (), ())


class State(NamedTuple):
    """All that the next answers depend on."""

    progress: Progress
    best: Best
    strategy: PyTree
    told: np.ndarray  # [] bool, the untrained members have been told


class Step(NamedTuple):
    """What a told round led to."""

    played: Progress  # the counters after the round
    chosen_by: PyTree  # the strategy's state when it chose the round's configurations
    decision: Decision
    state: State


class Answer(NamedTuple):
    """What a member does next."""

    member: int  # 0 to P - 1
    config: dict[str, Any]  # natural values by name
    # By block: the member that the weights come from, or "best", the saved best.
    parents: dict[str, int | str]
    # By block: "keep", "copy", "shrink-perturb" (shrink * the parent's weights +
    # perturb * fresh ones), or "restart" (fresh ones).
    weights: dict[str, str]
    shrink: dict[str, float]  # by block, 1 = the parent's weights as they are
    perturb: dict[str, float]  # by block, 0 = no fresh weights are added
    active: bool  # False: it does not train in the next round
    source: str  # where the configuration came from, the name of a `Source`


def untold(searched: Searched, strategy: Strategy, pop_size: int, seed: int) -> State:
    """The state before anything is told; a run draws the same configurations.

    Args:
      searched: space and blocks.
      strategy: may draw in its own way.
      pop_size: P.
      seed: of everything that is drawn.
    """
    members = np.arange(pop_size, dtype=np.int32)
    draw = jax.vmap(partial(configure_member, searched.space), in_axes=(None, 0))
    drawn = np.asarray(jax.jit(draw)(np.uint32(seed), members))
    drawn = spaces.snap_architectures(searched.space, drawn)
    candidates = GroupedConfigs(
        order=members,
        config=drawn_for(strategy, seed, drawn),
        paddings=np.zeros(1, np.int64),
        active=np.ones(pop_size, bool),
    )
    nothing = _evaluation(np.full(pop_size, np.nan), np.full((pop_size, 1), np.nan))
    progress = untrained_progress(seed, len(searched.blocks), candidates, nothing)
    return State(
        progress=progress,
        best=no_best(_NO_WEIGHTS, candidates.config[0], 0),
        # In the shapes of later states; it begins with the untrained members.
        strategy=fresh_strategy(strategy, pop_size, progress, nothing),
        told=np.array(False),
    )


def play_told(searched: Searched, strategy: Strategy, state: State, told: Told) -> Step:
    """Takes in a round that somebody else played, and decides what follows.

    The strategy begins with the untrained members, and everyone goes on.

    Args:
      searched: space and blocks.
      strategy: decides.
      state: before the round; it stays as it is.
      told: of the round.

    Raises:
      BadInput: members cannot be made from what the strategy decided.
      PopulationLost: all members failed.
    """
    evaluation = _evaluation(told.fitness, told.returns)
    if not state.told:
        progress = state.progress._replace(fitness=told.fitness)
        first = fresh_strategy(strategy, len(told.fitness), progress, evaluation)
        state = State(progress, state.best, first, np.array(True))
        return Step(progress, first, _keep_all(progress), state)
    evaluation = with_idle_fitness(evaluation, state.progress)
    progress = count(state.progress, evaluation, told.steps)
    if all_failed(progress):
        raise PopulationLost(
            f"all members failed in round {int(progress.round)} (fitness is NaN); "
            "nothing has changed since the round before"
        )
    best = best_so_far(progress, state.best, lambda member: _NO_WEIGHTS)
    step = ask_strategy(strategy, searched, progress, best, state.strategy, evaluation)
    upcoming = State(
        inherited(progress, best, step.decision), best, step.strategy, state.told
    )
    return Step(progress, state.strategy, step.decision, upcoming)


def _evaluation(fitness: np.ndarray, returns: np.ndarray) -> Evaluation:
    return Evaluation(
        returns=returns,
        fitness=fitness,
        failures=[""] * len(fitness),
        env_steps=0,
        seconds=0.0,
        train_seconds=0.0,
    )


def _keep_all(progress: Progress) -> Decision:
    """Everyone goes on as it is."""
    shape = progress.parents.shape
    return Decision(
        config=progress.config,
        parents=progress.parents,
        shrink=np.ones(shape, np.float32),
        perturb=np.zeros(shape, np.float32),
        active=progress.active,
        source=progress.source,
    )


def natural_configs(
    space: SearchSpace, decode: Callable[[Array], dict[str, Array]], config: np.ndarray
) -> list[dict[str, Any]]:
    """Python's own values of configurations, by name; of a category its choice.

    Args:
      space: the search space.
      decode: `bgpbt.space.decode` of it, compiled.
      config: shape `[M, D]`.
    """
    values = {name: np.asarray(x).tolist() for name, x in decode(config).items()}
    for name, dim in space.items():
        if isinstance(dim, Categorical):
            values[name] = [dim.choices[index] for index in values[name]]
    return [{name: values[name][i] for name in space} for i in range(len(config))]


def make_answer(
    blocks: tuple[str, ...], decision: Decision, member: int, config: dict[str, Any]
) -> Answer:
    """What a decision says of one member; `config`: its natural values by name."""
    parents, shrink, perturb = (
        dict(zip(blocks, np.asarray(values)[member].tolist(), strict=True))
        for values in (decision.parents, decision.shrink, decision.perturb)
    )
    saved_best = len(decision.parents)
    return Answer(
        member=member,
        config=config,
        parents={b: "best" if p == saved_best else p for b, p in parents.items()},
        weights={
            b: _weights(parents[b] == member, shrink[b], perturb[b]) for b in blocks
        },
        shrink=shrink,
        perturb=perturb,
        active=bool(decision.active[member]),
        source=Source(int(decision.source[member])).name,
    )


def _weights(is_own: bool, shrink: float, perturb: float) -> str:
    """What becomes of a block of weights, in a word."""
    if (shrink, perturb) == (0, 1):
        return "restart"
    if (shrink, perturb) != (1, 0):
        return "shrink-perturb"
    return "keep" if is_own else "copy"
