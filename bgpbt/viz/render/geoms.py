"""Geoms that move with their links."""

from typing import NamedTuple

import jax.numpy as jnp

from bgpbt.types import Array
from bgpbt.viz.render.scene import Scene


class PlacedGeom(NamedTuple):
    """A geom in the world."""

    size: Array  # [3], as in `Scene`
    centre: Array  # [3]
    matrix: Array  # [3, 3], turns its frame into that of the world
    colour: Array  # [3]


def place_geoms(scene: Scene, position: Array, rotation: Array) -> PlacedGeom:
    """Moves each geom with its link.

    Args:
      scene: `G` geoms in the frames of their links.
      position: of the links. Shape `[L, 3]`.
      rotation: of the links, unit quaternions. Shape `[L, 4]`.

    Returns:
      The geoms in the world; every field has the axis `G` in front.
    """
    # Row -1 is the world itself, where the link index -1 finds it.
    origins = jnp.concatenate([position, jnp.zeros((1, 3), jnp.float32)])
    origin = origins[scene.link]
    turns = [_matrix(rotation), jnp.eye(3, dtype=jnp.float32)[None]]
    turn = jnp.concatenate(turns)[scene.link]
    centre = origin + jnp.sum(turn * scene.position[:, None, :], -1)
    matrix = jnp.sum(turn[:, :, :, None] * _matrix(scene.rotation)[:, None, :, :], 2)
    return PlacedGeom(scene.size, centre, matrix, scene.colour)


def _matrix(quaternion: Array) -> Array:
    """Rotation matrices [..., 3, 3] of unit quaternions [..., 4]."""
    w, x, y, z = jnp.moveaxis(jnp.asarray(quaternion), -1, 0)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return jnp.stack([jnp.stack(row, -1) for row in rows], -2)
