"""Where a ray enters a body, in closed form.

Vectors are tuples of three arrays (x, y, z): a trailing axis of length 3 would keep XLA
from vectorising over the rays.
"""

from typing import Any

import jax
import jax.numpy as jnp

Vector = tuple[Any, ...]  # x, y and z


def dot(a, b) -> jax.Array:
    """The scalar product of two vectors, tuples or arrays [3]."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def capsule(size: jax.Array, start: Vector, ray: Vector) -> tuple[jax.Array, Vector]:
    """Finds where a ray enters a capsule around the z axis.

    A sphere is a capsule of length zero.

    Args:
      size: radius, half the length, and a number that is not used. Shape `[3]`.
      start: of the ray.
      ray: its direction, a unit vector.

    Returns:
      The distance, and the unit normal there. The distance is inf for a miss, for a
      capsule behind `start`, and from within.
    """
    radius = size[0]
    half_length = size[1]
    a = jnp.maximum(ray[0] * ray[0] + ray[1] * ray[1], 1e-12)
    b = start[0] * ray[0] + start[1] * ray[1]
    c = start[0] * start[0] + start[1] * start[1] - radius * radius
    side = (-b - jnp.sqrt(jnp.maximum(b * b - a * c, 0))) / a
    # Slide a sphere along the axis to the height where the ray enters the endless
    # cylinder: it touches the cylinder there. Clipped to the ends, it is the cap.
    # Either way the ray enters the capsule where it enters this sphere, so one test
    # will do.
    end = jnp.clip(start[2] + side * ray[2], -half_length, half_length)
    z = start[2] - end
    b = b + z * ray[2]
    c = c + z * z
    root = b * b - c
    distance = -b - jnp.sqrt(jnp.maximum(root, 0))
    from_centre = (start[0], start[1], z)
    normal = tuple(
        (s + distance * r) / radius for s, r in zip(from_centre, ray, strict=True)
    )
    return jnp.where((root >= 0) & (distance > 0), distance, jnp.inf), normal


def box(size: jax.Array, start: Vector, ray: Vector) -> tuple[jax.Array, Vector]:
    """Finds where a ray enters a box around the origin.

    Args:
      size: half of each edge. Shape `[3]`.
      start: of the ray.
      ray: its direction, a unit vector.

    Returns:
      The distance and the unit normal there, as `capsule` does.
    """
    slope = tuple(jnp.where(jnp.abs(r) < 1e-9, 1e-9, r) for r in ray)
    near = tuple((-jnp.sign(r) * size[i] - start[i]) / r for i, r in enumerate(slope))
    far = tuple((jnp.sign(r) * size[i] - start[i]) / r for i, r in enumerate(slope))
    distance = jnp.maximum(jnp.maximum(near[0], near[1]), near[2])
    leaves = jnp.minimum(jnp.minimum(far[0], far[1]), far[2])
    normal = tuple(
        jnp.where(n == distance, -jnp.sign(r), 0.0)
        for n, r in zip(near, slope, strict=True)
    )
    hit = (distance <= leaves) & (distance > 0)
    return jnp.where(hit, distance, jnp.inf), normal
