"""Chains of layers, whatever they are, as one program; see `canvas.py`."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax

from bgpbt.networks.canvas import Moments, Sizes, Weights, draw, padded
from bgpbt.networks.operations import (
    Read,
    Whole,
    at_once,
    only_chosen,
    operation_index,
    operation_of,
    operations,
)
from bgpbt.networks.structure import Kind, side_after
from bgpbt.types import Array, Key


class Plan(NamedTuple):
    """What a design says of each of its layers, each `[d]`, int32."""

    operation: Array  # as `operation_of` says
    side: Array  # of what it reads
    side_after: Array
    fan_in: Array  # channels that it reads


def plan(sizes: Sizes, rows: Array) -> tuple[Plan, Array, Array]:
    """Reads a design.

    Args:
      sizes: of the images and layers.
      rows: of a chain that can be built, in the order of its layers, `[d, 5]`; terminal
        and empty rows do nothing.

    Returns:
      Its layers, and side and channels of what the last one gives, each `[]`.
    """
    kinds, kernels = rows[:, 1], rows[:, 2]

    def step(side: Array, layer: tuple[Array, Array]) -> tuple[Array, Array]:
        after = side_after(*layer, side)
        return after, after

    last, after = lax.scan(step, jnp.int32(sizes.side), (kinds, kernels))
    before = jnp.concatenate([jnp.full(1, sizes.side, after.dtype), after[:-1]])
    convolved = jnp.cumsum(kinds == Kind.convolution) > 0
    channels = jnp.where(convolved, sizes.filters, sizes.channels)
    fan_in = jnp.concatenate([jnp.full(1, sizes.channels), channels[:-1]])
    each = operation_of(rows), before, after, fan_in
    return Plan(*(x.astype(jnp.int32) for x in each)), last, channels[-1]


def init(key: Key, sizes: Sizes, rows: Array) -> Weights:
    """Draws the weights of a design, see `canvas.draw`."""
    layers, side, channels = plan(sizes, rows)
    return draw(key, sizes, rows, layers.fan_in, side, channels)


def features(
    sizes: Sizes,
    rows: Array,
    weights: Weights,
    images: Array,
    counted: Array | None = None,
) -> tuple[Array, Moments]:
    """What the layers make of images.

    Args:
      sizes: of the images and layers.
      rows: of the design, `[d, 5]`.
      weights: of its layers.
      images: `[N, S, S, channels]`, float.
      counted: the images of whose moments convolutions are normalised, `[N]` bool;
        None: scale and offset alone.

    Returns:
      A canvas, `[N, S, S, C]`, and moments by layer, `[d, F]` each.
    """
    layers, _, _ = plan(sizes, rows)
    functions = operations(sizes)
    each = (layers, weights.kernels, weights.biases, weights.scales, weights.offsets)

    def step(canvas: Array, layer: tuple) -> tuple[Array, Moments]:
        own, *parameters = layer
        read, whole = Read(tuple(parameters), canvas), Whole(own.side_after, counted)
        if sizes.side_by_side:
            return at_once(sizes, own.operation, read, whole)
        index = operation_index(sizes, own.operation, own.side, own.fan_in)
        return only_chosen(functions, index, read, whole)

    return lax.scan(step, padded(images, sizes), each)
