"""Networks designed layer by layer: states, actions, legality, observations.

A design is a list of layers in the network structure code of BlockQNN (Zhong et al.
2018). Nas-dmrl (Gomez-Robles and Vanschoren 2019, section 3) makes decisions of it: an
action appends a layer after the last one, or moves one of two pointers that say which
layers the next one reads. What a design is worth is not known here.

Everything is for one design, pure, and of fixed shapes. `d` is the largest number of
layers, `A` the number of actions.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from bgpbt.networks.structure import (
    CELLS,
    LARGEST_KERNEL,
    Kind,
    is_join,
    layer_name,
    side_after,
)
from bgpbt.types import Array

_JOINS = ((Kind.add, 0), (Kind.concatenate, 0))
_END = ((Kind.terminal, 0),)


class Actions(NamedTuple):
    """What can be done to a design."""

    layers: tuple[tuple[int, int], ...]  # type and kernel of each layer to append
    moves: bool  # then follow: pointer 1 up, down, pointer 2 up, down

    @property
    def number(self) -> int:
        """A."""
        return len(self.layers) + 4 * self.moves

    @property
    def names(self) -> tuple[str, ...]:
        """Of each action, such as `conv3` or `move1_up`."""
        moves = [f"move{i}_{where}" for i in (1, 2) for where in ("up", "down")]
        return (*(layer_name(*x) for x in self.layers), *moves * self.moves)


CHAIN = Actions(CELLS + _END, moves=False)  # every layer reads the one before
BRANCHES = Actions(CELLS + _JOINS + _END, moves=True)
ACTIONS = {"chain": CHAIN, "branches": BRANCHES}


class Rules(NamedTuple):
    """Sizes that legality depends on."""

    actions: Actions
    side: int  # of the square images, pixels
    depth: int = 10  # d
    max_steps: int = 100  # decisions of an episode


class Design(NamedTuple):
    """A design, and where its designer stands."""

    rows: Array  # [d, 5] int32: index, type, kernel, pred1, pred2; zeros below
    sides: Array  # [d + 1] int32, of the image and of what each layer gives
    layers: Array  # [] int32, rows that are filled
    shifts: Array  # [2] int32, of the pointers, relative to the last layer
    steps: Array  # [] int32, decisions so far
    buildable: Array  # [] bool: there is such a network
    inside: Array  # [] bool: both pointers point to a layer, or to the image
    ended: Array  # [] bool: the last layer is terminal

    @property
    def done(self) -> Array:
        """Whether the design itself has ended; `over` also counts steps."""
        full = self.layers == len(self.rows)
        return self.ended | full | ~self.buildable | ~self.inside


def empty(rules: Rules) -> Design:
    """Before the first decision: the image goes straight into the classifier."""
    zero = jnp.zeros((), jnp.int32)
    true = jnp.ones((), bool)
    return Design(
        rows=jnp.zeros((rules.depth, 5), jnp.int32),
        sides=jnp.zeros(rules.depth + 1, jnp.int32).at[0].set(rules.side),
        layers=zero,
        shifts=jnp.zeros(2, jnp.int32),
        steps=zero,
        buildable=true,
        inside=true,
        ended=~true,
    )


def over(rules: Rules, design: Design) -> Array:
    """Whether an episode ends with this design. Shape `[]`, bool."""
    return design.done | (design.steps == rules.max_steps)


def act(rules: Rules, design: Design, action: Array) -> Design:
    """Takes a decision; a design that is over must not be acted on.

    Args:
      rules: sizes.
      design: before.
      action: from 0 to A - 1, `[]` int32.
    """
    appends = action < len(rules.actions.layers)
    if rules.actions.moves:
        move = action - len(rules.actions.layers)
        shifts = design.shifts.at[move // 2].add(1 - 2 * (move % 2))
        shifts = jnp.where(appends, design.shifts, shifts)
    else:
        shifts = design.shifts
    appended = _append(rules, design, action)
    place = design.layers + shifts
    inside = ((place >= 0) & (place <= design.layers)).all()
    moved = design._replace(shifts=shifts, inside=inside)
    after = jax.tree.map(partial(jnp.where, appends), appended, moved)
    return after._replace(steps=design.steps + 1)


def _append(rules: Rules, design: Design, action: Array) -> Design:
    table = jnp.asarray(rules.actions.layers, jnp.int32)
    kind, kernel = table[jnp.minimum(action, len(table) - 1)]
    joins = is_join(kind)
    terminal = kind == Kind.terminal
    first, second = jnp.maximum(design.layers + design.shifts, 0)
    first = jnp.where(terminal, 0, first)
    second = jnp.where(joins, second, 0)
    index = design.layers + 1
    row = jnp.stack([index, kind, kernel, first, second]).astype(jnp.int32)
    side = side_after(kind, kernel, design.sides[first])
    side = jnp.where(joins, jnp.maximum(side, design.sides[second]), side)
    joinable = ~joins | ((first > 0) & (second > 0))
    return design._replace(
        rows=design.rows.at[design.layers].set(row),
        sides=design.sides.at[index].set(side),
        layers=index,
        buildable=(side > 0) & joinable,
        ended=terminal,
    )


def is_branched(rows: Array) -> Array:
    """Whether a layer reads another one than that before it, or two. `[]` bool.

    Args:
      rows: in the order of the layers, `[d, 5]`.
    """
    kinds, first = rows[:, 1], rows[:, 3]
    counts = (kinds != Kind.empty) & (kinds != Kind.terminal)
    return jnp.any(counts & (is_join(kinds) | (first != rows[:, 0] - 1)))


def right_aligned(design: Design) -> Array:
    """The rows `[d, 5]` with the newest last and empty ones first."""
    depth = len(design.rows)
    return jnp.roll(design.rows, depth - design.layers, axis=0)


def observation_size(rules: Rules) -> int:
    """O: 250 of a chain of ten layers, 360 with branches."""
    predecessors = 2 if rules.actions.moves else 1
    kinds = len(Kind) + LARGEST_KERNEL + 1
    return rules.depth * (kinds + predecessors * (rules.depth + 1))


def observe(rules: Rules, design: Design) -> Array:
    """What the designer sees: type, kernel and predecessors of each row, one-hot.

    The pointers are not in it. Shape `[O]`, float32.
    """
    rows = right_aligned(design)
    places = rules.depth + 1
    sizes = [len(Kind), LARGEST_KERNEL + 1, places]
    sizes += [places] * rules.actions.moves
    parts = [
        (rows[:, column + 1, None] == jnp.arange(size))
        for column, size in enumerate(sizes)
    ]
    return jnp.concatenate(parts, axis=1).astype(jnp.float32).reshape(-1)
