"""Layers whose kind and size are arguments of the program.

A *canvas* is as large as the images. What a layer gives lies at its top left, and all
else of it is zero. Weights are as large as the largest layer needs, and a layer reads
their first rows, columns and channels. So the design is an argument, as the weights
are, and the program computes what the exact network of the design computes.

Sizes: `N` images, `S` their side, `C` channels of a canvas, `F` filters, `d` layers at
most, `U` units before the classifier, `K` classes.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from bgpbt.networks.convolutional import im2col_convolution
from bgpbt.networks.structure import CELLS, LARGEST_KERNEL, Kind
from bgpbt.types import Array, Key, PyTree

NORM_EPSILON = 1e-3  # as Keras
SMALLEST_EXTENT = 4  # pixels; below, a smaller program gains nothing
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


Parameters = tuple[Array, Array, Array, Array]  # kernel, bias, scale, offset of a layer
# (parameters, canvas, side of the result, counted [N] bool) -> canvas, moments. Those
# are 0 of what has none. Convolutions are normalised by the moments of the images that
# are counted; None: by scale and offset alone.
Operation = Callable[[Parameters, Array, Array, Array | None], tuple[Array, Moments]]


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


def only_chosen(
    branches: Sequence[Callable], index: Array, arguments: PyTree, whole: PyTree
) -> Any:
    """Computes one of several functions, forward and backward.

    The gradient is a switch of its own: that of `lax.switch` would keep what every
    branch needs, also where it was not taken.

    Args:
      branches: functions of `arguments` and `whole`.
      index: which, `[]` int32.
      arguments: what has a gradient.
      whole: whole numbers, which have none.
    """

    @jax.custom_vjp
    def run(index: Array, arguments: PyTree, whole: PyTree) -> Any:
        return lax.switch(index, branches, arguments, whole)

    def forward(*all_of_it: Any) -> tuple[Any, tuple]:
        return run(*all_of_it), all_of_it

    def backward(all_of_it: tuple, gradient: PyTree) -> tuple:
        def backward_of(branch: Callable) -> Callable:
            def pull(arguments: PyTree, whole: PyTree, gradient: PyTree) -> PyTree:
                _, back = jax.vjp(lambda x: branch(x, whole), arguments)
                return back(gradient)[0]

            return pull

        index, arguments, whole = all_of_it
        pulls = [backward_of(branch) for branch in branches]
        return None, lax.switch(index, pulls, arguments, whole, gradient), None

    run.defvjp(forward, backward)
    return run(index, arguments, whole)


def folded(weights: Weights, moments: Moments) -> Weights:
    """Weights whose scales and offsets normalise by these moments, each `[d, F]`."""
    scales = weights.scales / jnp.sqrt(moments.variance + NORM_EPSILON)
    offsets = weights.offsets - moments.mean * scales
    return weights._replace(scales=scales, offsets=offsets)


def _extents(sizes: Sizes) -> tuple[int, ...]:
    """Sides of the canvas that programs are made for, descending."""
    extents = [sizes.side]
    while extents[-1] // 2 >= SMALLEST_EXTENT:
        extents.append(-(-extents[-1] // 2))
    return tuple(extents)


def _widths(sizes: Sizes) -> tuple[int, ...]:
    """Channels of the canvas that programs are made for, descending."""
    return tuple(dict.fromkeys((sizes.width, sizes.single)))


def no_moments(sizes: Sizes) -> Moments:
    """Of a layer that is no convolution."""
    return Moments(jnp.zeros(sizes.filters), jnp.zeros(sizes.filters))


def operations(sizes: Sizes) -> list[Operation]:
    """None, and each of `CELLS` for each extent and width of what it reads."""
    return [
        lambda parameters, canvas, side, counted: (canvas, no_moments(sizes)),
        *(
            partial(_operate, sizes, kind, kernel, extent, width)
            for kind, kernel in CELLS
            for extent in _extents(sizes)
            for width in _widths(sizes)
        ),
    ]


def operation_index(
    sizes: Sizes, operation: Array, side: Array, channels: Array
) -> Array:
    """Which of `operations` a layer takes, `[]` int32.

    Args:
      sizes: of the images and layers.
      operation: 0: none, else one of `CELLS`, from 1 on.
      side: of what it reads.
      channels: of it.
    """
    extents, widths = _extents(sizes), _widths(sizes)
    # The last that holds it.
    extent = jnp.sum(jnp.asarray(extents) >= side) - 1
    width = jnp.sum(jnp.asarray(widths) >= channels) - 1
    index = 1 + ((operation - 1) * len(extents) + extent) * len(widths) + width
    return jnp.where(operation == 0, 0, index)


def _operate(
    sizes: Sizes,
    kind: int,
    kernel: int,
    extent: int,
    width: int,
    parameters: Parameters,
    canvas: Array,
    side: Array,
    counted: Array | None,
) -> tuple[Array, Moments]:
    """An operation on the first rows, columns and channels of a canvas."""
    x = canvas[:, :extent, :extent, :width]
    moments = no_moments(sizes)
    if kind == Kind.convolution:
        x, moments = _convolve(kernel, parameters, x, side, counted)
    else:
        x = _pool(kind, kernel, x)
    return padded(jnp.where(_inside(x, side), x, 0), sizes), moments


def _inside(x: Array, side: Array) -> Array:
    """Which pixels of a canvas `[N, h, h, c]` are of the layer. Shape `[h, h, 1]`."""
    inside = jnp.arange(x.shape[1]) < side
    return inside[:, None, None] & inside[None, :, None]


def at_once(
    sizes: Sizes,
    operation: Array,
    parameters: Parameters,
    canvas: Array,
    side: Array,
    counted: Array | None,
) -> tuple[Array, Moments]:
    """One of `CELLS`, or none, without a switch.

    Convolutions are one of the largest kernel, of which the corner counts.

    Args:
      sizes: of the images and layers.
      operation: as `operation_of` says, `[]` int32.
      parameters: of the layer.
      canvas: that it reads.
      side: of the result.
      counted: as of an `Operation`.
    """
    weights, *affine = parameters
    kernels = jnp.asarray([0, *(kernel for _, kernel in CELLS)])
    corner = jnp.arange(LARGEST_KERNEL) < kernels[operation]
    weights = weights * (corner[:, None] & corner)[:, :, None, None]
    missing = (0, LARGEST_KERNEL - 1)
    widened = jnp.pad(canvas, ((0, 0), missing, missing, (0, 0)))
    convolved, moments = _convolve(
        LARGEST_KERNEL, (weights, *affine), widened, side, counted
    )
    results = [
        convolved if kind == Kind.convolution else _pool(kind, kernel, canvas)
        for kind, kernel in CELLS
    ]
    chosen = lax.select_n(operation, canvas, *(padded(x, sizes) for x in results))
    return jnp.where(_inside(chosen, side), chosen, 0), moments


def _convolve(
    kernel: int, parameters: Parameters, x: Array, side: Array, counted: Array | None
) -> tuple[Array, Moments]:
    """ReLU, convolution without padding, normalisation."""
    weights, bias, scale, offset = parameters
    filters = weights[:kernel, :kernel, : x.shape[3]]
    x = im2col_convolution(jax.nn.relu(x), filters, (1, 1), "VALID") + bias
    if counted is None:
        return x * scale + offset, Moments(jnp.zeros_like(bias), jnp.zeros_like(bias))
    share = counted[:, None, None, None] & _inside(x, side)
    share = share / jnp.maximum(share.sum(), 1)
    mean = jnp.sum(x * share, axis=(0, 1, 2))
    variance = jnp.sum((x - mean) ** 2 * share, axis=(0, 1, 2))
    x = (x - mean) / jnp.sqrt(variance + NORM_EPSILON)
    return x * scale + offset, Moments(mean, variance)


def _pool(kind: int, size: int, x: Array) -> Array:
    """Maxima or means of windows that do not overlap."""
    number, extent, _, channels = x.shape
    windows = extent // size
    x = x[:, : windows * size, : windows * size]
    x = x.reshape(number, windows, size, windows, size, channels)
    if kind == Kind.max_pooling:
        return x.max(axis=(2, 4))
    return x.mean(axis=(2, 4))


def padded(x: Array, sizes: Sizes) -> Array:
    """A canvas with the images `[N, h, w, c]` at its top left."""
    missing = sizes.side - x.shape[1]
    ends = (0, missing), (0, missing), (0, sizes.width - x.shape[3])
    return jnp.pad(x, ((0, 0), *ends))


def operation_of(rows: Array) -> Array:
    """The operations of layers `[d, 5]`: 0: none, else of `CELLS`, from 1 on. `[d]`."""
    cells = jnp.asarray(CELLS)
    same = (rows[:, 1, None] == cells[:, 0]) & (rows[:, 2, None] == cells[:, 1])
    return jnp.where(same.any(axis=1), 1 + same.argmax(axis=1), 0)
