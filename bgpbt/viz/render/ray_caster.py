"""The colour that a ray sees: its intersection with every geom, in closed form.

The geoms come one after the other, in fused elementwise kernels over all pixels.
Vectors are tuples of three arrays there, see `primitives`.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bgpbt.viz.render.geoms import PlacedGeom
from bgpbt.viz.render.primitives import Vector, box, capsule, dot
from bgpbt.viz.render.scene import BOX, Scene

# All colours are linear RGB.
FLOOR = ((0.22, 0.27, 0.33), (0.44, 0.50, 0.56))
HORIZON = (0.72, 0.82, 0.92)
ZENITH = (0.22, 0.42, 0.75)
SUN = (-0.37, -0.37, 0.852)  # unit vector towards it
AMBIENT = 0.3  # share of the light which shadows keep


class Hit(NamedTuple):
    """What each ray has hit first so far."""

    distance: jax.Array  # inf: nothing
    normal: Vector
    colour: Vector


def radiance(
    kinds: tuple[int, ...], geoms: PlacedGeom, scene: Scene, eye: Vector, ray: Vector
) -> Vector:
    """Finds what each ray sees.

    Args:
      kinds: of the geoms, each a mujoco.mjtGeom.
      geoms: in the world; every field has the axis `G` in front.
      scene: gives the floor and the scale of the haze.
      eye: where the rays begin, three scalars.
      ray: their directions, unit vectors; three arrays of the same shape.

    Returns:
      Linear RGB, three arrays of the shape of the rays.
    """

    def nearer(primitive, hit: Hit, geom: PlacedGeom) -> Hit:
        distance, normal = _intersect(primitive, geom, eye, ray)
        candidate = Hit(distance, normal, tuple(geom.colour))
        closer = distance < hit.distance
        return jax.tree.map(
            lambda new, old: jnp.where(closer, new, old), candidate, hit
        )

    hit = _fold(nearer, _floor(scene, eye, ray), kinds, geoms)
    light = _light(kinds, geoms, scene, eye, ray, hit)
    # Haze begins behind the robot, so that its colours and shadow stay strong.
    beyond = jnp.maximum(hit.distance / scene.distance - 1.5, 0)
    haze = 1 - jnp.exp(-((beyond / 3.5) ** 2))
    height = jnp.clip(2.5 * ray[2], 0, 1)
    sky = tuple(h + height * (z - h) for h, z in zip(HORIZON, ZENITH, strict=True))
    return tuple(
        light * c * (1 - haze) + haze * s for c, s in zip(hit.colour, sky, strict=True)
    )


def _light(
    kinds: tuple[int, ...],
    geoms: PlacedGeom,
    scene: Scene,
    eye: Vector,
    ray: Vector,
    hit: Hit,
) -> jax.Array:
    """How much light falls on what each ray has hit: of the sky, and of the sun."""
    # A shadow ray starts a little outside its body, which would otherwise shade itself
    # here and there.
    reached = jnp.minimum(hit.distance, 1e3 * scene.distance)
    margin = 3e-4 * scene.distance
    point = tuple(
        e + reached * r + margin * n
        for e, r, n in zip(eye, ray, hit.normal, strict=True)
    )

    def not_shaded(primitive, lit: jax.Array, geom: PlacedGeom) -> jax.Array:
        return lit & jnp.isinf(_intersect(primitive, geom, point, SUN)[0])

    slant = dot(hit.normal, SUN)
    lit = _fold(not_shaded, slant > 0, kinds, geoms)
    sky = AMBIENT * (0.75 + 0.25 * hit.normal[2])
    return sky + (1 - AMBIENT) * jnp.where(lit, slant, 0.0)


def _fold(step, carry, kinds: tuple[int, ...], geoms: PlacedGeom):
    """Folds `step(primitive, carry, geom)` over all geoms.

    A loop inside XLA: unrolled, the kernel takes minutes to compile, as fusion repeats
    what each geom compares with.
    """
    is_box = np.equal(kinds, BOX)
    for primitive, chosen in ((capsule, ~is_box), (box, is_box)):
        if not chosen.any():
            continue
        index = np.flatnonzero(chosen)
        of_primitive = PlacedGeom(*(leaf[index] for leaf in geoms))
        body = functools.partial(_scan_step, functools.partial(step, primitive))
        carry, _ = jax.lax.scan(body, carry, of_primitive)
    return carry


def _scan_step(step, carry, geom: PlacedGeom):
    return step(carry, geom), None


def _floor(scene: Scene, eye: Vector, ray: Vector) -> Hit:
    """Where each ray hits the floor, in the colour of the check there."""
    downwards = jnp.minimum(ray[2], -1e-6)
    distance = jnp.where(ray[2] < -1e-6, (scene.floor - eye[2]) / downwards, jnp.inf)
    edge = scene.distance / 7
    reached = jnp.minimum(distance, 1e3 * scene.distance)
    odd = sum(jnp.floor((eye[i] + reached * ray[i]) / edge) for i in range(2)) % 2
    colour = tuple(
        dark + odd * (pale - dark) for dark, pale in zip(*FLOOR, strict=True)
    )
    normal = tuple(jnp.full_like(distance, n) for n in (0, 0, 1))
    return Hit(distance, normal, colour)


def _intersect(
    primitive, geom: PlacedGeom, origin: Vector, ray: Vector
) -> tuple[jax.Array, Vector]:
    """What `primitive` answers, but for a geom anywhere in the world."""
    offset = tuple(o - c for o, c in zip(origin, geom.centre, strict=True))
    columns = [geom.matrix[:, i] for i in range(3)]
    start = tuple(dot(column, offset) for column in columns)
    heading = tuple(dot(column, ray) for column in columns)
    distance, normal = primitive(geom.size, start, heading)
    return distance, tuple(dot(row, normal) for row in geom.matrix)
