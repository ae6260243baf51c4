"""What evaluators say: fitness of patient members, promotions, who is evaluated next.

An evaluator trains the weights of a patient member, its parent, with hyperparameters of
a greedy one, its child.
"""

import numpy as np

from bgpbt.strategies.curves import values_of
from bgpbt.strategies.firepbt_curves import (
    Curve,
    best_score_difference,
    overlap,
    p_value,
)
from bgpbt.strategies.firepbt_state import NOBODY, Roles, State

LEVEL = 0.01  # of the binomial test
MAX_EVALUATION = 3  # intervals


def curves_of(state: State) -> list[Curve | None]:
    """The curve of every member; None where there is none yet."""
    values = map(values_of, state.curves)
    return [Curve(x) if len(x) else None for x in values]


def patient_fitness(
    state: State, roles: Roles, curves: list[Curve | None]
) -> np.ndarray:
    """How much faster a member's evaluator improves than those of all others.

    Args:
      state: after the round.
      roles: who is what.
      curves: of all members.

    Returns:
      Fitness of the patient members, NaN where nobody evaluates. Shape `[S]`.
    """
    evaluated = {
        int(parent): curve
        for parent, slot in zip(state.parent, roles.evaluators, strict=True)
        if parent != NOBODY and (curve := curves[slot]) is not None
    }
    fitness = np.full(len(roles.patient), np.nan)
    for parent, own in evaluated.items():
        others = [curve for member, curve in evaluated.items() if member != parent]
        gains = [best_score_difference(own, other) for other in others]
        fitness[parent - roles.patient[0]] = sum(gains)
    return fitness


def judge(
    state: State, roles: Roles, curves: list[Curve | None]
) -> tuple[State, dict[int, int]]:
    """Ends evaluations, and promotes evaluators that are better than their child.

    Evaluators are asked in turn: a child that was just promoted has the evaluator's
    curve, and the next one has to be better than that.

    Args:
      state: after the members of this decision were lost.
      roles: who is what.
      curves: of all members.

    Returns:
      The state; and by child the evaluator whose weights it takes.
    """
    curves, parent = curves.copy(), state.parent.copy()
    promoted: dict[int, int] = {}
    for number, slot in enumerate(roles.evaluators.tolist()):
        child = int(state.child[number])
        if parent[number] == NOBODY:
            continue
        own, other = curves[slot], curves[child]
        if own is None or other is None:
            parent[number] = NOBODY
            continue
        p = p_value(own, other)
        if best_score_difference(own, other) > 0 and p < LEVEL:
            promoted[child], curves[child] = slot, own
            parent[number] = NOBODY
        elif child in promoted or _is_over(own, other, p, int(state.age[number])):
            parent[number] = NOBODY
    rows = state.curves.copy()
    for child, slot in promoted.items():
        rows[child] = state.curves[slot]
    return state._replace(parent=parent, curves=rows), promoted


def _is_over(own: Curve, other: Curve, p: float, age: int) -> bool:
    """Whether an evaluation has failed: more is forgiven while it is young."""
    if overlap(own.smooth, other.smooth) is None:
        return age >= MAX_EVALUATION
    return p > LEVEL + max(0.0, 1 - age / MAX_EVALUATION)


def assign(
    state: State, roles: Roles, child: int, failed: np.ndarray
) -> tuple[State, dict[int, int]]:
    """Gives every evaluator that is free the patient member that waited longest.

    Args:
      state: after evaluations were ended.
      roles: who is what.
      child: the greedy member with whose hyperparameters they train.
      failed: who has no weights that could be evaluated. Shape `[P]`, bool.

    Returns:
      The state; and by evaluator the member whose weights it takes.
    """
    parent, children = state.parent.copy(), state.child.copy()
    age, waiting = state.age.copy(), state.waiting.copy()
    rows = state.curves.copy()
    begun: dict[int, int] = {}
    busy = np.isin(roles.patient, parent) | failed[roles.patient]
    queue = np.argsort(-waiting, kind="stable")
    queue = iter(queue[~busy[queue]].tolist())
    for number in np.flatnonzero(parent == NOBODY).tolist():
        place = next(queue, None)
        if place is None:  # more evaluators than members
            break
        slot = int(roles.evaluators[number])
        begun[slot] = int(roles.patient[place])
        parent[number], children[number] = begun[slot], child
        age[number], waiting[place], rows[slot] = 0, 0, np.nan
    return State(state.rounds, rows, waiting, parent, children, age), begun
