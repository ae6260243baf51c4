"""Chains of layers, whatever they are, as one program.

A *canvas* is as large as the images. What a layer gives lies at its top left, and all
else of it is zero. Weights are as large as the largest layer needs, and a layer reads
their first rows, columns and channels. So the design is an argument, as the weights
are, and the program computes what the exact network of the design computes.

Sizes: `N` images, `S` their side, `C` channels of a canvas, `d` layers at most.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from bgpbt.networks.convolutional import im2col_convolution
from bgpbt.networks.structure import CELLS, LARGEST_KERNEL, Kind, side_after
from bgpbt.types import Array, Key

SMALLEST_EXTENT = 4  # pixels; below, a smaller program gains nothing


class Sizes(NamedTuple):
    """What all chains have in common."""

    side: int  # S, pixels
    channels: int  # of the images
    filters: int  # of every convolution
    dense: int  # units of the layer before the classifier
    classes: int
    depth: int  # d

    @property
    def width(self) -> int:
        """C."""
        return max(self.channels, self.filters)


class Weights(NamedTuple):
    """Those of a chain; rows of a layer that is no convolution are not read."""

    kernels: Array  # [d, 5, 5, C, C]
    biases: Array  # [d, C]
    scales: Array  # [d, C], of the normalisation
    offsets: Array  # [d, C]
    dense: Array  # [S, S, C, U]
    dense_bias: Array  # [U]
    logits: Array  # [U, K]
    logits_bias: Array  # [K]


class Plan(NamedTuple):
    """What a design says of each of its layers, each `[d]`, int32."""

    operation: Array  # 0: none, else one of `CELLS`, from 1 on
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
    cells = jnp.asarray(CELLS)
    same = (kinds[:, None] == cells[:, 0]) & (kernels[:, None] == cells[:, 1])
    operation = jnp.where(same.any(axis=1), 1 + same.argmax(axis=1), 0)

    def step(side: Array, layer: tuple[Array, Array]) -> tuple[Array, Array]:
        after = side_after(*layer, side)
        return after, after

    last, after = lax.scan(step, jnp.int32(sizes.side), (kinds, kernels))
    before = jnp.concatenate([jnp.full(1, sizes.side, after.dtype), after[:-1]])
    convolved = jnp.cumsum(kinds == Kind.convolution) > 0
    channels = jnp.where(convolved, sizes.filters, sizes.channels)
    fan_in = jnp.concatenate([jnp.full(1, sizes.channels), channels[:-1]])
    layers = Plan(*(x.astype(jnp.int32) for x in (operation, before, after, fan_in)))
    return layers, last, channels[-1]


def init(key: Key, sizes: Sizes, rows: Array) -> Weights:
    """Draws weights as Keras does: Glorot's uniform kernels, no biases.

    Args:
      key: PRNG key, consumed.
      sizes: of the images and layers.
      rows: of the design: the spread of the weights follows from its exact sizes.
    """
    layers, side, channels = plan(sizes, rows)
    areas = rows[:, 2] ** 2
    widths, units = sizes.width, sizes.dense
    shapes = {
        "kernels": (sizes.depth, LARGEST_KERNEL, LARGEST_KERNEL, widths, widths),
        "dense": (sizes.side, sizes.side, widths, units),
        "logits": (units, sizes.classes),
    }
    fans = {
        "kernels": (areas * (layers.fan_in + sizes.filters))[:, None, None, None, None],
        "dense": side**2 * channels + units,
        "logits": jnp.asarray(units + sizes.classes),
    }
    keys = dict(zip(shapes, jax.random.split(key, len(shapes)), strict=True))
    drawn = {
        name: jax.random.uniform(keys[name], shape, minval=-1.0)
        * jnp.sqrt(6.0 / jnp.maximum(fans[name], 1))
        for name, shape in shapes.items()
    }
    per_layer = jnp.zeros((sizes.depth, widths))
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


def features(sizes: Sizes, rows: Array, weights: Weights, images: Array) -> Array:
    """What the layers make of images.

    Args:
      sizes: of the images and layers.
      rows: of the design, `[d, 5]`.
      weights: of its layers.
      images: `[N, S, S, channels]`, float.

    Returns:
      A canvas, `[N, S, S, C]`.
    """
    layers, _, _ = plan(sizes, rows)
    canvas = _padded(images, sizes.side, sizes.width)
    each = (layers, weights.kernels, weights.biases, weights.scales, weights.offsets)

    def step(canvas: Array, layer: tuple) -> tuple[Array, None]:
        layer_plan, *parameters = layer
        return _layer(sizes, layer_plan, tuple(parameters), canvas), None

    canvas, _ = lax.scan(step, canvas, each)
    return canvas


def classify(weights: Weights, canvas: Array, keep: Array | None = None) -> Array:
    """The classifier behind the layers.

    Args:
      weights: of a chain.
      canvas: of its last layer, `[N, S, S, C]`.
      keep: dropout: factors of the dense layer's units, `[N, U]`; None: all are kept.

    Returns:
      Logits, `[N, K]`.
    """
    flat = canvas.reshape(len(canvas), -1)
    units = weights.dense_bias.size
    hidden = jax.nn.relu(flat @ weights.dense.reshape(-1, units) + weights.dense_bias)
    hidden = hidden if keep is None else hidden * keep
    return hidden @ weights.logits + weights.logits_bias


Parameters = tuple[Array, Array, Array, Array]  # kernel, bias, scale, offset of a layer
# (parameters, canvas, side of the result) -> canvas
Branch = Callable[[Parameters, Array, Array], Array]


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _layer(sizes: Sizes, layer: Plan, parameters: Parameters, canvas: Array) -> Array:
    """One layer: only its own operation is computed.

    Its gradient is a switch of its own: that of `lax.switch` would keep what every
    branch needs, also where it was not taken.
    """
    branches = _branches(sizes)
    index = _branch_index(sizes, layer)
    return lax.switch(index, branches, parameters, canvas, layer.side_after)


def _forward(sizes: Sizes, *arguments) -> tuple[Array, tuple]:
    return _layer(sizes, *arguments), arguments


def _backward(sizes: Sizes, arguments: tuple, gradient: Array) -> tuple:
    layer, parameters, canvas = arguments

    def backward_of(branch: Branch) -> Callable:
        def run(parameters, canvas, side, gradient):
            _, pull = jax.vjp(lambda p, c: branch(p, c, side), parameters, canvas)
            return pull(gradient)

        return run

    branches = [backward_of(branch) for branch in _branches(sizes)]
    of_parameters, of_canvas = lax.switch(
        _branch_index(sizes, layer),
        branches,
        parameters,
        canvas,
        layer.side_after,
        gradient,
    )
    return None, of_parameters, of_canvas


_layer.defvjp(_forward, _backward)


def _extents(sizes: Sizes) -> tuple[int, ...]:
    """Sides of the canvas that programs are made for, descending."""
    extents = [sizes.side]
    while extents[-1] // 2 >= SMALLEST_EXTENT:
        extents.append(-(-extents[-1] // 2))
    return tuple(extents)


def _branches(sizes: Sizes) -> list[Branch]:
    """The operations: none, and each of `CELLS` for each extent."""
    return [
        lambda parameters, canvas, side: canvas,
        *(
            partial(_operate, sizes, kind, kernel, extent)
            for kind, kernel in CELLS
            for extent in _extents(sizes)
        ),
    ]


def _branch_index(sizes: Sizes, layer: Plan) -> Array:
    extents = jnp.asarray(_extents(sizes))
    smallest = jnp.sum(extents >= layer.side) - 1  # the last that holds it
    index = 1 + (layer.operation - 1) * len(extents) + smallest
    return jnp.where(layer.operation == 0, 0, index)


def _operate(
    sizes: Sizes,
    kind: int,
    kernel: int,
    extent: int,
    parameters: Parameters,
    canvas: Array,
    side: Array,
) -> Array:
    """An operation on the first `extent` rows and columns of a canvas."""
    x = canvas[:, :extent, :extent]
    if kind == Kind.convolution:
        x = _convolve(sizes, kernel, parameters, x)
    else:
        x = _pool(kind, kernel, x)
    inside = jnp.arange(x.shape[1]) < side
    x = jnp.where(inside[:, None, None] & inside[None, :, None], x, 0)
    return _padded(x, sizes.side, sizes.width)


def _convolve(sizes: Sizes, kernel: int, parameters: Parameters, x: Array) -> Array:
    """ReLU, convolution without padding, scale and offset."""
    weights, bias, scale, offset = parameters
    filters = weights[:kernel, :kernel, :, : sizes.filters]
    x = im2col_convolution(jax.nn.relu(x), filters, (1, 1), "VALID")
    bias, scale, offset = (p[: sizes.filters] for p in (bias, scale, offset))
    return (x + bias) * scale + offset


def _pool(kind: int, size: int, x: Array) -> Array:
    """Maxima or means of windows that do not overlap."""
    number, extent, _, channels = x.shape
    windows = extent // size
    x = x[:, : windows * size, : windows * size]
    x = x.reshape(number, windows, size, windows, size, channels)
    if kind == Kind.max_pooling:
        return x.max(axis=(2, 4))
    return x.mean(axis=(2, 4))


def _padded(x: Array, side: int, width: int) -> Array:
    """A canvas with the images `[N, h, w, c]` at its top left."""
    missing = side - x.shape[1]
    ends = (0, missing), (0, missing), (0, width - x.shape[3])
    return jnp.pad(x, ((0, 0), *ends))
