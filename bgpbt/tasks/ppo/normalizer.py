"""Running mean and variance of observations.

Welford (1962), merged per batch as in Chan et al. (1979). `O` is the size of an
observation.
"""

from typing import NamedTuple

import jax.numpy as jnp

from bgpbt.types import Array

# Normalised observations are clipped to [-5, 5], as in the reference code of BG-PBT.
LIMIT = 5.0


class Normalizer(NamedTuple):
    """Statistics of all finite observations so far."""

    count: Array  # [] int32: exact beyond 2^24, where a float32 stops counting
    mean: Array  # [O]
    squares: Array  # [O] summed squared deviations from the mean


def init(size: int) -> Normalizer:
    """Statistics of nothing: the identity until the first update.

    Args:
      size: of an observation.
    """
    return Normalizer(jnp.zeros((), jnp.int32), jnp.zeros(size), jnp.zeros(size))


def update(state: Normalizer, obs: Array) -> Normalizer:
    """Adds a batch of observations; those that are not finite are left out.

    Args:
      state: the statistics so far.
      obs: observations. Shape `[K, O]`.
    """
    finite = jnp.all(jnp.isfinite(obs), axis=-1)
    number = jnp.sum(finite, dtype=jnp.int32)
    weight = finite.astype(obs.dtype)[:, None]
    obs = jnp.where(finite[:, None], obs, 0)
    total = jnp.maximum(number, 1).astype(obs.dtype)
    mean = jnp.sum(obs, axis=0) / total
    squares = jnp.sum(weight * (obs - mean) ** 2, axis=0)
    count = state.count + number
    share = number.astype(obs.dtype) / jnp.maximum(count, 1).astype(obs.dtype)
    delta = mean - state.mean
    return Normalizer(
        count=count,
        mean=state.mean + delta * share,
        squares=state.squares
        + squares
        + delta**2 * state.count.astype(obs.dtype) * share,
    )


def normalise(state: Normalizer, obs: Array) -> Array:
    """Centres, scales and clips observations.

    Args:
      state: the statistics.
      obs: observations. Shape `[..., O]`.

    Returns:
      The normalised observations. Shape `[..., O]`.
    """
    return jnp.clip((obs - state.mean) / scale_of(state), -LIMIT, LIMIT)


def scale_of(state: Normalizer) -> Array:
    """The standard deviations by which observations are divided. Shape `[O]`."""
    squares = state.squares
    variance = squares / jnp.maximum(state.count, 1).astype(squares.dtype)
    return jnp.where(state.count > 0, jnp.sqrt(jnp.clip(variance, 1e-6, 1e6)), 1.0)
