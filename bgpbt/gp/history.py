"""What the bandit has seen: one row per member and round, padded.

At most `N` rows, the latest; `D` dimensions.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtri

from bgpbt.types import Array


class History(NamedTuple):
    """Rows of what was trained; a row that is not `valid` is empty."""

    config: Array  # [N, D] in the unit cube
    context: Array  # [N] fitness at the start of the round
    time: Array  # [N] round
    cost: Array  # [N] minus the change of fitness per step: smaller is better
    valid: Array  # [N] bool


def empty(capacity: int, dimensions: int) -> History:
    """A history without valid rows.

    Args:
      capacity: number of rows N.
      dimensions: of a configuration, D.
    """
    zeros = jnp.zeros(capacity)
    return History(
        jnp.zeros((capacity, dimensions)),
        zeros,
        zeros,
        zeros,
        jnp.zeros(capacity, bool),
    )


def append(history: History, rows: History) -> History:
    """Adds the valid ones of some rows at the end; the oldest fall out.

    Args:
      history: of N rows.
      rows: of any number.

    Returns:
      N rows in order, the empty ones first.
    """
    both = jax.tree.map(
        lambda a, b: jnp.concatenate([a, b.astype(a.dtype)]), history, rows
    )
    order = jnp.argsort(both.valid, stable=True)[-len(history.valid) :]
    valid = both.valid[order]
    return jax.tree.map(
        lambda x: jnp.where(
            valid.reshape(-1, *(1,) * (x.ndim - 1)), x[order], jnp.zeros_like(x[0])
        ),
        both,
    )


def rank_gaussian(x: Array, valid: Array) -> Array:
    """Replaces each value by the normal quantile of rank / (n + 1).

    A Gaussian copula (Salinas et al., 2020): the targets have no units and no outliers.
    Equal values get their highest rank.

    Args:
      x: values. Shape `[N]`.
      valid: which of them count. Shape `[N]`, bool.

    Returns:
      Quantiles, 0 where not valid. Shape `[N]`.
    """
    x = jnp.where(valid, x, jnp.inf)
    rank = jnp.sum(x[None, :] <= x[:, None], axis=1)
    return jnp.where(valid, ndtri(rank / (jnp.sum(valid) + 1)), 0)


def from_rank_gaussian(z: Array, x: Array, valid: Array) -> Array:
    """The inverse of `rank_gaussian`, interpolated between the values.

    Args:
      z: normal quantiles, of any shape.
      x: the values that were ranked. Shape `[N]`.
      valid: which of them count. Shape `[N]`, bool.

    Returns:
      Values in the units of `x`. Shape of `z`.
    """
    order = jnp.argsort(jnp.where(valid, x, jnp.inf))
    known = x[order]
    count = jnp.sum(valid)
    quantiles = ndtri((jnp.arange(len(x)) + 1) / (count + 1))
    last = jnp.maximum(count - 1, 0)
    known = jnp.where(jnp.arange(len(x)) < count, known, known[last])
    quantiles = jnp.where(
        jnp.arange(len(x)) < count, quantiles, quantiles[last] + 1 + jnp.arange(len(x))
    )
    return jnp.interp(z, quantiles, known)


def scale_context(context: Array, valid: Array) -> tuple[Array, Array]:
    """The range that scales contexts to [0, 1].

    Args:
      context: fitness at the start of a round. Shape `[N]`.
      valid: which of them count. Shape `[N]`, bool.

    Returns:
      The lowest context, `[]`, and the width of the range, `[]`, which is 1 where all
      are equal.
    """
    low = jnp.min(jnp.where(valid, context, jnp.inf))
    high = jnp.max(jnp.where(valid, context, -jnp.inf))
    some = jnp.any(valid)
    return jnp.where(some, low, 0), jnp.where(some & (high > low), high - low, 1)
