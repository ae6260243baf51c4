"""Minibatches whose number is traced: a short ladder of sizes, and one choice per chunk of members.

A member's `batch_size` (segments) and `unroll_length` (steps of a segment) ask for S * G / (batch_size * unroll_length)
minibatches of the S * G transitions of a rollout; that number is rounded to `LADDER`, every rung of which divides S * G.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array
LADDER = (2, 4, 8, 16, 32, 48, 96)


def rung(transitions: int, batch_size: Array, unroll_length: Array) -> Array:
    """The rung of `LADDER` nearest, on a logarithmic scale, to the number of minibatches asked for. Shape `[]`, int32."""
    asked = transitions / (batch_size * unroll_length)
    return jnp.argmin(jnp.abs(jnp.log(jnp.asarray(LADDER) / asked))).astype(jnp.int32)


@jax.custom_batching.custom_vmap
def common_rung(index: Array) -> Array:
    """The smallest rung that the rung of every member of a vmapped chunk divides. Shape `[]`, int32.

    A single member's is its own. Under `vmap` the answer is *not* batched, so that a switch over it stays a branch; the
    members with fewer minibatches accumulate gradients over several of the chunk's.
    """
    return index


@common_rung.def_vmap
def _common_rung_of_chunk(axis_size, in_batched, index):
    del axis_size, in_batched
    divides = np.array([[larger % smaller == 0 for larger in LADDER] for smaller in LADDER])
    everyone = jnp.all(jnp.asarray(divides)[index], axis=0)
    return jnp.argmax(everyone).astype(index.dtype), False


def accumulated(micro: int, count: Array, advantages: Array) -> tuple[Array, Array]:
    """Normalises advantages over full minibatches, of which each consists of `micro / count` consecutive micro-batches.

    Args:
      micro: number of micro-batches, static.
      count: number of minibatches, traced; divides `micro`.
      advantages: shape `[micro, K]`.

    Returns:
      Micro-batches per minibatch, `[]` int32, and advantages with mean 0 and deviation 1 in each minibatch.
    """
    group = micro // count
    minibatch = jnp.arange(micro) // group
    same = (minibatch[:, None] == minibatch[None, :]).astype(advantages.dtype) / group
    centred = advantages - (same @ jnp.mean(advantages, axis=1))[:, None]
    deviation = jnp.sqrt(same @ jnp.mean(centred**2, axis=1))
    return group, centred / (deviation[:, None] + 1e-8)


def sweep(micro: int, step: Callable, carry, data):
    """One pass over `data` (leading axis S * G) in `micro` consecutive pieces. `step(carry, index, piece) -> carry`."""
    pieces = jax.tree.map(lambda x: x.reshape(micro, -1, *x.shape[1:]), data)
    body = lambda carry, piece: (step(carry, *piece), None)  # noqa: E731
    return jax.lax.scan(body, carry, (jnp.arange(micro), pieces))[0]
