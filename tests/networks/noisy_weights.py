"""Weights and images on which the networks of designs are compared."""

import jax
import numpy as np

from bgpbt.networks import on_canvas
from bgpbt.networks.canvas import Sizes, Weights
from bgpbt.types import Array


def noisy(sizes: Sizes, rows: np.ndarray) -> tuple[np.ndarray, Weights, Array]:
    """The rows of a design, weights of which none is zero or one, seven images."""
    keys = jax.random.split(jax.random.PRNGKey(0), 3)
    leaves, tree = jax.tree.flatten(on_canvas.init(keys[0], sizes, rows))
    noise = jax.random.split(keys[1], len(leaves))
    changed = [
        x + 0.1 * jax.random.normal(key, x.shape)
        for x, key in zip(leaves, noise, strict=True)
    ]
    images = jax.random.uniform(keys[2], (7, sizes.side, sizes.side, sizes.channels))
    return rows, jax.tree.unflatten(tree, changed), images
