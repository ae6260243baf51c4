"""What the bandit has seen: one row per member and round, padded. `N` rows at most, the latest are kept; `D` dimensions."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtri

from bgpbt.types import Array


class History(NamedTuple):
    """Rows of what was trained; where `valid` is False there is none."""

    config: Array  # [N, D] in the unit cube
    context: Array  # [N] fitness at the start of the round
    time: Array  # [N] round
    cost: Array  # [N] minus the change of fitness per step: smaller is better
    valid: Array  # [N] bool


def empty(capacity: int, dimensions: int) -> History:
    """No rows."""
    zeros = jnp.zeros(capacity)
    return History(jnp.zeros((capacity, dimensions)), zeros, zeros, zeros, jnp.zeros(capacity, bool))


def append(history: History, rows: History) -> History:
    """Adds the valid ones of `rows` at the end; the oldest fall out. Rows stay in order, the empty ones first."""
    both = jax.tree.map(lambda a, b: jnp.concatenate([a, b.astype(a.dtype)]), history, rows)
    order = jnp.argsort(both.valid, stable=True)[-len(history.valid) :]
    kept = both.valid[order]
    return jax.tree.map(lambda x: jnp.where(kept.reshape(-1, *(1,) * (x.ndim - 1)), x[order], jnp.zeros_like(x[0])), both)


def rank_gaussian(x: Array, valid: Array) -> Array:
    """Each value by the normal quantile of rank / (n + 1), ties by their highest rank; 0 where not valid. Shape `[N]`.

    A Gaussian copula (Salinas et al., 2020): the targets have no units and no outliers.
    """
    x = jnp.where(valid, x, jnp.inf)
    rank = jnp.sum(x[None, :] <= x[:, None], axis=1)
    return jnp.where(valid, ndtri(rank / (jnp.sum(valid) + 1)), 0)


def from_rank_gaussian(z: Array, x: Array, valid: Array) -> Array:
    """The value that the quantile `z` stands for, interpolated between those of `x`. Shape of `z`."""
    order = jnp.argsort(jnp.where(valid, x, jnp.inf))
    known, count = x[order], jnp.sum(valid)
    quantiles = ndtri((jnp.arange(len(x)) + 1) / (count + 1))
    last = jnp.maximum(count - 1, 0)
    known = jnp.where(jnp.arange(len(x)) < count, known, known[last])
    quantiles = jnp.where(jnp.arange(len(x)) < count, quantiles, quantiles[last] + 1 + jnp.arange(len(x)))
    return jnp.interp(z, quantiles, known)


def scale_context(context: Array, valid: Array) -> tuple[Array, Array]:
    """Lowest context and range of the valid rows, the range 1 where all are equal. Shapes `[]`."""
    low = jnp.min(jnp.where(valid, context, jnp.inf))
    high = jnp.max(jnp.where(valid, context, -jnp.inf))
    some = jnp.any(valid)
    return jnp.where(some, low, 0), jnp.where(some & (high > low), high - low, 1)
