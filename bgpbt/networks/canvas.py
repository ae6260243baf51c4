"""Layers whose kind and size are arguments of the program.

A *canvas* is as large as the images. What a layer gives lies at its top left, and all
else of it is zero. Weights are as large as the largest layer needs, and a layer reads
their first rows, columns and channels. So the design is an argument, as the weights
are, and the program computes what the exact network of the design computes.

Sizes: `N` images, `S` their side, `C` channels of a canvas, `F` filters, `d` layers at
most, `U` units before the classifier, `K` classes.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from bgpbt.networks.structure import LARGEST_KERNEL
from bgpbt.types import Array, Key

NORM_EPSILON = 1e-3  # as Keras
# Of a canvas of designs with branches, whose joined layers have more channels than any
# convolution gives.
JOINED = 4


class Sizes(NamedTuple):
    """What all designs have in common."""

    side: int  # S, pixels
    channels: int  # of the images
    filters: int  # F, of every convolution
    dense: int  # U
    classes: int  # K
    depth: int  # d
    joins: bool = False  # layers may be added and concatenated
    # Convolutions are normalised by the minibatch; else by a scale and an offset alone.
    batch_norm: bool = False
    # Many designs are computed side by side, where a switch would compute all of its
    # branches for each.
    side_by_side: bool = False

    @property
    def single(self) -> int:
        """Channels that suffice where nothing is joined."""
        return max(self.channels, self.filters)

    @property
    def width(self) -> int:
        """C."""
        return self.single * (JOINED if self.joins else 1)


class Weights(NamedTuple):
    """Those of a design; rows of a layer that is no convolution are not read."""

    kernels: Array  # [d, 5, 5, C, F]
    biases: Array  # [d, F]
    scales: Array  # [d, F], of the normalisation
    offsets: Array  # [d, F]
    dense: Array  # [S, S, C, U]
    dense_bias: Array  # [U]
    logits: Array  # [U, K]
    logits_bias: Array  # [K]


class Moments(NamedTuple):
    """Of what convolutions give, over images and pixels, each `[F]` of a layer."""

    mean: Array
    variance: Array


def draw(
    key: Key, sizes: Sizes, rows: Array, fan_in: Array, side: Array, channels: Array
) -> Weights:
    """Draws weights as Keras does: Glorot's uniform kernels, no biases.

    Args:
      key: PRNG key, consumed.
      sizes: of the images and layers.
      rows: of the design, `[d, 5]`.
      fan_in: channels that each of its layers reads, `[d]`.
      side: of what the classifier reads, `[]`.
      channels: of it, `[]`.
    """
    areas = rows[:, 2] ** 2
    widths, units = sizes.width, sizes.dense
    kernels = (LARGEST_KERNEL, LARGEST_KERNEL, widths, sizes.filters)
    shapes = {
        "kernels": (sizes.depth, *kernels),
        "dense": (sizes.side, sizes.side, widths, units),
        "logits": (units, sizes.classes),
    }
    fans = {
        "kernels": (areas * (fan_in + sizes.filters))[:, None, None, None, None],
        "dense": side**2 * channels + units,
        "logits": jnp.asarray(units + sizes.classes),
    }
    keys = dict(zip(shapes, jax.random.split(key, len(shapes)), strict=True))
    drawn = {
        name: jax.random.uniform(keys[name], shape, minval=-1.0)
        * jnp.sqrt(6.0 / jnp.maximum(fans[name], 1))
        for name, shape in shapes.items()
    }
    per_layer = jnp.zeros((sizes.depth, sizes.filters))
    return Weights(
        kernels=drawn["kernels"],
        biases=per_layer,
        scales=per_layer + 1,
        offsets=per_layer,
        dense=drawn["dense"],
        dense_bias=jnp.zeros(units),
        logits=drawn["logits"],
        logits_bias=jnp.zeros(sizes.classes),
    )


def classify(weights: Weights, canvas: Array, keep: Array | None = None) -> Array:
    """The classifier behind the layers.

    Args:
      weights: of a design.
      canvas: of what it reads, `[N, S, S, C]`.
      keep: dropout: factors of the dense layer's units, `[N, U]`; None: all are kept.

    Returns:
      Logits, `[N, K]`.
    """
    flat = canvas.reshape(len(canvas), -1)
    units = weights.dense_bias.size
    hidden = jax.nn.relu(flat @ weights.dense.reshape(-1, units) + weights.dense_bias)
    hidden = hidden if keep is None else hidden * keep
    return hidden @ weights.logits + weights.logits_bias


def folded(weights: Weights, moments: Moments) -> Weights:
    """Weights whose scales and offsets normalise by these moments, each `[d, F]`."""
    scales = weights.scales / jnp.sqrt(moments.variance + NORM_EPSILON)
    offsets = weights.offsets - moments.mean * scales
    return weights._replace(scales=scales, offsets=offsets)


def padded(x: Array, sizes: Sizes) -> Array:
    """A canvas with the images `[N, h, w, c]` at its top left."""
    missing = sizes.side - x.shape[1]
    ends = (0, missing), (0, missing), (0, sizes.width - x.shape[3])
    return jnp.pad(x, ((0, 0), *ends))
