"""The network structure code of BlockQNN (Zhong et al. 2018): what a layer is called.

A network is a list of rows of five whole numbers: index from 1 on, type, kernel, and
the two layers that it reads, 0 for the image.
"""

import hashlib
from collections.abc import Iterable, Sequence
from enum import IntEnum

import jax.numpy as jnp
import numpy as np

from bgpbt.space import Array


class Kind(IntEnum):
    """The types of layers, as the code numbers them."""

    empty = 0
    convolution = 1
    max_pooling = 2
    average_pooling = 3
    identity = 4
    add = 5
    concatenate = 6
    terminal = 7


JOINS = (Kind.add, Kind.concatenate)  # what reads two layers
LARGEST_KERNEL = 5
CELLS = (
    (Kind.convolution, 1),
    (Kind.convolution, 3),
    (Kind.convolution, 5),
    (Kind.max_pooling, 2),
    (Kind.max_pooling, 3),
    (Kind.average_pooling, 2),
    (Kind.average_pooling, 3),
)


_WITHOUT_KERNEL = (Kind.identity, Kind.add, Kind.concatenate, Kind.terminal)
LAYERS = {*CELLS, *((kind, 0) for kind in _WITHOUT_KERNEL)}  # type and kernel
_NAMES = {
    Kind.convolution: "conv",
    Kind.max_pooling: "max",
    Kind.average_pooling: "avg",
    Kind.identity: "identity",
    Kind.add: "add",
    Kind.concatenate: "concat",
    Kind.terminal: "terminal",
}


def layer_name(kind: int, kernel: int) -> str:
    """What a layer is called, such as `conv3`."""
    return _NAMES[Kind(kind)] + (str(kernel) if kernel else "")


def is_join(kinds: Array) -> Array:
    """Which layers read two. Same shape as `kinds`, bool."""
    return (kinds == Kind.add) | (kinds == Kind.concatenate)


def side_after(kind: Array, kernel: Array, side: Array) -> Array:
    """The side of what a layer gives, 0 where its window is larger than its input.

    Convolutions have no padding, and pooling windows do not overlap.

    Args:
      kind: a `Kind`.
      kernel: side of its window, 0 where it has none.
      side: of what it reads; all of one shape.
    """
    pools = (kind == Kind.max_pooling) | (kind == Kind.average_pooling)
    pooled = side // jnp.maximum(kernel, 1)
    after = jnp.where(kind == Kind.convolution, side - kernel + 1, side)
    return jnp.maximum(jnp.where(pools, pooled, after), 0)


Rows = tuple[tuple[int, int, int, int, int], ...]  # of a design, in order


def rows_of(rows: np.ndarray) -> Rows:
    """The layers of a design `[d, 5]`, without empty rows and the terminal one."""
    return tuple(
        (int(index), int(kind), int(kernel), int(first), int(second))
        for index, kind, kernel, first, second in rows.tolist()
        if index and kind != Kind.terminal
    )


def in_words(rows: Iterable[Sequence[int]]) -> str:
    """The layers of a design, such as `conv3 max2`, without empty and terminal rows.

    What a layer reads stands behind it where that is not just the one before it.

    Args:
      rows: in order, five numbers each.
    """
    words = []
    for row in rows:
        index, kind, kernel, *_ = row
        if not index or kind == Kind.terminal:
            continue
        read = reads(row)
        behind = "" if read == (index - 1,) else f"({','.join(map(str, read))})"
        words.append(layer_name(kind, kernel) + behind)
    return " ".join(words) or "the classifier alone"


def reads(row: Sequence[int]) -> tuple[int, ...]:
    """The layers that a layer reads, 0 for the image."""
    _, kind, _, first, second = row
    return (first, second) if kind in JOINS else (first,)


def can_be_built(rows: Rows, side: int) -> bool:
    """Whether every window fits into what it reads; layers that are joined are padded.

    Args:
      rows: of a design.
      side: of the images, pixels.
    """
    sides = {0: side}
    for row in rows:
        index, kind, kernel, *_ = row
        read = max(sides[i] for i in reads(row))
        pools = kind in (Kind.max_pooling, Kind.average_pooling)
        shrunk = read - kernel + 1 if kind == Kind.convolution else read
        sides[index] = read // kernel if pools else shrunk
    return min(sides.values()) > 0


def is_chain(rows: Rows) -> bool:
    """Whether every layer reads the one before it, and none reads two."""
    return all(reads(row) == (row[0] - 1,) for row in rows)


def loose_ends(rows: Rows) -> list[int]:
    """What no layer reads and the classifier does; the image where no layers are."""
    read = {index for row in rows for index in reads(row)}
    return [index for index, *_ in rows if index not in read] or [0]


def text(rows: np.ndarray) -> str:
    """A network as databases of experiments write it: `1-1-3-0-0;...`.

    Args:
      rows: empty ones first, `[d, 5]`.
    """
    return "".join("-".join(map(str, row)) + ";" for row in np.asarray(rows).tolist())


def digest(rows: np.ndarray) -> str:
    """The MD5 by which databases of experiments know a network."""
    return hashlib.md5(text(rows).encode(), usedforsecurity=False).hexdigest()
