"""What a layer does with a canvas, as programs of which each layer takes one.

Sizes as in `canvas.py`.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from bgpbt.networks.canvas import NORM_EPSILON, Moments, Sizes, padded
from bgpbt.networks.convolutional import im2col_convolution
from bgpbt.networks.structure import CELLS, LARGEST_KERNEL, Kind
from bgpbt.types import Array, PyTree

SMALLEST_EXTENT = 4  # pixels; below, a smaller program gains nothing

Parameters = tuple[Array, Array, Array, Array]  # kernel, bias, scale, offset of a layer


class Read(NamedTuple):
    """What a layer reads that has a gradient."""

    parameters: Parameters
    first: Array  # a canvas
    second: Array | tuple[()] = ()  # another one, of a layer that joins two


class Whole(NamedTuple):
    """What a layer reads that has none."""

    side: Array  # [] of the result
    # [N] bool, the images of whose moments convolutions are normalised; None: scale and
    # offset alone.
    counted: Array | None
    sides: Array | tuple[()] = ()  # [2] of both canvases, of a layer that joins two
    channels: Array | tuple[()] = ()  # [2]


# The moments are 0 of what is no convolution.
Operation = Callable[[Read, Whole], tuple[Array, Moments]]


def only_chosen(
    functions: Sequence[Operation], index: Array, read: Read, whole: Whole
) -> tuple[Array, Moments]:
    """Computes one of several operations, forward and backward.

    The gradient is a switch of its own: that of `lax.switch` would keep what every
    one needs, also where it was not taken.

    Args:
      functions: the operations.
      index: which, `[]` int32.
      read: what has a gradient.
      whole: what has none.
    """

    @jax.custom_vjp
    def run(index: Array, read: Read, whole: Whole) -> tuple[Array, Moments]:
        return lax.switch(index, functions, read, whole)

    def forward(*all_of_it: Any) -> tuple[Any, tuple]:
        return run(*all_of_it), all_of_it

    def backward(all_of_it: tuple, gradient: PyTree) -> tuple:
        def backward_of(function: Operation) -> Callable:
            def pull(read: Read, whole: Whole, gradient: PyTree) -> PyTree:
                _, back = jax.vjp(lambda x: function(x, whole), read)
                return back(gradient)[0]

            return pull

        index, read, whole = all_of_it
        pulls = [backward_of(function) for function in functions]
        return None, lax.switch(index, pulls, read, whole, gradient), None

    run.defvjp(forward, backward)
    return run(index, read, whole)


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
        lambda read, whole: (read.first, no_moments(sizes)),
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
    read: Read,
    whole: Whole,
) -> tuple[Array, Moments]:
    """An operation on the first rows, columns and channels of a canvas."""
    x = read.first[:, :extent, :extent, :width]
    moments = no_moments(sizes)
    if kind == Kind.convolution:
        x, moments = _convolve(kernel, read.parameters, x, whole)
    else:
        x = _pool(kind, kernel, x)
    return padded(jnp.where(_inside(x, whole.side), x, 0), sizes), moments


def _inside(x: Array, side: Array) -> Array:
    """Which pixels of a canvas `[N, h, h, c]` are of the layer. Shape `[h, h, 1]`."""
    inside = jnp.arange(x.shape[1]) < side
    return inside[:, None, None] & inside[None, :, None]


def at_once(
    sizes: Sizes, operation: Array, read: Read, whole: Whole
) -> tuple[Array, Moments]:
    """One of `CELLS`, or none, without a switch.

    Convolutions are one of the largest kernel, of which the corner counts.

    Args:
      sizes: of the images and layers.
      operation: as `operation_of` says, `[]` int32.
      read: what the layer reads.
      whole: whole numbers of the layer.
    """
    canvas, (weights, *affine) = read.first, read.parameters
    kernels = jnp.asarray([0, *(kernel for _, kernel in CELLS)])
    corner = jnp.arange(LARGEST_KERNEL) < kernels[operation]
    weights = weights * (corner[:, None] & corner)[:, :, None, None]
    missing = (0, LARGEST_KERNEL - 1)
    widened = jnp.pad(canvas, ((0, 0), missing, missing, (0, 0)))
    convolved, moments = _convolve(LARGEST_KERNEL, (weights, *affine), widened, whole)
    results = [
        convolved if kind == Kind.convolution else _pool(kind, kernel, canvas)
        for kind, kernel in CELLS
    ]
    chosen = lax.select_n(operation, canvas, *(padded(x, sizes) for x in results))
    return jnp.where(_inside(chosen, whole.side), chosen, 0), moments


def _convolve(
    kernel: int, parameters: Parameters, x: Array, whole: Whole
) -> tuple[Array, Moments]:
    """ReLU, convolution without padding, normalisation."""
    counted = whole.counted
    weights, bias, scale, offset = parameters
    filters = weights[:kernel, :kernel, : x.shape[3]]
    x = im2col_convolution(jax.nn.relu(x), filters, (1, 1), "VALID") + bias
    if counted is None:
        return x * scale + offset, Moments(jnp.zeros_like(bias), jnp.zeros_like(bias))
    share = counted[:, None, None, None] & _inside(x, whole.side)
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


def operation_of(rows: Array) -> Array:
    """The operations of layers `[d, 5]`: 0: none, else of `CELLS`, from 1 on. `[d]`."""
    cells = jnp.asarray(CELLS)
    same = (rows[:, 1, None] == cells[:, 0]) & (rows[:, 2, None] == cells[:, 1])
    return jnp.where(same.any(axis=1), 1 + same.argmax(axis=1), 0)
