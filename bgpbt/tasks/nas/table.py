"""Rewards of all chains up to some depth, looked up in a table.

A chain has a number: the image alone has 0, and the chain that goes on from number `n`
with the k-th of `CELLS`, k from 1 on, has `7 n + k`. Ten layers fit into an int32.
"""

import io
import json
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import jax.numpy as jnp
import numpy as np
from jax import lax

from bgpbt.config.errors import BadInput, nearest
from bgpbt.files import write
from bgpbt.networks.structure import CELLS, side_after
from bgpbt.types import Array

BASE = len(CELLS)
DEEPEST = 10  # layers, whose numbers still fit
MOST_SIDE = 4096  # pixels, as of `--image_side`
_SETTINGS = "settings"  # of the networks, in JSON


class Table(NamedTuple):
    """What all chains on a data set are worth."""

    worths: np.ndarray  # [chains(depth)] float32, NaN: cannot be built
    settings: dict[str, Any]  # of the networks; `side` and `depth` are among them


def chains(depth: int) -> int:
    """How many chains of at most so many layers there are, those that cannot be built
    among them."""
    return (BASE ** (depth + 1) - 1) // (BASE - 1)


def number_of(rows: Array) -> Array:
    """The number of a chain, `[]` int32.

    Args:
      rows: in the order of its layers, `[d, 5]`; terminal and empty rows add nothing.
    """
    cells = jnp.asarray(CELLS)
    same = (rows[:, 1, None] == cells[:, 0]) & (rows[:, 2, None] == cells[:, 1])

    def step(number: Array, matches: Array) -> tuple[Array, None]:
        further = BASE * number + 1 + matches.argmax()
        return jnp.where(matches.any(), further, number), None

    number, _ = lax.scan(step, jnp.int32(0), same)
    return number


def layers_of(number: int) -> list[tuple[int, int]]:
    """Type and kernel of each layer of the chain with a number."""
    layers = []
    while number:
        number, cell = divmod(number - 1, BASE)
        kind, kernel = CELLS[cell]
        layers.append((int(kind), kernel))
    return layers[::-1]


def of_rows(worths: Array, rows: Array) -> Array:
    """What a chain is worth, `[]`.

    Args:
      worths: by number, `[chains(d)]`.
      rows: of a chain that can be built, of at most d layers.
    """
    return worths[number_of(rows)]


def write_all(
    path: Path, worths: dict[str, np.ndarray], settings: dict[str, Any]
) -> None:
    """Writes the table of several data sets, as `.npz`.

    Args:
      path: of the file.
      worths: by data set, each `[chains(depth)]` float32.
      settings: of the networks; `side` and `depth` are among them.

    Raises:
      NotSaved: the disk is full, or cannot be written.
    """
    arrays: dict[str, Any] = worths | {_SETTINGS: np.array(json.dumps(settings))}
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    write(path, content.getvalue())


def names(path: Path) -> tuple[str, ...]:
    """The data sets of a table.

    Raises:
      BadInput: the file is no table.
    """
    return tuple(_content(path)[0])


def read(path: Path, name: str) -> Table:
    """The table of a data set.

    Raises:
      BadInput: the file is no table, or the data set is not in it.
    """
    found, settings = _content(path)
    depth = settings["depth"]
    if not found:
        _refuse(path, "it has no data set")
    if name not in found:
        raise BadInput(
            f"problem: {path} has no {name!r}, {nearest(name, tuple(found))}", "problem"
        )
    worths = found[name]
    if worths.shape != (chains(depth),) or worths.dtype != np.float32:
        _refuse(path, f"{name} is not {chains(depth)} numbers of 32 bits")
    built = buildable(settings["side"], depth)
    if not ((worths[built] >= 0) & (worths[built] <= 1)).all():
        _refuse(
            path,
            f"{name} is not a number from 0 to 1 for each chain that can be built at "
            f"{settings['side']} x {settings['side']} pixels",
        )
    return Table(worths, settings)


def buildable(side: int, depth: int) -> np.ndarray:
    """Which chains can be built, by number. Shape `[chains(depth)]`, bool.

    Args:
      side: of the images, pixels.
      depth: layers at most.
    """
    sides = np.zeros(chains(depth), int)
    sides[0] = side
    for layers in range(depth):
        numbers = np.arange(chains(layers - 1), chains(layers))
        for k, (kind, kernel) in enumerate(CELLS, 1):
            after = side_after(np.int32(kind), np.int32(kernel), sides[numbers])
            sides[BASE * numbers + k] = after
    return sides > 0


def _content(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """What data sets' chains are worth, unchecked, and the settings."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = {key: arrays[key] for key in arrays.files}
        settings = json.loads(str(found.pop(_SETTINGS)))
        depth, side = settings["depth"], settings["side"]
        if not (
            type(depth) is type(side) is int
            and 1 <= depth <= DEEPEST
            and 0 < side <= MOST_SIDE
        ):
            raise ValueError
    except Exception as error:  # what NumPy and zipfile make of other files
        _refuse(path, getattr(error, "strerror", None) or "is no table of rewards")
    return found, settings


def _refuse(path: Path, problem: str) -> NoReturn:
    raise BadInput(f"reward_table: {path}: {problem}", "reward_table")
