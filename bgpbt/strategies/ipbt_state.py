"""What IPBT remembers, and how a round is counted.

`N` slots hold `P` = N / 2 members between restarts, and N while they are scored. A
member's number is its place in `State.slots`. `D` hyperparameters. NumPy on the host.
"""

from typing import NamedTuple

import numpy as np

from bgpbt.gp.history import History
from bgpbt.strategies import curves
from bgpbt.strategies.bgpbt_state import State as BanditState
from bgpbt.types import Outcome


class Lineages(NamedTuple):
    """What became of the P members with which a restart began."""

    config: np.ndarray  # [P, D] their first hyperparameters
    start: np.ndarray  # [P] fitness before they trained
    best: np.ndarray  # [P] best fitness of any descendant
    of: np.ndarray  # [P] int32, the lineage of each member of now


class State(NamedTuple):
    """What IPBT carries from round to round."""

    restarts: np.ndarray  # [] int32
    scoring: np.ndarray  # [] bool, all N train, and then the best P stay
    rounds: np.ndarray  # [] int32, since the last decision
    slots: np.ndarray  # [N] int32, of every member; the first P work, or all
    start: np.ndarray  # [N] fitness from which a member's change is measured
    steps: np.ndarray  # [N] int32, a member's since then
    timesteps: np.ndarray  # [N] int32, of the slots after the round
    failures: np.ndarray  # [] int32, intervals in a row that brought nothing
    curve: np.ndarray  # [C] best fitness of every interval of this restart
    lineages: Lineages
    past: History  # a row for each lineage of the restarts before
    bandit: BanditState  # of the P members that work


def initial_state(bandit: BanditState, outcome: Outcome, dimensions: int) -> State:
    """The state before the first round.

    Args:
      bandit: of P members.
      outcome: of the population of N that the strategy begins with.
      dimensions: hyperparameters D.
    """
    number = len(outcome.fitness)
    half = number // 2
    empty = np.full(half, np.nan, np.float32)
    return State(
        restarts=np.array(0, np.int32),
        scoring=np.array(True),
        rounds=np.array(0, np.int32),
        slots=np.arange(number, dtype=np.int32),
        start=np.asarray(outcome.fitness, np.float32),
        steps=np.zeros(number, np.int32),
        timesteps=np.asarray(outcome.timesteps, np.int32),
        failures=np.array(0, np.int32),
        curve=curves.empty_curve(),
        lineages=Lineages(
            config=np.zeros((half, dimensions), np.float32),
            start=empty,
            best=empty,
            of=np.arange(half, dtype=np.int32),
        ),
        past=bandit.history,
        bandit=bandit,
    )


def interval(state: State) -> int:
    """Rounds between two decisions."""
    return 2 ** int(state.restarts)


def working(state: State) -> np.ndarray:
    """The slots of the members that train: P of them, or all N."""
    return state.slots if state.scoring else state.slots[: len(state.slots) // 2]


def count(state: State, outcome: Outcome) -> State:
    """The state after a round in which nothing is decided yet.

    Nobody evaluates members between a restart and their training. So what a restart
    brings is measured from the fitness after its first round.
    """
    trained = outcome.timesteps - state.timesteps
    state = state._replace(
        rounds=np.array(state.rounds + 1, np.int32),
        steps=(state.steps + trained[state.slots]).astype(np.int32),
        timesteps=np.asarray(outcome.timesteps, np.int32),
    )
    if state.scoring and state.restarts and state.rounds == 1:
        start = np.asarray(outcome.fitness, np.float32)[state.slots]
        return state._replace(start=start, steps=np.zeros_like(state.steps))
    return state


def begin_working(
    state: State, kept: np.ndarray, outcome: Outcome, columns: np.ndarray
) -> State:
    """The state after the members were scored.

    Args:
      state: of all N members, each in the slot of its number.
      kept: the slots of the P that stay.
      outcome: of the round.
      columns: places of the hyperparameters in a configuration. Shape `[D]`.
    """
    rest = np.setdiff1d(state.slots, kept)
    slots = np.concatenate([kept, rest]).astype(np.int32)
    return state._replace(
        scoring=np.array(False),
        slots=slots,
        start=state.start[slots],
        steps=state.steps[slots],
        lineages=Lineages(
            config=np.asarray(outcome.config[kept][:, columns], np.float32),
            start=state.start[kept],
            best=np.full(len(kept), np.nan, np.float32),
            of=np.arange(len(kept), dtype=np.int32),
        ),
    )


def take_in(state: State, outcome: Outcome) -> State:
    """The state with the fitness at the end of an interval."""
    fitness = np.asarray(outcome.fitness, np.float32)[working(state)]
    best = state.lineages.best.copy()
    np.fmax.at(best, state.lineages.of, fitness)
    highest = np.fmax.reduce(fitness)
    return state._replace(
        lineages=state.lineages._replace(best=best),
        curve=curves.with_value(state.curve, highest),
    )


def begin_interval(state: State, fitness: np.ndarray, parents: np.ndarray) -> State:
    """The state after P members of an interval inherited from one another.

    Args:
      state: after the interval.
      fitness: of the members. Shape `[P]`.
      parents: their parents among them. Shape `[P]`.
    """
    start, steps = state.start.copy(), state.steps.copy()
    start[: len(parents)] = fitness[parents]
    steps[: len(parents)] = 0
    lineages = state.lineages._replace(of=state.lineages.of[parents])
    return state._replace(
        rounds=np.array(0, np.int32), start=start, steps=steps, lineages=lineages
    )


def begin_anew(
    state: State, failed: np.ndarray, fitness: np.ndarray, parents: np.ndarray
) -> State:
    """The state after failed members of a running interval were replaced.

    Args:
      state: after the round.
      failed: whose weights are another member's now. Shape `[m]`, bool.
      fitness: of all members that train. Shape `[m]`.
      parents: their parents among them. Shape `[m]`.
    """
    start, steps = state.start.copy(), state.steps.copy()
    number = len(failed)
    start[:number] = np.where(failed, fitness[parents], start[:number])
    steps[:number] = np.where(failed, 0, steps[:number])
    state = state._replace(start=start, steps=steps)
    if state.scoring:
        return state
    return state._replace(
        lineages=state.lineages._replace(of=state.lineages.of[parents]),
        bandit=state.bandit._replace(suggested=state.bandit.suggested & ~failed),
    )


def rows_of(lineages: Lineages, time: int) -> History:
    """A restart as rows of history: what became of each first configuration.

    Args:
      lineages: at the end of the restart.
      time: its number.
    """
    gain = lineages.best - lineages.start
    valid = np.isfinite(gain)
    return History(
        config=lineages.config,
        context=np.where(valid, lineages.start, 0),
        time=np.full(len(gain), time, np.float32),
        cost=np.where(valid, -gain, 0),
        valid=valid,
    )
