"""Random changes of weights, as the mutation-based baseline of PBT-NAS makes them (its authors' code, after SEARL's)."""

import jax
import jax.numpy as jnp

from bgpbt.types import Array, Key, PyTree

HIT = 0.1  # at most this share of a matrix's elements
LARGE, FRESH = 0.05, 0.05  # shares of the hits that change tenfold, or are drawn anew; the others change by a tenth
LARGEST = 1e6


def mutate(key: Key, params: PyTree) -> PyTree:
    """Mutates some of one member's matrices: how many is drawn from 1 to all; vectors and scalars stay.

    Args:
      key: PRNG key, consumed.
      params: weights of one member; padding, which is zero, stays zero.
    """
    leaves, tree = jax.tree.flatten(params)
    matrices = [i for i, x in enumerate(leaves) if x.ndim >= 2]
    if not matrices:
        return params
    key_number, key_order, *keys = jax.random.split(key, 2 + len(matrices))
    number = jax.random.randint(key_number, (), 1, len(matrices) + 1)
    place = jax.random.permutation(key_order, len(matrices))
    for which, (i, key) in enumerate(zip(matrices, keys, strict=True)):
        leaves[i] = jnp.where(place[which] < number, _mutate_matrix(key, leaves[i]), leaves[i])
    return jax.tree.unflatten(tree, leaves)


def _mutate_matrix(key: Key, weights: Array) -> Array:
    """With n units (the last axis) and m drawn below a tenth of n, each element is hit with probability m / n."""
    key_rate, key_hit, key_kind, key_noise = jax.random.split(key, 4)
    units = weights.shape[-1]
    most = -int(-HIT * units // 1)  # rounded up
    hit = jax.random.uniform(key_hit, weights.shape) < jax.random.randint(key_rate, (), 0, most) / units
    kind, noise = jax.random.uniform(key_kind, weights.shape), jax.random.normal(key_noise, weights.shape)
    changed = jnp.where(kind < LARGE, weights + 10 * jnp.abs(weights) * noise, weights + 0.1 * jnp.abs(weights) * noise)
    changed = jnp.where((kind >= LARGE) & (kind < LARGE + FRESH), noise, changed)
    return jnp.where(hit & (weights != 0), jnp.clip(changed, -LARGEST, LARGEST), weights)
