"""Minibatches whose number is traced.

A member's `batch_size` (segments) and `unroll_length` (steps of a segment) ask for
T G / (batch_size unroll_length) minibatches of the T G transitions of a rollout (T
decisions in G environments). That number is rounded to one of `NUM_MINIBATCHES` that
divides T G, or G where minibatches are of whole environments. Each of them has a
compiled branch, and a vmapped chunk of members takes one branch together.
"""

from collections.abc import Callable
from itertools import takewhile

import jax
import jax.numpy as jnp
import numpy as np

from bgpbt.types import Array, PyTree

NUM_MINIBATCHES = (2, 4, 8, 16, 32, 48, 96)


def numbers_for(rows: int) -> tuple[int, ...]:
    """The first `NUM_MINIBATCHES`, up to the last that divides so many rows.

    All of them divide a rollout's transitions. Of its environments, whose number is a
    multiple of 32, either all are divisors or those up to 32.

    Args:
      rows: what minibatches are made of, transitions or environments.
    """
    return tuple(takewhile(lambda number: rows % number == 0, NUM_MINIBATCHES))


def nearest_index(
    transitions: int,
    batch_size: Array,
    unroll_length: Array,
    numbers: tuple[int, ...],
) -> Array:
    """Rounds the number of minibatches that a member asks for.

    Args:
      transitions: of a rollout, T G.
      batch_size: segments of a minibatch. Shape `[]`.
      unroll_length: steps of a segment. Shape `[]`.
      numbers: to choose from, of `numbers_for`.

    Returns:
      Index into `numbers` of the nearest number on a logarithmic scale. Shape
      `[]`, int32.
    """
    requested = transitions / (batch_size * unroll_length)
    distance = jnp.abs(jnp.log(jnp.asarray(numbers) / requested))
    return jnp.argmin(distance).astype(jnp.int32)


@jax.custom_batching.custom_vmap
def common_index(index: Array) -> Array:
    """The number of pieces in which all members of a vmapped chunk walk a rollout.

    It is the smallest number that every member's number of minibatches divides. Members
    with fewer minibatches accumulate gradients over several pieces. Under `vmap` the
    result is *not* batched, so that a switch over it stays a branch.

    Args:
      index: a member's, into `NUM_MINIBATCHES`. Shape `[]`, int32.

    Returns:
      The chunk's index; a single member's is its own. Shape `[]`, int32.
    """
    return index


@common_index.def_vmap
def _common_index_of_chunk(
    axis_size: int, in_batched: list, index: Array
) -> tuple[Array, bool]:
    del axis_size, in_batched
    divides = np.array(
        [
            [larger % smaller == 0 for larger in NUM_MINIBATCHES]
            for smaller in NUM_MINIBATCHES
        ]
    )
    divided_by_all = jnp.all(jnp.asarray(divides)[index], axis=0)
    return jnp.argmax(divided_by_all).astype(index.dtype), False


def normalise_advantages(
    num_pieces: int, num_minibatches: Array, advantages: Array
) -> tuple[Array, Array]:
    """Normalises advantages over full minibatches, each of consecutive pieces.

    Args:
      num_pieces: pieces of a rollout, static.
      num_minibatches: traced; divides `num_pieces`. Shape `[]`.
      advantages: shape `[num_pieces, K]`.

    Returns:
      Pieces per minibatch, `[]` int32, and advantages with mean 0 and deviation 1 in
      each minibatch.
    """
    pieces_per_minibatch = num_pieces // num_minibatches
    minibatch = jnp.arange(num_pieces) // pieces_per_minibatch
    same = minibatch[:, None] == minibatch[None, :]
    same = same.astype(advantages.dtype) / pieces_per_minibatch
    centred = advantages - (same @ jnp.mean(advantages, axis=1))[:, None]
    deviation = jnp.sqrt(same @ jnp.mean(centred**2, axis=1))
    return pieces_per_minibatch, centred / (deviation[:, None] + 1e-8)


def sweep(num_pieces: int, step: Callable, carry: PyTree, data: PyTree) -> PyTree:
    """Walks once through data in consecutive pieces.

    Args:
      num_pieces: static.
      step: (carry, index [] int32, piece) -> carry.
      carry: what the first step gets.
      data: arrays whose leading axis `num_pieces` divides.

    Returns:
      The carry of the last step.
    """
    pieces = jax.tree.map(lambda x: x.reshape(num_pieces, -1, *x.shape[1:]), data)

    def body(carry: PyTree, piece: PyTree) -> tuple[PyTree, None]:
        return step(carry, *piece), None

    return jax.lax.scan(body, carry, (jnp.arange(num_pieces), pieces))[0]
