"""What FIRE-PBT remembers, and who is what in a population of `P`.

`S` members are the greedy sub-population, `S` the patient one, and `E` evaluate. NumPy
on the host.
"""

from typing import NamedTuple

import numpy as np

from bgpbt.strategies import curves

NOBODY = -1
JUST_PERTURBED = -1  # in the place of a time of waiting: the last in the queue


class Roles(NamedTuple):
    """The slots of each kind."""

    greedy: np.ndarray  # [S] selected by fitness
    patient: np.ndarray  # [S] selected by how their evaluators improve
    evaluators: np.ndarray  # [E]


class State(NamedTuple):
    """What FIRE-PBT carries from round to round."""

    rounds: np.ndarray  # [] int32, since the last decision
    # [P, C] fitness of every round since a member last copied or was promoted
    curves: np.ndarray
    waiting: np.ndarray  # [S] int32, intervals since patient members were evaluated
    parent: np.ndarray  # [E] int32, whom an evaluator evaluates, `NOBODY`
    child: np.ndarray  # [E] int32, with whose hyperparameters
    age: np.ndarray  # [E] int32, intervals of the evaluation


def roles_of(pop_size: int) -> Roles:
    """Who is what: 3, 3 and 2 of 8; 8, 8 and 6 of 22."""
    size = (3 * pop_size + 4) // 8
    slots = np.arange(pop_size)
    return Roles(slots[:size], slots[size : 2 * size], slots[2 * size :])


def initial_state(pop_size: int) -> State:
    """The state before the first round."""
    size, number = len(roles_of(pop_size).patient), len(roles_of(pop_size).evaluators)
    return State(
        rounds=np.array(0, np.int32),
        curves=np.tile(curves.empty_curve(), (pop_size, 1)),
        waiting=np.zeros(size, np.int32),
        parent=np.full(number, NOBODY, np.int32),
        child=np.full(number, NOBODY, np.int32),
        age=np.zeros(number, np.int32),
    )


def record(state: State, fitness: np.ndarray, active: np.ndarray) -> State:
    """The state with the fitness of one more round; idle members have none."""
    rows = zip(state.curves, np.where(active, fitness, np.nan), strict=True)
    return state._replace(
        rounds=np.array(state.rounds + 1, np.int32),
        curves=np.stack([curves.with_value(curve, value) for curve, value in rows]),
    )


def lose(state: State, roles: Roles, lost: np.ndarray) -> State:
    """The state after members lost their weights to others.

    Their curves end, and so does every evaluation in which they take part.

    Args:
      state: before.
      roles: who is what.
      lost: shape `[P]`, bool.
    """
    ends = lost[state.parent] | lost[state.child] | lost[roles.evaluators]
    ends &= state.parent != NOBODY
    parent = np.where(ends, NOBODY, state.parent).astype(np.int32)
    curve = np.where(lost[:, None], curves.empty_curve(), state.curves)
    waiting = np.where(lost[roles.patient], JUST_PERTURBED, state.waiting)
    return state._replace(curves=curve, parent=parent, waiting=waiting.astype(np.int32))
