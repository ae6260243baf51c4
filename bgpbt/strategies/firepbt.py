"""Faster improvement rate PBT (Dalibard and Jaderberg, 2021).

https://arxiv.org/abs/2109.13800. A greedy sub-population is selected by fitness. A
patient one is selected by how fast its weights improve in the hands of evaluators, who
promote them into the greedy one. The rules are those of a public implementation, listed
in `docs/strategies.md`. `P` members, `D` dimensions.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from bgpbt import space as spaces
from bgpbt.space import SearchSpace
from bgpbt.strategies import firepbt_evaluators as evaluators
from bgpbt.strategies.curves import smoothed
from bgpbt.strategies.explore import perturb
from bgpbt.strategies.firepbt_state import (
    NOBODY,
    Roles,
    State,
    initial_state,
    lose,
    record,
    roles_of,
)
from bgpbt.strategies.operators import compile_step, inherit_all, replaced_count
from bgpbt.types import Array, Decision, Key, Outcome, Source, Strategy

FACTOR = 2.0  # by which a value is multiplied or divided


class _Method(NamedTuple):
    """What stays the same in all steps of a strategy."""

    arch_mask: np.ndarray  # [D] bool
    num_blocks: int
    quantile_fraction: float
    interval: int
    draw: Callable[[Key, int], np.ndarray]  # [P] uniform in [0, 1)
    perturb_all: Callable[[Key, np.ndarray], Array]  # [P, D]


class _Moves(NamedTuple):
    """Whose weights and whose hyperparameters everyone goes on with."""

    weights: np.ndarray  # [P] members
    config: np.ndarray  # [P] members
    explores: np.ndarray  # [P] bool, the hyperparameters are perturbed


def firepbt(
    space: SearchSpace,
    blocks: tuple[str, ...],
    *,
    quantile_fraction: float = 0.25,
    interval: int = 10,
) -> Strategy:
    """Three eighths are greedy, three eighths patient, a quarter evaluates.

    Args:
      space: the search space. Architectures go with the weights.
      blocks: the blocks of weights, all inherited from one parent.
      quantile_fraction: share of a sub-population replaced after an interval, at least
        one member, in (0, 0.5].
      interval: rounds between two decisions. Every round is a point of a curve.
    """
    perturb_one = jax.vmap(lambda k, c: perturb(k, space, c, 1 / FACTOR, FACTOR))
    method = _Method(
        arch_mask=~spaces.group_mask(space, "hyperparameter"),
        num_blocks=len(blocks),
        quantile_fraction=quantile_fraction,
        interval=interval,
        draw=jax.jit(
            lambda key, number: jax.random.uniform(key, (number,)), static_argnums=1
        ),
        perturb_all=jax.jit(
            lambda key, config: perturb_one(jax.random.split(key, len(config)), config)
        ),
    )
    step = partial(_step, method)
    return Strategy(
        _init,
        step,
        prepare=partial(_prepare, step, len(space)),
        validate=_validate,
        can_freeze=False,
    )


def _init(key: Key, outcome: Outcome) -> State:
    del key
    return initial_state(len(outcome.fitness))


def _step(
    method: _Method, key: Key, state: State, outcome: Outcome
) -> tuple[State, Decision]:
    key_draw, key_perturb = jax.random.split(key)
    number = len(outcome.fitness)
    roles = roles_of(number)
    fitness = np.asarray(outcome.fitness, np.float64)
    draws = np.asarray(method.draw(key_draw, number))
    everyone = np.arange(number)
    moves = _Moves(everyone.copy(), everyone.copy(), np.zeros(number, bool))
    state = record(state, fitness, outcome.active)
    failed = np.isnan(fitness)
    if not failed.all():
        state = lose(state, roles, failed)
    if state.rounds >= method.interval:
        state, moves = _decide(method, roles, state, fitness, draws, moves)
    moves, lost = _replace_failed(roles, failed, draws, moves)
    state = lose(state, roles, lost)
    config = np.where(
        method.arch_mask, outcome.config[moves.weights], outcome.config[moves.config]
    ).astype(np.float32)
    moved = np.asarray(method.perturb_all(key_perturb, config))
    config = np.where(moves.explores[:, None], moved, config)
    source = np.where(moves.config == everyone, Source.previous, Source.copied)
    source = np.where(moves.explores, Source.perturbed, source)
    return state, inherit_all(outcome, config, moves.weights, method.num_blocks, source)


def _decide(
    method: _Method,
    roles: Roles,
    state: State,
    fitness: np.ndarray,
    draws: np.ndarray,
    moves: _Moves,
) -> tuple[State, _Moves]:
    """Both sub-populations select, then evaluations end and begin. Fills `moves`."""
    state = state._replace(
        rounds=np.array(0, np.int32),
        age=(state.age + (state.parent != NOBODY)).astype(np.int32),
        waiting=_waited(state, roles),
    )
    curves = evaluators.curves_of(state)
    patience = evaluators.patient_fitness(state, roles, curves)
    _select(method, roles.greedy, fitness[roles.greedy], draws, moves)
    _select(method, roles.patient, patience, draws, moves)
    state = lose(state, roles, moves.explores)
    curves = [
        None if is_lost else curve
        for curve, is_lost in zip(curves, moves.explores, strict=True)
    ]
    state, promoted = evaluators.judge(state, roles, curves)
    for child, evaluator in promoted.items():
        moves.weights[child] = evaluator
    child = _best_kept(roles.greedy, fitness, moves.explores)
    failed = np.isnan(fitness)
    state, begun = evaluators.assign(state, roles, child, failed)
    for evaluator, parent in begun.items():
        moves.weights[evaluator] = moves.weights[parent]
        moves.config[evaluator] = child
    return state, moves


def _waited(state: State, roles: Roles) -> np.ndarray:
    """Intervals since patient members were evaluated, after one more."""
    busy = np.isin(roles.patient, state.parent)
    return np.where(busy, state.waiting, state.waiting + 1).astype(np.int32)


def _select(
    method: _Method,
    members: np.ndarray,
    fitness: np.ndarray,
    draws: np.ndarray,
    moves: _Moves,
) -> None:
    """The worst of those who have a fitness copy the best ones. Fills `moves`."""
    known = np.flatnonzero(~np.isnan(fitness))
    order = members[known[np.argsort(-fitness[known], kind="stable")]]
    count = max(replaced_count(len(members), method.quantile_fraction), 1)
    count = min(count, len(order) // 2)
    if not count:
        return
    worst = order[-count:]
    donors = order[:count][(draws[worst] * count).astype(int)]
    moves.weights[worst] = moves.config[worst] = donors
    moves.explores[worst] = True


def _best_kept(members: np.ndarray, fitness: np.ndarray, lost: np.ndarray) -> int:
    """The best member that was not perturbed; the first one if all failed."""
    value = np.where(np.isnan(fitness) | lost, -np.inf, fitness)[members]
    return int(members[np.argmax(value)])


def _replace_failed(
    roles: Roles, failed: np.ndarray, draws: np.ndarray, moves: _Moves
) -> tuple[_Moves, np.ndarray]:
    """Whoever failed, or would copy who failed, copies a valid member and explores.

    One of its own kind if there is one.

    Returns:
      The moves; and who was replaced so, `[P]`, bool.
    """
    valid = np.flatnonzero(~failed)
    lost = failed[moves.weights] | failed[moves.config]
    if not len(valid):
        return moves, np.zeros_like(lost)
    for members in roles:
        own = np.intersect1d(members, valid)
        donors = own if len(own) else valid
        here = members[lost[members]]
        drawn = donors[(draws[here] * len(donors)).astype(int)]
        moves.weights[here] = moves.config[here] = drawn
        moves.explores[here] = True
    return moves, lost


def _prepare(step: Callable, dimensions: int, pop_size: int) -> None:
    """Compiles a step, and what smooths curves."""
    compile_step(_init, step, dimensions, pop_size)
    smoothed(np.arange(2.0))


def _validate(pop_size: int) -> str:
    """What is wrong with a population's size; "" where nothing is."""
    if pop_size >= 8:
        return ""
    return (
        f"pop_size: {pop_size} members are too few for two sub-populations and their "
        "evaluators, give at least 8"
    )
