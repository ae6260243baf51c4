"""The rounds of PB2 and PB2-Mix: what is remembered, who is replaced, who is asked.

`P` members, `D` dimensions, `S` of them searched, `N` rows of history.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bgpbt.gp import history
from bgpbt.gp.history import History
from bgpbt.gp.in_turn import Situation, suggest_in_turn
from bgpbt.gp.precision import float64
from bgpbt.space import SearchSpace
from bgpbt.strategies.operators import (
    compile_step,
    inherit_all,
    truncation,
    validate_quantile,
)
from bgpbt.types import Array, Decision, Key, Outcome, PyTree, Source, Strategy


class Bandit(NamedTuple):
    """What decides on configurations. Its functions can be traced."""

    columns: np.ndarray  # [S] the searched dimensions, in the order of the history
    learn: Callable[[History], PyTree]  # what is known after a round
    # (what is known, the history, then as `SuggestOne`)
    suggest: Callable[..., tuple[Array, Array]]


class State(NamedTuple):
    """What is carried from round to round."""

    history: History  # the cost is minus the change of the score per step
    round: Array  # [] int32
    before: Array  # [P] score at the start of the round
    timesteps: Array  # [P] at the start of the round


class _Programs(NamedTuple):
    """What a step calls, compiled once for a strategy."""

    observe: Callable[[State, Outcome], State]
    learn: Callable[[History], PyTree]
    suggest: Callable[..., tuple[np.ndarray, np.ndarray]]
    select: Callable[[Key, Outcome], tuple[Array, Array]]


def strategy_of(
    bandit: Bandit,
    space: SearchSpace,
    num_blocks: int,
    *,
    quantile_fraction: float,
    capacity: int,
    needs: tuple[str, ...],
) -> Strategy:
    """A replaced member takes weights from one of the best and asks the bandit.

    Args:
      bandit: decides on the searched dimensions; the others go with the weights.
      space: the search space, `D` dimensions.
      num_blocks: blocks of weights, all inherited from one parent.
      quantile_fraction: share of the population replaced in a round, in (0, 0.5].
      capacity: rows that the bandit remembers, the newest.
      needs: what a task must have.
    """
    programs = _Programs(
        observe=float64(partial(_observe, bandit.columns)),
        learn=float64(bandit.learn),
        suggest=float64(partial(_suggest_all, bandit)),
        select=jax.jit(partial(_select, quantile_fraction)),
    )
    init = partial(_init, bandit.columns, capacity)
    step = partial(_step, programs, bandit.columns, num_blocks)
    return Strategy(
        init,
        step,
        prepare=partial(compile_step, init, step, len(space)),
        needs=needs,
        validate=partial(validate_quantile, quantile_fraction=quantile_fraction),
    )


def _init(columns: np.ndarray, capacity: int, key: Key, outcome: Outcome) -> State:
    del key
    rows = jax.tree.map(np.asarray, history.empty(capacity, len(columns)))
    return State(
        rows,
        np.array(0, np.int32),
        np.asarray(outcome.fitness),
        np.asarray(outcome.timesteps),
    )


def _step(
    programs: _Programs,
    columns: np.ndarray,
    num_blocks: int,
    key: Key,
    state: State,
    outcome: Outcome,
) -> tuple[State, Decision]:
    key_select, key_suggest = jax.random.split(key)
    state = programs.observe(state, outcome)
    parents, drawn = (np.asarray(x) for x in programs.select(key_select, outcome))
    score = np.asarray(outcome.fitness)[parents]
    config = np.array(outcome.config)[parents]
    replaced = parents != np.arange(len(parents))
    chosen, sources = drawn[:, columns], int(Source.random)
    # Where no member has both a score and one before it, there is nothing to fit.
    if state.history.valid.any() and replaced.any():
        situation = Situation(config[:, columns], score, ~replaced, state.round + 1)
        chosen, sources = programs.suggest(
            key_suggest,
            programs.learn(state.history),
            state.history,
            situation,
            replaced,
        )
    config[:, columns] = np.where(replaced[:, None], chosen, config[:, columns])
    source = np.where(replaced, sources, int(Source.previous))
    state = state._replace(before=score, timesteps=np.asarray(outcome.timesteps))
    return state, inherit_all(
        outcome, config.astype(np.float32), parents, num_blocks, source
    )


def _suggest_all(
    bandit: Bandit,
    key: Key,
    known: PyTree,
    rows: History,
    situation: Situation,
    replaced: Array,
) -> tuple[Array, Array]:
    """As `suggest_in_turn`."""
    suggest = partial(bandit.suggest, known, rows)
    return suggest_in_turn(suggest, key, situation, replaced)


def _select(quantile_fraction: float, key: Key, outcome: Outcome):
    """Parents `[P]`, and random configurations `[P, D]` for a bandit without data."""
    key_exploit, key_draw = jax.random.split(key)
    parents = truncation(key_exploit, outcome.fitness, quantile_fraction)
    return parents, jax.random.uniform(key_draw, outcome.config.shape)


def _observe(columns: np.ndarray, state: State, outcome: Outcome) -> State:
    """Enters a round into the history."""
    steps = outcome.timesteps - state.timesteps
    change = (outcome.fitness - state.before) / jnp.maximum(steps, 1)
    known = outcome.active & (steps > 0) & jnp.isfinite(change)
    rows = History(
        outcome.config[:, columns],
        state.before,
        jnp.full(len(change), state.round + 1.0),
        jnp.where(known, -change, 0),
        known,
    )
    return state._replace(
        history=history.append(state.history, rows), round=state.round + 1
    )
