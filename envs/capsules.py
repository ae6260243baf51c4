"""What touches what, by the distances of capsules.

Brax's engines say nothing about contacts unless they search for them twice. Where every
shape that matters is a capsule, distances are cheap and exact.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from brax import math
from brax.base import Transform

Array = jax.Array
CAPSULE = int(mujoco.mjtGeom.mjGEOM_CAPSULE)


class Capsules(NamedTuple):
    """Capsules that are fixed to bodies. A sphere is one whose ends coincide."""

    body: Array  # [N] index among Brax's bodies
    ends: Array  # [N, 2, 3] centres of the two caps, in the body's frame
    radius: Array  # [N]


def capsules_of(model: Any, bit: int) -> Capsules:
    """The capsules of a model whose `contype` has a bit.

    Args:
      model: MuJoCo's.
      bit: power of two.
    """
    chosen = (model.geom_type == CAPSULE) & (model.geom_contype & bit > 0)
    along = np.zeros((chosen.sum(), 3))
    along[:, 2] = model.geom_size[chosen, 1]
    turns = jnp.asarray(model.geom_quat[chosen], jnp.float32)
    along = jax.vmap(math.rotate)(jnp.asarray(along, jnp.float32), turns)
    centre = jnp.asarray(model.geom_pos[chosen], jnp.float32)
    return Capsules(
        # MuJoCo's body 0 is the world, which Brax leaves out.
        body=jnp.asarray(model.geom_bodyid[chosen] - 1),
        ends=jnp.stack([centre - along, centre + along], axis=1),
        radius=jnp.asarray(model.geom_size[chosen, 0], jnp.float32),
    )


def ends_in_world(capsules: Capsules, x: Transform) -> Array:
    """Where the centres of the caps are. Shape `[N, 2, 3]`.

    Args:
      capsules: N of them.
      x: poses of the bodies.
    """
    pose = x.take(capsules.body)
    turned = jax.vmap(jax.vmap(math.rotate, in_axes=(0, None)))
    return pose.pos[:, None] + turned(capsules.ends, pose.rot)


def above_ground(capsules: Capsules, x: Transform) -> Array:
    """Heights of the capsules' lowest points. Shape `[N]`."""
    return ends_in_world(capsules, x)[:, :, 2].min(axis=1) - capsules.radius


def distance_from(capsules: Capsules, x: Transform, place: Array) -> Array:
    """Distances of the capsules' surfaces from a place; below zero within. Shape `[N]`.

    Args:
      capsules: N of them.
      x: poses of the bodies.
      place: in the world, shape `[3]`.
    """
    start, end = jnp.moveaxis(ends_in_world(capsules, x), 1, 0)
    along, way = end - start, place - start
    length = jnp.maximum(jnp.sum(along**2, axis=1), 1e-12)
    share = jnp.clip(jnp.sum(along * way, axis=1) / length, 0, 1)
    return jnp.linalg.norm(way - share[:, None] * along, axis=1) - capsules.radius
