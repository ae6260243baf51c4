"""An arm that touches targets, as Brax once had it (`ur5e`, Freeman et al., 2021).

The robot is the UR5e of Universal Robots with its own masses and inertias; Brax's had a
mass of 1 everywhere. `spring` and `positional` take every inertia for 1 even so. The
physics are today's Brax's, so returns cannot be compared with old ones. What touches a
target is the flange at the arm's end. The ground stops the forearm and the wrists, and
nothing else collides; flags say by distances who touches it.
"""

import jax
import jax.numpy as jnp
from brax.base import Motion, State, Transform

from .capsules import Capsules, above_ground, capsules_of
from .targets import RobotWithTarget, draw_target, seen_from, towards, way_from

Array = jax.Array
RADIUS = 0.02  # of the target: nearer than this it is reached
HEIGHT = 0.5  # of the target
SPREAD = 0.5  # its distance from the arm's vertical axis is RADIUS + SPREAD * u
WEIGHT = 0.1  # of movement
METRICS = ("hits", "moving_to_target")
FLANGE = 5  # index among the bodies
ON_GROUND = 1  # bit of `contype`: collides with the ground
TOUCH = 0.005  # a link this near touches the ground


def make(backend: str) -> "Ur5e":
    """Builds the environment on a physics pipeline."""
    return Ur5e(backend)


class Ur5e(RobotWithTarget):
    """Observation `[66]`, action `[6]`: torques of the joints, -1 to 1."""

    metrics = METRICS

    def __init__(self, backend: str):
        super().__init__("ur5e", backend=backend, n_frames=8)
        self._capsules = capsules_of(self.sys.mj_model, ON_GROUND)

    def draw(self, key: Array) -> Array:
        return draw(key)

    def rewards(
        self, before: State, now: State, target: Array
    ) -> tuple[Array, dict[str, Array]]:
        return rewards(before.x, now.x, target)

    def observe(self, now: State, target: Array, hit: Array) -> Array:
        return observe(now.x, now.xd, target, hit, self._capsules)


def draw(key: Array) -> Array:
    """A new target, shape `[3]`."""
    return draw_target(key, nearest=RADIUS, spread=SPREAD, low=HEIGHT, high=HEIGHT)


def rewards(
    before: Transform, now: Transform, target: Array
) -> tuple[Array, dict[str, Array]]:
    """The reward of a step, and its terms.

    Args:
      before: poses of the bodies before the step.
      now: poses after it.
      target: where the target was in the step, shape `[3]`.
    """
    to_target, _ = towards(before.pos[FLANGE], target)
    moving = WEIGHT * jnp.dot(now.pos[FLANGE] - before.pos[FLANGE], to_target)
    _, distance = towards(now.pos[FLANGE], target)
    hit = (distance < RADIUS).astype(distance.dtype)
    return hit + moving, dict(zip(METRICS, (hit, moving), strict=True))


def observe(
    x: Transform, xd: Motion, target: Array, hit: Array, capsules: Capsules
) -> Array:
    """What the flange sees: the way to the target, all bodies, what touches.

    Args:
      x: poses of the 6 bodies.
      xd: their velocities.
      target: shape `[3]`.
      hit: 1 where the target was reached in this step, shape `[]`.
      capsules: those that the ground stops.
    """
    on_ground = (above_ground(capsules, x) < TOUCH).astype(float)
    links = jnp.zeros(len(x.pos)).at[capsules.body].max(on_ground)
    # The flags of the bodies, the ground and the target.
    touches = jnp.concatenate([links, links.max()[None], hit[None]])
    way = way_from(x.take(FLANGE), target)
    return jnp.concatenate([way, seen_from(x, xd, FLANGE, target[None]), touches])
