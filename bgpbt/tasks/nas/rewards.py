"""What designs are worth: what is known is looked up, all else is judged once.

A design is worth the same whoever asks, so what is known makes a run faster and changes
no result. Members read what was known when the round began, and what they have found
in it themselves.

Shapes: `d` layers of a design at most, `W` words of its key, `K` designs that are
known, `B` that a member may find in a round.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from bgpbt.networks.structure import Kind
from bgpbt.tasks.nas.design import Design
from bgpbt.types import Array, PyTree

NO_KEY = 2**31 - 1  # the first word where there is no design: larger than all others
_BITS = (3, 3, 4, 4)  # of type, kernel and the two layers that are read
_LAYER_BITS = sum(_BITS)

# (data, rows [d, 5] of a design that can be built) -> [] in [0, 1]
Judge = Callable[[PyTree, Array], Array]


class Known(NamedTuple):
    """What was known when the round began."""

    keys: Array  # [K, W] int32, ascending
    worths: Array  # [K]


class Found(NamedTuple):
    """What a member has found out since."""

    keys: Array  # [B, W] int32, in the order in which they were found
    worths: Array  # [B]
    number: Array  # [] int32


class RewardData(NamedTuple):
    """What programs read of designs and their worth."""

    judging: PyTree  # what a `Judge` needs: images, or a table
    known: Known


def words(depth: int) -> int:
    """W."""
    return -(-depth // 2)


def key_of(rows: Array) -> Array:
    """A design as whole numbers; terminal layers change nothing.

    Args:
      rows: in the order of the layers, `[..., d, 5]`, of JAX or NumPy.

    Returns:
      Shape `[..., W]`, int32.
    """
    arrays: Any = rows.__array_namespace__()
    layer = rows[..., 1] * 0
    for column, bits in enumerate(_BITS, 1):
        layer = (layer << bits) | rows[..., column]
    layer = layer * (rows[..., 1] != Kind.terminal)
    odd = layer.shape[-1] % 2
    layer = arrays.concat([layer, layer[..., :odd] * 0], axis=-1)
    return ((layer[..., 0::2] << _LAYER_BITS) | layer[..., 1::2]).astype(arrays.int32)


def rows_of(keys: np.ndarray, depth: int) -> np.ndarray:
    """The designs of keys `[n, W]`, in the order of the layers: `[n, d, 5]`, int32."""
    pairs = np.stack([keys >> _LAYER_BITS, keys & (2**_LAYER_BITS - 1)], axis=-1)
    layers = pairs.reshape(len(keys), -1)[:, :depth]
    columns = []
    for bits in reversed(_BITS):
        columns.insert(0, layers & (2**bits - 1))
        layers = layers >> bits
    index = np.where(columns[0] > 0, np.arange(1, depth + 1), 0)
    return np.stack([index, *columns], axis=-1).astype(np.int32)


def nothing_known(capacity: int, depth: int) -> Known:
    """K = `capacity` places, all free."""
    keys = jnp.full((capacity, words(depth)), NO_KEY, jnp.int32)
    return Known(keys, jnp.zeros(capacity))


def nothing_found(capacity: int, depth: int) -> Found:
    """B = `capacity` places, all free."""
    keys = jnp.full((capacity, words(depth)), NO_KEY, jnp.int32)
    return Found(keys, jnp.zeros(capacity), jnp.zeros((), jnp.int32))


def look_up(known: Known, key: Array) -> tuple[Array, Array]:
    """Whether a design is known, `[]` bool, and what it is worth, `[]`."""
    size = len(known.keys)

    def halve(_, span: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = span
        middle = (low + high) // 2
        smaller = _is_smaller(known.keys[middle], key)
        return jnp.where(smaller, middle + 1, low), jnp.where(smaller, high, middle)

    span = jnp.int32(0), jnp.int32(size)
    place, _ = lax.fori_loop(0, size.bit_length(), halve, span)
    place = jnp.minimum(place, size - 1)
    return (known.keys[place] == key).all(), known.worths[place]


def _is_smaller(a: Array, b: Array) -> Array:
    """Whether words `a` come before words `b`, the first that differs decides."""
    first = jnp.argmax(a != b)
    return a[first] < b[first]


def worth(
    judge: Judge, data: RewardData, found: Found, design: Design
) -> tuple[Array, Found]:
    """What a design is worth, and what has been found then.

    Args:
      judge: of what is not known.
      data: of the round.
      found: before.
      design: any; one that cannot be built is worth 0 and not judged.
    """
    key = key_of(design.rows)
    is_known, known = look_up(data.known, key)
    same = (found.keys == key).all(axis=1)
    was_found = same.any()
    is_new = design.buildable & ~is_known & ~was_found
    judged = lax.cond(
        any_member(is_new),
        # Members that ask side by side share the branch: who does not ask has the
        # empty design judged, which any judge can.
        lambda: judge(data.judging, design.rows * is_new).astype(jnp.float32),
        lambda: jnp.zeros(()),
    )
    remembered = jnp.where(is_known, known, found.worths[same.argmax()])
    value = jnp.where(is_new, judged, remembered)
    # Where there is no room it is forgotten, and judged again.
    adds = is_new & (found.number < len(found.keys))
    place = jnp.where(adds, found.number, len(found.keys))
    found = Found(
        keys=found.keys.at[place].set(key, mode="drop"),
        worths=found.worths.at[place].set(value, mode="drop"),
        number=found.number + adds,
    )
    return jnp.where(design.buildable, value, 0.0), found


@jax.custom_batching.custom_vmap
def any_member(wanted: Array) -> Array:
    """Whether any of the members that are vmapped together wants it, `[]` bool.

    The answer is theirs together, so that a branch stays a branch.
    """
    return wanted


@any_member.def_vmap
def _any_of_batch(size, batched, wanted):
    del size, batched
    return any_member(wanted.any()), False
