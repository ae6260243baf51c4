"""What BG-PBT's bandit remembers, and how it takes in a round.

`P` members, `D` hyperparameters, `N` rows of history.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bgpbt.gp import fit, history
from bgpbt.gp import trust_region as regions
from bgpbt.gp.history import History
from bgpbt.gp.kernels import Params
from bgpbt.gp.trust_region import TrustRegion
from bgpbt.space import Categorical, SearchSpace
from bgpbt.strategies.operators import rank
from bgpbt.types import Array, Outcome


class State(NamedTuple):
    """What the bandit carries from round to round."""

    history: History  # of the present region
    ended: History  # the best row of every region that ended
    raw: Params  # unconstrained, as last fitted
    fitted: Array  # [] bool, the last fit succeeded
    region: TrustRegion
    round: Array  # [] int32
    before: Array  # [P] fitness at the start of the round
    timesteps: Array  # [P] at the start of the round
    # [P] bool, the bandit chose this member's configuration for the round
    suggested: Array
    best: Array  # [] fitness, since the region started
    stalled_rounds: Array  # [] int32, rounds without a better one
    # [P, 3] fitness at the end of the round: one standard deviation below the median,
    # the median, one above
    expected: Array


def numeric_names(space: SearchSpace) -> list[str]:
    """The dimensions that are numbers, in the order of their lengthscales."""
    return [name for name, dim in space.items() if not isinstance(dim, Categorical)]


def initial_state(space: SearchSpace, capacity: int, outcome: Outcome) -> State:
    """The state before the first round, in NumPy.

    Args:
      space: the hyperparameters.
      capacity: rows of history N.
      outcome: of the population that the strategy begins with.
    """
    size = len(outcome.config)
    numeric = len(numeric_names(space))
    rows = jax.tree.map(np.asarray, history.empty(capacity, len(space)))
    prior_mean, _ = fit.prior(numeric + 1, len(space) - numeric)
    return State(
        history=rows,
        ended=rows,
        raw=jax.tree.map(lambda x: np.asarray(x, np.float32), prior_mean),
        fitted=np.array(True),
        region=jax.tree.map(np.asarray, regions.start()),
        round=np.array(0, np.int32),
        before=outcome.fitness,
        timesteps=outcome.timesteps,
        suggested=np.zeros(size, bool),
        best=np.array(-np.inf, np.float32),
        stalled_rounds=np.array(0, np.int32),
        expected=np.full((size, 3), np.nan, np.float32),
    )


def observe(
    state: State,
    outcome: Outcome,
    *,
    patience: int,
    trust_region: bool,
    max_length: float,
    numeric: int,
) -> tuple[State, Array]:
    """Takes in a round: history, trust region, rounds without improvement.

    Args:
      state: before the round.
      outcome: of the round; its configurations have only hyperparameters.
      patience: rounds without a better fitness after which the region starts again.
      trust_region: whether a region that is too small starts again.
      max_length: the longest edge of a region.
      numeric: number of numeric hyperparameters.

    Returns:
      The state, and whether a region ended. Shape `[]`, bool.
    """
    rows = _rows(state, outcome)
    seen = history.append(state.history, rows)
    best = rank(outcome.fitness)[0]
    tried = jnp.any(state.suggested & rows.valid)
    region = regions.update(state.region, tried, state.suggested[best], max_length)
    highest = jnp.where(
        jnp.isnan(outcome.fitness[best]), -jnp.inf, outcome.fitness[best]
    )
    better = highest > state.best
    stalled = jnp.where(better, 0, state.stalled_rounds + 1)
    is_exhausted = trust_region & regions.exhausted(region, numeric)
    region_ended = ((stalled >= patience) | is_exhausted) & jnp.any(seen.valid)
    best_row = _best_row(seen)._replace(valid=region_ended[None])
    return state._replace(
        history=seen._replace(valid=seen.valid & ~region_ended),
        ended=history.append(state.ended, best_row),
        region=jax.tree.map(
            lambda new, old: jnp.where(region_ended, new, old).astype(old.dtype),
            regions.start(),
            region,
        ),
        round=state.round + 1,
        best=jnp.where(region_ended, highest, jnp.maximum(state.best, highest)),
        stalled_rounds=jnp.where(region_ended, 0, stalled).astype(
            state.stalled_rounds.dtype
        ),
    ), region_ended


def _rows(state: State, outcome: Outcome) -> History:
    """The round as rows of history, one a member."""
    steps = outcome.timesteps - state.timesteps
    cost = -(outcome.fitness - state.before) / jnp.maximum(steps, 1)
    known = outcome.active & (steps > 0) & jnp.isfinite(cost)
    return History(
        outcome.config,
        state.before,
        jnp.full(len(cost), state.round + 1.0),
        jnp.where(known, cost, 0),
        known,
    )


def _best_row(rows: History) -> History:
    """The row with the lowest cost, without context and time, as a history of one."""
    lowest = jnp.argmin(jnp.where(rows.valid, rows.cost, jnp.inf))
    return jax.tree.map(lambda x: x[lowest][None], rows)._replace(
        context=jnp.zeros(1), time=jnp.zeros(1)
    )
