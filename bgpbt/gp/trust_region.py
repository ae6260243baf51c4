"""The box in which the acquisition searches.

As in TuRBO (Eriksson et al., 2019); categories as in Casmopolitan (Wan et al., 2021).
"""

from typing import NamedTuple

import jax.numpy as jnp

from bgpbt.types import Array

# Edge in the unit cube, before weighting by lengthscale.
INITIAL_LENGTH = 0.4
MIN_LENGTH = 0.15
MAX_LENGTH = 1.0
# Share of the categories that may differ from the centre's.
INITIAL_CATEGORIES = 1.0
MIN_CATEGORIES = 0.1
FACTOR = 1.5
# Rounds in a row.
PATIENCE_SUCCESS = 3
PATIENCE_FAILURE = 10


class TrustRegion(NamedTuple):
    """Its size and the counters that change it."""

    length: Array  # []
    categories: Array  # [] share that may differ
    successes: Array  # [] int32, in a row
    failures: Array  # [] int32, in a row


def start() -> TrustRegion:
    """A fresh region."""
    zero = jnp.zeros((), jnp.int32)
    return TrustRegion(
        jnp.full((), INITIAL_LENGTH), jnp.full((), INITIAL_CATEGORIES), zero, zero
    )


def everywhere() -> TrustRegion:
    """A region that is the whole cube."""
    return start()._replace(length=jnp.full((), jnp.inf))


def update(
    region: TrustRegion, tried: Array, success: Array, max_length: float = MAX_LENGTH
) -> TrustRegion:
    """Grows after 3 successes in a row and shrinks after 10 failures in a row.

    Without a suggestion nothing changes.

    Args:
      region: before.
      tried: a suggestion was tried in this round. Shape `[]`, bool.
      success: a suggestion was the round's best. Shape `[]`, bool.
      max_length: the longest edge.
    """
    successes = jnp.where(success, region.successes + 1, 0)
    failures = jnp.where(success, 0, region.failures + 1)
    grows = successes >= PATIENCE_SUCCESS
    shrinks = failures >= PATIENCE_FAILURE
    factor = jnp.where(grows, FACTOR, jnp.where(shrinks, 1 / FACTOR, 1.0))
    changed = TrustRegion(
        length=jnp.minimum(region.length * factor, max_length),
        categories=jnp.minimum(region.categories * factor, 1.0),
        successes=jnp.where(grows, 0, successes),
        failures=jnp.where(shrinks, 0, failures),
    )
    return TrustRegion(
        *(
            jnp.where(tried, new, old).astype(old.dtype)
            for new, old in zip(changed, region, strict=True)
        )
    )


def exhausted(region: TrustRegion, numeric: int) -> Array:
    """Whether the region is too small to go on and has to start again.

    Args:
      region: of the round.
      numeric: number of numeric dimensions.

    Returns:
      Shape `[]`, bool.
    """
    return (
        region.length <= MIN_LENGTH if numeric else region.categories <= MIN_CATEGORIES
    )


def box(region: TrustRegion, centre: Array, lengthscale: Array) -> tuple[Array, Array]:
    """Edges in proportion to the lengthscales, cut to the unit cube.

    Before the cut the volume is that of a cube of edge `length`.

    Args:
      region: gives the edge.
      centre: shape `[D]`.
      lengthscale: of the numeric dimensions, without the context. Shape `[D]`.

    Returns:
      Lower and upper corner, shape `[D]` each.
    """
    weights = lengthscale
    if lengthscale.size:
        # As in TuRBO's code. The geometric mean makes the product of the weights 1; the
        # mean before it cancels but for rounding, and stays so that results do.
        weights = weights / jnp.mean(weights)
        weights = weights / jnp.exp(jnp.mean(jnp.log(weights)))
    half = weights * region.length / 2
    return jnp.clip(centre - half, 0, 1), jnp.clip(centre + half, 0, 1)


def changes(region: TrustRegion, categories: int) -> Array:
    """How many categories may differ from the centre's.

    The normalised Hamming distance is at most the region's share.

    Args:
      region: gives the share.
      categories: number of categorical dimensions.

    Returns:
      Shape `[]`, int32.
    """
    return jnp.floor(region.categories * categories + 1e-6).astype(jnp.int32)
