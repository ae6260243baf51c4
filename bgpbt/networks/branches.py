"""Designs with branches, whatever they are, as one program; see `canvas.py`.

What every layer gives is kept, so that later ones can read it. Layers that are joined
are padded with zeros to the larger one, centred. What no layer reads goes into the
classifier, side by side.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax

from bgpbt.networks.canvas import Moments, Sizes, Weights, draw, padded
from bgpbt.networks.operations import (
    Operation,
    Read,
    Whole,
    at_once,
    no_moments,
    only_chosen,
    operation_index,
    operation_of,
    operations,
)
from bgpbt.networks.structure import JOINS, Kind, is_join, side_after
from bgpbt.types import Array, Key


class Plan(NamedTuple):
    """What a design says of each of its layers."""

    rows: Array  # [d, 5]
    sides: Array  # [d + 1], of the image and of what each layer gives
    channels: Array  # [d + 1]
    ends: Array  # [d + 1] bool: the classifier reads it


def plan(sizes: Sizes, rows: Array) -> Plan:
    """Reads a design.

    Args:
      sizes: of the images and layers.
      rows: of a design that can be built, in the order of its layers, `[d, 5]`;
        terminal and empty rows do nothing.
    """
    places = jnp.arange(sizes.depth + 1)
    filled = (rows[:, 1] != Kind.empty) & (rows[:, 1] != Kind.terminal)

    def step(known: tuple[Array, Array], layer: tuple) -> tuple[tuple, None]:
        sides, channels = known
        (index, kind, kernel, first, second), filled = layer
        joined = is_join(kind)
        second = jnp.where(joined, second, first)
        side = side_after(kind, kernel, sides[first])
        side = jnp.maximum(side, jnp.where(joined, sides[second], 0))
        width = jnp.maximum(channels[first], channels[second])
        width = width * jnp.where(kind == Kind.concatenate, 2, 1)
        width = jnp.where(kind == Kind.convolution, sizes.filters, width)
        place = jnp.where(filled, index, sizes.depth + 1)
        sides = sides.at[place].set(side, mode="drop")
        return (sides, channels.at[place].set(width, mode="drop")), None

    begin = jnp.zeros(sizes.depth + 1, jnp.int32)
    begin = begin.at[0].set(sizes.side), begin.at[0].set(sizes.channels)
    (sides, channels), _ = lax.scan(step, begin, (rows, filled))
    joined = filled & is_join(rows[:, 1])
    read = (filled[:, None] & (rows[:, 3, None] == places)).any(axis=0)
    read |= (joined[:, None] & (rows[:, 4, None] == places)).any(axis=0)
    given = jnp.zeros_like(read).at[1:].set(filled)
    ends = given & ~read
    return Plan(rows, sides, channels, ends.at[0].set(~given.any()))


def fits(sizes: Sizes, rows: Array) -> Array:
    """Whether a canvas holds what every layer of a design gives. Shape `[]`, bool."""
    design = plan(sizes, rows)
    at_the_end = jnp.sum(design.channels * design.ends)
    return jnp.maximum(design.channels.max(), at_the_end) <= sizes.width


def init(key: Key, sizes: Sizes, rows: Array) -> Weights:
    """Draws the weights of a design, see `canvas.draw`."""
    design = plan(sizes, rows)
    fan_in = design.channels[rows[:, 3]]
    side = jnp.max(design.sides * design.ends)
    return draw(key, sizes, rows, fan_in, side, _concatenated(design))


def number_of_weights(sizes: Sizes, rows: Array) -> Array:
    """Those of the exact network of a design. Shape `[]`, float32."""
    design = plan(sizes, rows)
    side = jnp.max(design.sides * design.ends).astype(jnp.float32)
    dense = side**2 * _concatenated(design) * sizes.dense
    is_convolution = rows[:, 1] == Kind.convolution
    each = rows[:, 2] ** 2 * design.channels[rows[:, 3]] * sizes.filters
    return dense + jnp.sum(each * is_convolution)


def _concatenated(design: Plan) -> Array:
    """Channels of all ends, concatenated one after the other."""

    def step(joined: Array, end: tuple[Array, Array]) -> tuple[Array, None]:
        channels, is_end = end
        both = jnp.where(joined == 0, channels, 2 * jnp.maximum(joined, channels))
        return jnp.where(is_end, both, joined), None

    return lax.scan(step, jnp.int32(0), (design.channels, design.ends))[0]


def features(
    sizes: Sizes,
    rows: Array,
    weights: Weights,
    images: Array,
    counted: Array | None = None,
) -> tuple[Array, Moments]:
    """What the layers make of images, and the classifier reads.

    The ends lie in it side by side, without the channels of zeros that are between them
    in the exact network: no weight of those is ever read.

    Args:
      sizes: of the images and layers.
      rows: of a design that `fits`, `[d, 5]`.
      weights: of its layers.
      images: `[N, S, S, channels]`, float.
      counted: the images of whose moments convolutions are normalised, `[N]` bool;
        None: scale and offset alone.

    Returns:
      A canvas, `[N, S, S, C]`, and moments by layer, `[d, F]` each.
    """
    design = plan(sizes, rows)
    alone, joining = operations(sizes), [_joining(sizes, kind) for kind in JOINS]
    numbers = operation_of(rows)
    each = (weights.kernels, weights.biases, weights.scales, weights.offsets)

    def step(given: Array, layer: tuple) -> tuple[Array, Moments]:
        row, number, parameters = layer
        index, kind, _, first, second = row
        second = jnp.where(is_join(kind), second, first)
        both = jnp.stack([first, second])
        sides, channels = design.sides[both], design.channels[both]
        read = Read(parameters, given[first], given[second])
        whole = Whole(design.sides[index], counted, sides, channels)
        join = jnp.where(kind == Kind.add, 0, 1)
        if sizes.side_by_side:
            single, moments = at_once(sizes, number, read, whole)
            joined = [function(read, whole)[0] for function in joining]
            which = jnp.where(is_join(kind), 1 + join, 0)
            result = lax.select_n(which, single, *joined)
        else:
            own = operation_index(sizes, number, sides[0], channels[0])
            chosen = jnp.where(is_join(kind), len(alone) + join, own)
            result, moments = only_chosen([*alone, *joining], chosen, read, whole)
        return given.at[index].set(result), moments

    image = padded(images, sizes)
    given = jnp.zeros((sizes.depth + 1, *image.shape), image.dtype).at[0].set(image)
    # Rows of no layer write where nobody reads.
    indices = jnp.where(rows[:, 1] == Kind.empty, sizes.depth, rows[:, 0])
    placed = rows.at[:, 0].set(indices)
    given, moments = lax.scan(step, given, (placed, numbers, each))
    return _side_by_side(design, given), moments


def _joining(sizes: Sizes, kind: Kind) -> Operation:
    """Joins two canvases, the smaller one centred in the larger one."""

    def join(read: Read, whole: Whole) -> tuple[Array, Moments]:
        sides, channels = jnp.asarray(whole.sides), jnp.asarray(whole.channels)
        side, width = sides.max(), channels.max()
        first, second = (
            _moved(canvas, (side - own_side) // 2, (width - own) // 2)
            for canvas, own_side, own in zip(read[1:], sides, channels, strict=True)
        )
        if kind == Kind.concatenate:
            second = _moved(second, jnp.int32(0), width)
        return first + second, no_moments(sizes)

    return join


def _moved(canvas: Array, pixels: Array, channels: Array) -> Array:
    """A canvas whose content lies so many pixels further down and right, `[]`, and so
    many channels further back, `[]`.

    It stays inside, so that nothing but zeros comes in on the other side.
    """
    shifts = jnp.stack([pixels, pixels, channels])
    return jnp.roll(canvas, shifts, axis=(1, 2, 3))


def _side_by_side(design: Plan, given: Array) -> Array:
    """The ends of `given`, `[d + 1, N, S, S, C]`, one behind the other: a canvas."""
    widths = design.channels * design.ends
    places = jnp.cumsum(widths) - widths

    def step(canvas: Array, end: tuple) -> tuple[Array, None]:
        own, place, is_end = end
        moved = _moved(own, jnp.int32(0), place)
        return canvas + jnp.where(is_end, moved, 0), None

    canvas = jnp.zeros_like(given[0])
    return lax.scan(step, canvas, (given, places, design.ends))[0]
