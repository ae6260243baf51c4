"""What a network costs, as terms of its reward (BlockQNN, Zhong et al. 2018).

The reward in percent is 100 accuracy - rho ln(density) - mu ln(FLOPs), the logarithm of
0 being 0. nas-dmrl has these terms and trained without them.
"""

from typing import NamedTuple

import jax.numpy as jnp

from bgpbt.networks import branches
from bgpbt.networks.canvas import Sizes
from bgpbt.networks.structure import Kind, is_join
from bgpbt.types import Array


class Cost(NamedTuple):
    """How much of it counts."""

    sizes: Sizes
    density_weight: float = 0.0  # rho
    flops_weight: float = 0.0  # mu

    def penalty(self, rows: Array) -> Array:
        """What is taken from a reward in [0, 1]. Shape `[]`.

        Args:
          rows: of a design that can be built, in the order of its layers, `[d, 5]`.
        """
        of_density = self.density_weight * _logarithm(density(rows))
        of_flops = self.flops_weight * _logarithm(flops(self.sizes, rows))
        return (of_density + of_flops) / 100


def _logarithm(x: Array) -> Array:
    return jnp.where(x > 0, jnp.log(jnp.maximum(x, 1e-9)), 0.0)


def density(rows: Array) -> Array:
    """Connections per layer, 1 of a chain, 0 without layers. Shape `[]`."""
    kinds = rows[:, 1]
    layers = jnp.sum((kinds != Kind.empty) & (kinds != Kind.terminal))
    connections = layers + jnp.sum(is_join(kinds))
    return connections / jnp.maximum(layers, 1)


def flops(sizes: Sizes, rows: Array) -> Array:
    """Operations of the layers for an image, without the classifier. Shape `[]`.

    A multiplication and an addition are two; a pooling window has one for each pixel.
    """
    design = branches.plan(sizes, rows)
    kinds, areas = rows[:, 1], rows[:, 2].astype(jnp.float32) ** 2
    pixels = design.sides[rows[:, 0]].astype(jnp.float32) ** 2
    read, given = design.channels[rows[:, 3]], design.channels[rows[:, 0]]
    pools = (kinds == Kind.max_pooling) | (kinds == Kind.average_pooling)
    each = jnp.where(kinds == Kind.convolution, 2 * areas * read * given, 0)
    each = jnp.where(pools, areas * given, each)
    each = jnp.where(kinds == Kind.add, given, each)
    return jnp.sum(pixels * each)
