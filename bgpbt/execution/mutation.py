"""Random changes of weights, as the mutation-based baseline of PBT-NAS makes them.

The rules are those of its authors' code, after SEARL's.
"""

import jax
import jax.numpy as jnp
import numpy as np

from bgpbt.types import Array, Key, PyTree

MAX_HIT_RATE = 0.1  # at most this share of a matrix's elements is hit
# Shares of the hits that change tenfold, or are drawn anew; the others change by a
# tenth.
LARGE = 0.05
REDRAWN = 0.05
LARGEST_WEIGHT = 1e6


def mutate(key: Key, params: PyTree) -> PyTree:
    """Mutates some of one member's matrices; vectors and scalars stay.

    How many is drawn from 1 to all. Of a matrix with n units (its last axis) each
    element is hit with a chance of m / n, m drawn below a tenth of n.

    Args:
      key: PRNG key, consumed.
      params: weights of one member; padding, which is zero, stays zero, and so does
        what is not a float.
    """
    leaves, tree = jax.tree.flatten(params)
    places = [
        i
        for i, x in enumerate(leaves)
        if x.ndim >= 2 and jnp.issubdtype(x.dtype, jnp.floating)
    ]
    if not places:
        return params
    matrices = [leaves[i] for i in places]
    sizes = np.array([x.size for x in matrices])
    key_count, key_order, key_rate, key_hit, key_kind, key_noise = jax.random.split(
        key, 6
    )
    rate = _hit_rates(key_count, key_order, key_rate, matrices)
    weights = jnp.concatenate([x.ravel() for x in matrices])
    rates = jnp.repeat(rate, sizes, total_repeat_length=sizes.sum())
    hit = jax.random.uniform(key_hit, weights.shape) < rates
    changed = _changed(key_kind, key_noise, weights)
    mutated = jnp.where(hit & (weights != 0), changed, weights)
    parts = jnp.split(mutated, np.cumsum(sizes)[:-1])
    for i, x, part in zip(places, matrices, parts, strict=True):
        leaves[i] = part.reshape(x.shape).astype(x.dtype)
    return jax.tree.unflatten(tree, leaves)


def _hit_rates(
    key_count: Key, key_order: Key, key_rate: Key, matrices: list[Array]
) -> Array:
    """The chance of every matrix's elements; 0 for a matrix that stays."""
    units = np.array([x.shape[-1] for x in matrices])
    count = jax.random.randint(key_count, (), 1, len(matrices) + 1)
    chosen = jax.random.permutation(key_order, len(matrices)) < count
    most = np.ceil(MAX_HIT_RATE * units).astype(int)
    return chosen * jax.random.randint(key_rate, units.shape, 0, most) / units


def _changed(key_kind: Key, key_noise: Key, weights: Array) -> Array:
    """Every weight as it would be if it were hit."""
    kind = jax.random.uniform(key_kind, weights.shape)
    noise = jax.random.normal(key_noise, weights.shape)
    scale = jnp.where(kind < LARGE, 10, 0.1)
    changed = weights + scale * jnp.abs(weights) * noise
    redrawn = (kind >= LARGE) & (kind < LARGE + REDRAWN)
    changed = jnp.where(redrawn, noise, changed)
    return jnp.clip(changed, -LARGEST_WEIGHT, LARGEST_WEIGHT)
