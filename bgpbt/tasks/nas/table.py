"""Rewards of all chains up to some depth, looked up in a table.

A chain has a number: the image alone has 0, and the chain that goes on from number `n`
with the k-th of `CELLS`, k from 1 on, has `7 n + k`. Ten layers fit into an int32.
"""

import jax.numpy as jnp
from jax import lax

from bgpbt.networks.structure import CELLS
from bgpbt.tasks.nas.design import Design
from bgpbt.types import Array

BASE = len(CELLS)


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


def looked_up(table: Array, design: Design) -> Array:
    """What a chain is worth, `[]`.

    Args:
      table: by number, `[chains(d)]`.
      design: a chain that can be built, of at most d layers.
    """
    return table[number_of(design.rows)]
