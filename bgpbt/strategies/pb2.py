"""Population-based bandits (Parker-Holder et al., 2020).

https://arxiv.org/abs/2002.02518. PBT whose explore step is a time-varying
Gaussian-process bandit. The rules are those of its authors' code and of Ray Tune's,
listed in `docs/strategies.md`. `P` members, `D` dimensions, `S` of them searched, `N`
rows of history, `Z` = S + 1 inputs of the Gaussian process.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bgpbt.gp import history, pb2_process
from bgpbt.gp.history import History
from bgpbt.gp.pb2_process import PB2Params, Rows
from bgpbt.gp.precision import float64
from bgpbt.space import Categorical, SearchSpace
from bgpbt.strategies.operators import (
    compile_step,
    inherit_all,
    truncation,
    validate_quantile,
)
from bgpbt.types import Array, Decision, Key, Outcome, Source, Strategy


class State(NamedTuple):
    """What PB2 carries from round to round."""

    history: History  # the cost is minus the change of the score per step
    round: Array  # [] int32
    before: Array  # [P] score at the start of the round
    timesteps: Array  # [P] at the start of the round


class _Programs(NamedTuple):
    """What a step calls, compiled once for a strategy."""

    observe: Callable[[State, Outcome], State]
    fit: Callable[[History], PB2Params]
    suggest: Callable[..., np.ndarray]
    select: Callable[[Key, Outcome], tuple[Array, Array]]


def pb2(
    space: SearchSpace,
    blocks: tuple[str, ...],
    *,
    quantile_fraction: float = 0.25,
    capacity: int = 200,
) -> Strategy:
    """A replaced member takes weights from one of the best and asks the bandit.

    It takes its architecture and categories too; the bandit chooses all other
    hyperparameters.

    Args:
      space: the search space, `D` dimensions. Whole numbers are searched as if
        continuous, categories are not.
      blocks: the blocks of weights, all inherited from one parent.
      quantile_fraction: share of the population replaced in a round, in (0, 0.5].
      capacity: rows that the bandit remembers, the newest.
    """
    searched = np.array(
        [
            d.group == "hyperparameter" and not isinstance(d, Categorical)
            for d in space.values()
        ],
        bool,
    )
    columns = np.flatnonzero(searched)
    programs = _Programs(
        observe=float64(partial(_observe, columns)),
        fit=float64(_fit),
        suggest=float64(_suggest),
        select=jax.jit(partial(_select, quantile_fraction)),
    )
    init = partial(_init, columns, capacity)
    step = partial(_step, programs, columns, len(blocks))
    return Strategy(
        init,
        step,
        prepare=partial(compile_step, init, step, len(space)),
        needs=("continuous",),
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
    replaced = np.flatnonzero(parents != np.arange(len(parents)))
    source = np.full(len(parents), int(Source.previous))
    if state.history.valid.any():
        config = _suggest_all(
            programs, columns, key_suggest, state, config, score, replaced
        )
        source[replaced] = Source.gp
    else:
        # No member has both a score and one before it: there is nothing to fit.
        config[np.ix_(replaced, columns)] = drawn[np.ix_(replaced, columns)]
        source[replaced] = Source.random
    state = state._replace(before=score, timesteps=np.asarray(outcome.timesteps))
    return state, inherit_all(
        outcome, config.astype(np.float32), parents, num_blocks, source
    )


def _suggest_all(
    programs: _Programs,
    columns: np.ndarray,
    key: Key,
    state: State,
    config: np.ndarray,
    score: np.ndarray,
    replaced: np.ndarray,
) -> np.ndarray:
    """The bandit's configurations of the replaced members, one after the other.

    Args:
      programs: of the strategy.
      columns: the searched dimensions.
      key: PRNG key, consumed.
      state: after the round.
      config: of every member's parent. Shape `[P, D]`.
      score: at the start of the round to come. Shape `[P]`.
      replaced: indices of members.

    Returns:
      Shape `[P, D]`.
    """
    config = config.copy()
    pending = np.isfinite(score) & ~np.isin(np.arange(len(score)), replaced)
    params = programs.fit(state.history) if len(replaced) else None
    for number, member in enumerate(replaced):
        config[member, columns] = programs.suggest(
            jax.random.fold_in(key, number),
            params,
            state.history,
            config[:, columns],
            score,
            pending,
            score[member],
            state.round + 1,
        )
        pending[member] = True
    return config


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


def _fit(rows: History) -> PB2Params:
    """The most likely parameters of the Gaussian process."""
    return pb2_process.fit(
        _observations(rows, history.scale_context(rows.context, rows.valid))
    )


def _suggest(
    key: Key,
    params: PB2Params,
    rows: History,
    config: Array,
    score: Array,
    pending: Array,
    context: Array,
    round_: Array,
) -> Array:
    """The bandit's configuration for one member.

    Args:
      key: PRNG key, consumed.
      params: of the Gaussian process.
      rows: what was observed.
      config: of all members in the round to come, `[P, S]`.
      score: of all members at its start. Shape `[P]`.
      pending: which members' configurations are known. Shape `[P]`, bool.
      context: the member's score at its start. Shape `[]`.
      round_: the round to come. Shape `[]`, int32.

    Returns:
      Shape `[S]`.
    """
    score = jnp.where(pending, score, 0)
    # Scores after a round may be far above those before it: all that are compared share
    # one range.
    scores = jnp.concatenate([rows.context, score, context[None]])
    known = jnp.concatenate([rows.valid, pending, jnp.ones(1, bool)])
    scale = history.scale_context(scores, known)
    z = _inputs(scale, score, config)
    t = jnp.asarray(round_, config.dtype)
    return pb2_process.suggest(
        key,
        params,
        _observations(rows, scale),
        Rows(z, jnp.full(len(z), t), jnp.zeros(len(z), z.dtype), pending),
        (context - scale[0]) / scale[1],
        t,
    )


def _inputs(scale: tuple[Array, Array], context: Array, config: Array) -> Array:
    """The scaled score before the round, and the configuration. Shape `[.., Z]`."""
    low, width = scale
    return jnp.concatenate([((context - low) / width)[..., None], config], axis=-1)


def _observations(rows: History, scale: tuple[Array, Array]) -> Rows:
    z = _inputs(scale, rows.context, rows.config)
    y = pb2_process.standardise(-rows.cost, rows.valid)
    return Rows(z, rows.time, y, rows.valid)
