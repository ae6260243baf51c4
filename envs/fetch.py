"""A dog that runs to targets, as Brax once had it (`fetch`, Freeman et al., 2021).

Ten hinges are driven. The model is ours, and its physics are today's Brax's, so returns
cannot be compared with old ones.
"""

import jax
import jax.numpy as jnp
import numpy as np
from brax.base import Motion, State, Transform

from .targets import (
    RobotWithTarget,
    axis,
    draw_target,
    lowest_of_boxes,
    seen_from,
    towards,
    way_from,
)

Array = jax.Array
RADIUS = 2.0  # of the target: nearer than this it is reached
HEIGHT = 1.0  # of the target
SPREAD = 15.0  # its distance from the origin is RADIUS + SPREAD * u
WEIGHT = 0.1  # of movement, posture and height
METRICS = ("hits", "weighted_hits", "moving_to_target", "torso_up", "torso_height")
TORSO = 0  # index among the bodies
LOWER_LEGS = np.array([3, 5, 8, 10])
LOWER_LEG = (0.25, 0.125, 0.5)  # half of its edges
TOUCH = 0.02  # a leg this near touches the ground


def make(backend: str) -> "Fetch":
    """Builds the environment on a physics pipeline."""
    return Fetch(backend)


class Fetch(RobotWithTarget):
    """Observation `[101]`, action `[10]`: torques of the joints, -1 to 1."""

    metrics = METRICS

    def __init__(self, backend: str):
        super().__init__("fetch", backend=backend, n_frames=4)

    def draw(self, key: Array) -> Array:
        return draw(key)

    def rewards(
        self, before: State, now: State, target: Array
    ) -> tuple[Array, dict[str, Array]]:
        return rewards(before.x, now.x, target, self.dt)

    def observe(self, now: State, target: Array, hit: Array) -> Array:
        return observe(now.x, now.xd, target, hit)


def draw(key: Array) -> Array:
    """A new target, shape `[3]`."""
    return draw_target(key, nearest=RADIUS, spread=SPREAD, low=HEIGHT, high=HEIGHT)


def rewards(
    before: Transform, now: Transform, target: Array, dt: Array
) -> tuple[Array, dict[str, Array]]:
    """The reward of a step, and its terms.

    Args:
      before: poses of the bodies before the step.
      now: poses after it.
      target: where the target was in the step, shape `[3]`.
      dt: seconds of the step.
    """
    torso, rotation = now.pos[TORSO], now.rot[TORSO]
    to_target, _ = towards(before.pos[TORSO], target)
    moving = WEIGHT * jnp.dot(torso - before.pos[TORSO], to_target)
    up = WEIGHT * dt * axis(rotation, 2)[2]
    height = WEIGHT * dt * torso[2]
    to_target, distance = towards(torso, target)
    hit = (distance < RADIUS).astype(distance.dtype)
    weighted = hit * jnp.dot(axis(rotation, 0), to_target)
    terms = (hit, weighted, moving, up, height)
    return weighted + moving + up + height, dict(zip(METRICS, terms, strict=True))


def observe(x: Transform, xd: Motion, target: Array, hit: Array) -> Array:
    """What the dog sees: the way to the target, all bodies, what touches.

    Args:
      x: poses of the 11 bodies.
      xd: their velocities.
      target: shape `[3]`.
      hit: 1 where the target was reached in this step, shape `[]`.
    """
    on_ground = lowest_of_boxes(x.take(LOWER_LEGS), jnp.array(LOWER_LEG)) < TOUCH
    # The flags of the bodies, the ground and the target.
    touches = jnp.zeros(len(x.pos) + 2)
    touches = touches.at[LOWER_LEGS].set(on_ground.astype(float))
    touches = touches.at[-2].set(jnp.any(on_ground).astype(float))
    touches = touches.at[-1].set(hit)
    way = way_from(x.take(TORSO), target)
    return jnp.concatenate([way, seen_from(x, xd, TORSO, target[None]), touches])
