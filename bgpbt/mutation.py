"""Random changes of weights, as the mutation-based baseline of PBT-NAS makes them (its authors' code, after SEARL's)."""

import jax
import jax.numpy as jnp
import numpy as np

from bgpbt.types import Key, PyTree

HIT = 0.1  # at most this share of a matrix's elements
LARGE, FRESH = 0.05, 0.05  # shares of the hits that change tenfold, or are drawn anew; the others change by a tenth
LARGEST = 1e6


def mutate(key: Key, params: PyTree) -> PyTree:
    """Mutates some of one member's matrices: how many is drawn from 1 to all; vectors and scalars stay.

    Of a matrix with n units (its last axis) each element is hit with a chance of m / n, m drawn below a tenth of n.

    Args:
      key: PRNG key, consumed.
      params: weights of one member; padding, which is zero, stays zero.
    """
    leaves, tree = jax.tree.flatten(params)
    places = [i for i, x in enumerate(leaves) if x.ndim >= 2]
    if not places:
        return params
    matrices = [leaves[i] for i in places]
    sizes, units = np.array([x.size for x in matrices]), np.array([x.shape[-1] for x in matrices])
    key_number, key_order, key_rate, key_hit, key_kind, key_noise = jax.random.split(key, 6)
    number = jax.random.randint(key_number, (), 1, len(matrices) + 1)
    chosen = jax.random.permutation(key_order, len(matrices)) < number
    rate = chosen * jax.random.randint(key_rate, units.shape, 0, np.ceil(HIT * units).astype(int)) / units
    weights = jnp.concatenate([x.ravel() for x in matrices])
    hit = jax.random.uniform(key_hit, weights.shape) < jnp.repeat(rate, sizes, total_repeat_length=sizes.sum())
    kind, noise = jax.random.uniform(key_kind, weights.shape), jax.random.normal(key_noise, weights.shape)
    changed = weights + jnp.where(kind < LARGE, 10, 0.1) * jnp.abs(weights) * noise
    changed = jnp.where((kind >= LARGE) & (kind < LARGE + FRESH), noise, changed)
    mutated = jnp.where(hit & (weights != 0), jnp.clip(changed, -LARGEST, LARGEST), weights)
    for i, x, part in zip(places, matrices, jnp.split(mutated, np.cumsum(sizes)[:-1]), strict=True):
        leaves[i] = part.reshape(x.shape)
    return jax.tree.unflatten(tree, leaves)
