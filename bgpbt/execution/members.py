"""Maps a function of one member over the population."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec

from bgpbt.execution.devices import AXIS, DeviceLayout
from bgpbt.types import Array, PyTree


def map_members(
    f: Callable[..., Any], device_layout: DeviceLayout, mesh: Mesh
) -> Callable[[tuple, tuple], Any]:
    """Turns a function of one member into one of the population. Not jitted.

    Args:
      f: `f(*shared, *member) -> out`. `shared` goes in unbatched, so that what all
        members agree on, such as a trip count, stays a scalar.
      device_layout: devices and members vmapped at once.
      mesh: of these devices.

    Returns:
      `g(shared, members) -> outs`: the arrays in `members` and `outs` have a leading
      axis P.
    """
    run = partial(_on_device, f, device_layout.chunk)
    specs = (PartitionSpec(), PartitionSpec(AXIS))
    return jax.shard_map(
        run, mesh=mesh, in_specs=specs, out_specs=PartitionSpec(AXIS), check_vma=False
    )


def _on_device(f: Callable[..., Any], chunk: int, shared: tuple, members: tuple):
    def one(member: tuple):
        return f(*shared, *member)

    local = jax.tree.leaves(members)[0].shape[0]
    # A chunk of one is a plain map: under `vmap`, even of size 1, a traced branch
    # becomes a select of all branches.
    if chunk == 1:
        return jax.lax.map(one, members) if local > 1 else _map_single(one, members)
    if chunk == local:
        return jax.vmap(one)(members)
    chunks = jax.tree.map(lambda x: x.reshape(-1, chunk, *x.shape[1:]), members)
    outs = jax.lax.map(jax.vmap(one), chunks)
    return jax.tree.map(lambda x: x.reshape(local, *x.shape[2:]), outs)


def _map_single(f: Callable, members: PyTree):
    return jax.tree.map(lambda x: x[None], f(jax.tree.map(lambda x: x[0], members)))


def run_if(active: Array, f: Callable[[PyTree], PyTree], otherwise: PyTree) -> PyTree:
    """`f(otherwise)` where `active`, else `otherwise`; same shapes.

    A loop of at most one turn, not `lax.cond`: XLA puts a program's constants into the
    loops that use them, but not through a branch, and behind one the physics of an
    environment take a quarter longer on a CPU.
    """
    turns = active.astype(jnp.int32)
    return jax.lax.fori_loop(0, turns, lambda _, carry: f(carry), otherwise)


def all_finite(tree: PyTree) -> Array:
    """Whether every float of one member is finite. Shape `[]`, bool."""
    leaves = jax.tree.leaves(tree)
    floats = [x for x in leaves if jnp.issubdtype(x.dtype, jnp.floating)]
    if not floats:
        return jnp.array(True)
    return jnp.stack([jnp.all(jnp.isfinite(x)) for x in floats]).all()


def zeros_like_shapes(shapes: PyTree) -> PyTree:
    """Zeros of the given shapes and dtypes."""
    return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
