"""The box in which the acquisition searches (TuRBO, Eriksson et al., 2019; categories as in Casmopolitan, Wan et al., 2021)."""

from typing import NamedTuple

import jax.numpy as jnp

from bgpbt.types import Array

INITIAL, SMALLEST, LARGEST = 0.4, 0.15, 1.0  # edge in the unit cube, before weighting by lengthscale
INITIAL_CATEGORIES, SMALLEST_CATEGORIES = 1.0, 0.1  # share of the categories that may differ from the centre's
FACTOR = 1.5
PATIENCE_SUCCESS, PATIENCE_FAILURE = 3, 10  # in a row


class TrustRegion(NamedTuple):
    """Its size and the counters that change it."""

    length: Array  # []
    categories: Array  # [] share that may differ
    successes: Array  # [] int32, in a row
    failures: Array  # [] int32, in a row


def start() -> TrustRegion:
    """A fresh region."""
    zero = jnp.zeros((), jnp.int32)
    return TrustRegion(jnp.full((), INITIAL), jnp.full((), INITIAL_CATEGORIES), zero, zero)


def update(region: TrustRegion, tried: Array, success: Array) -> TrustRegion:
    """Grows after 3 successes in a row, shrinks after 10 failures in a row; without a suggestion nothing changes.

    Args:
      region: before.
      tried: a suggestion was tried in this round. Shape `[]`, bool.
      success: a suggestion was the round's best. Shape `[]`, bool.
    """
    successes = jnp.where(success, region.successes + 1, 0)
    failures = jnp.where(success, 0, region.failures + 1)
    grows, shrinks = successes >= PATIENCE_SUCCESS, failures >= PATIENCE_FAILURE
    factor = jnp.where(grows, FACTOR, jnp.where(shrinks, 1 / FACTOR, 1.0))
    changed = TrustRegion(
        length=jnp.minimum(region.length * factor, LARGEST),
        categories=jnp.minimum(region.categories * factor, 1.0),
        successes=jnp.where(grows, 0, successes),
        failures=jnp.where(shrinks, 0, failures),
    )
    return TrustRegion(*(jnp.where(tried, new, old).astype(old.dtype) for new, old in zip(changed, region, strict=True)))


def exhausted(region: TrustRegion, numeric: int) -> Array:
    """Whether the region is too small to go on and has to start again. `numeric`: number of numeric dimensions. Bool."""
    return region.length <= SMALLEST if numeric else region.categories <= SMALLEST_CATEGORIES


def box(region: TrustRegion, centre: Array, lengthscale: Array) -> tuple[Array, Array]:
    """Edges in proportion to the lengthscales, with the volume of a cube of edge `length`, cut to the unit cube.

    Args:
      region: gives the edge.
      centre: shape `[D]`.
      lengthscale: of the numeric dimensions, without the context. Shape `[D]`.

    Returns:
      Lower and upper corner, shape `[D]` each.
    """
    weights = lengthscale / jnp.mean(lengthscale) if lengthscale.size else lengthscale
    weights = weights / jnp.exp(jnp.mean(jnp.log(weights))) if lengthscale.size else weights
    half = weights * region.length / 2
    return jnp.clip(centre - half, 0, 1), jnp.clip(centre + half, 0, 1)


def changes(region: TrustRegion, categories: int) -> Array:
    """How many categories may differ from the centre's: normalised Hamming distance at most the share. int32."""
    return jnp.floor(region.categories * categories + 1e-6).astype(jnp.int32)
