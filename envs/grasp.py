"""A claw that carries an object to targets, as Brax once had it (`grasp`).

A palm with four fingers hangs over an object, which is nearly a ball (Freeman et al.,
2021). The model is ours, and its physics are today's Brax's, so returns cannot be
compared with old ones. Where these have no counterpart:

- Brax's palm was put where it had to be. Ours slides on three joints, and its actuators
  give it the speed that would get it there, so it lags by some hundredths of a second.
- Fingers were driven to an angle by their joints; they are by position actuators of the
  same strength. The action has one number a driven axis, not one for each limit.
- Which fingers touch the object is told by distances.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from brax import math
from brax.base import Motion, State, Transform

from .capsules import Capsules, above_ground, capsules_of, distance_from
from .targets import RobotWithTarget, bodies_from, draw_target, towards, way_from

Array = jax.Array
RADIUS = 1.1  # of the target: an object nearer than this is there
SPREAD = 10.0  # its distance from the origin is RADIUS + SPREAD * u
HIGHEST = 8.0  # its height is HIGHEST * u
METRICS = (
    "hits",
    "moving_to_target",
    "moving_to_object",
    "close_to_object",
    "touching_object",
)
# Indices among the bodies. The first, the carriage, is a part of the palm's guide, and
# nobody sees it.
PALM, OBJECT = 1, 14
FINGERS = np.arange(2, 14).reshape(4, 3)
OBJECT_RADIUS = 1.0
SHARE = 0.15  # of the palm's way to its goal, a step
LONGEST = 2.0  # of the palm's way counts no more
TOUCH = 0.02  # capsules this near touch
ON_GROUND, ON_OBJECT = 1, 2  # bits of `contype`: what a capsule collides with


class Shapes(NamedTuple):
    """What may touch."""

    hand: Capsules  # stopped by the object
    grounded: Capsules  # stopped by the ground


def make(backend: str) -> "Grasp":
    """Builds the environment on a physics pipeline."""
    return Grasp(backend)


class Grasp(RobotWithTarget):
    """Observation `[132]`, action `[19]`, -1 to 1, each scaled to its joint's range.

    The first three are where the palm is to go, the others angles: of each finger
    inwards and sideways at the palm, then inwards at its middle and its end.
    """

    metrics = METRICS

    def __init__(self, backend: str):
        super().__init__("grasp", backend=backend, n_frames=8)
        model = self.sys.mj_model
        joints = model.actuator_trnid[:, 0]
        self._low, self._high = jnp.asarray(model.jnt_range[joints], jnp.float32).T
        self._shapes = Shapes(
            capsules_of(model, ON_OBJECT), capsules_of(model, ON_GROUND)
        )

    def draw(self, key: Array) -> Array:
        return draw(key)

    def rewards(
        self, before: State, now: State, target: Array
    ) -> tuple[Array, dict[str, Array]]:
        return rewards(now.x, now.xd, target, self._shapes, self.dt)

    def observe(self, now: State, target: Array, hit: Array) -> Array:
        return observe(now.x, now.xd, target, hit, self._shapes)

    def controls(self, before: State, action: Array) -> Array:
        """Speeds of the palm, and angles of the fingers."""
        wanted = scaled(action, self._low, self._high)
        speed = palm_speed(before.q[:3], wanted[:3], self.dt)
        return jnp.concatenate([speed, wanted[3:]])


def draw(key: Array) -> Array:
    """A new target, shape `[3]`."""
    return draw_target(key, nearest=RADIUS, spread=SPREAD, low=0.0, high=HIGHEST)


def scaled(action: Array, low: Array, high: Array) -> Array:
    """Scales numbers from [-1, 1] to ranges."""
    return low + (jnp.clip(action, -1, 1) + 1) / 2 * (high - low)


def palm_speed(place: Array, goal: Array, dt: Array) -> Array:
    """The speed that takes the palm a share of the way to its goal. Shape `[3]`.

    Args:
      place: of the palm, shape `[3]`.
      goal: where it is to go, shape `[3]`.
      dt: seconds of a step.
    """
    to_goal, way = towards(place, goal)
    return SHARE * jnp.minimum(way, LONGEST) * to_goal / dt


def rewards(
    x: Transform, xd: Motion, target: Array, shapes: Shapes, dt: Array
) -> tuple[Array, dict[str, Array]]:
    """The reward of a step, and its terms.

    Args:
      x: poses of the 15 bodies after the step.
      xd: their velocities.
      target: where the target was in the step, shape `[3]`.
      shapes: what may touch.
      dt: seconds of the step.
    """
    to_object, _ = towards(x.pos[PALM], x.pos[OBJECT])
    to_target, distance = towards(x.pos[OBJECT], target)
    hit = (distance < RADIUS).astype(distance.dtype)
    moving_to_target = 1.5 * dt * jnp.dot(xd.vel[OBJECT], to_target)
    moving_to_object = 0.1 * dt * jnp.dot(xd.vel[PALM], to_object)
    apart = jnp.linalg.norm((x.pos[OBJECT] - x.pos[PALM])[:2])
    close = 0.1 * dt / (1 + apart)
    fingers = touched(x, shapes.hand)[FINGERS].max(axis=1).sum()
    touching = 0.2 * dt * fingers
    reward = 5 * hit + moving_to_target + moving_to_object + close + touching
    terms = (hit, moving_to_target, moving_to_object, close, touching)
    return reward, dict(zip(METRICS, terms, strict=True))


def observe(
    x: Transform, xd: Motion, target: Array, hit: Array, shapes: Shapes
) -> Array:
    """What the palm sees: the ways to object and target, all bodies, what touches.

    Args:
      x: poses of the 15 bodies.
      xd: their velocities.
      target: shape `[3]`.
      hit: 1 where the object reached the target in this step, shape `[]`.
      shapes: what may touch.
    """
    palm, thing = x.take(PALM), x.pos[OBJECT]
    speed, speed_of_object = xd.vel[PALM], xd.vel[OBJECT]
    to_object, _ = towards(palm.pos, thing)
    to_target, distance = towards(thing, target)
    seen = np.arange(PALM, OBJECT + 1)
    return jnp.concatenate(
        [
            way_from(palm, thing),
            way_from(palm, target),
            bodies_from(x.take(seen), xd.take(seen), 0, target[None]),
            thing - palm.pos,
            speed,
            jnp.dot(speed, to_object)[None],
            distance[None],
            math.inv_rotate(to_target, palm.rot),
            jnp.dot(speed_of_object, to_target)[None],
            _touches(x, hit, shapes),
        ]
    )


def _touches(x: Transform, hit: Array, shapes: Shapes) -> Array:
    """The flags of the bodies seen, the ground and the target. Shape `[16]`."""
    flags = touched(x, shapes.hand)
    flags = flags.at[OBJECT].set(flags.max())
    on_ground = (above_ground(shapes.grounded, x) < TOUCH).astype(float)
    flags = flags.at[shapes.grounded.body].max(on_ground)
    return jnp.concatenate([flags[PALM:], on_ground.max()[None], hit[None]])


def touched(x: Transform, hand: Capsules) -> Array:
    """Which bodies touch the object, 0 or 1. Shape `[15]`.

    The object counts as a ball: it is longer than one by 2 centimetres.

    Args:
      x: poses of the 15 bodies.
      hand: the hand's capsules.
    """
    gap = distance_from(hand, x, x.pos[OBJECT]) - OBJECT_RADIUS
    return jnp.zeros(len(x.pos)).at[hand.body].max((gap < TOUCH).astype(float))
