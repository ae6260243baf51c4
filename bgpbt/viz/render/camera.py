"""Where the camera stands, and the rays that it sees along."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from bgpbt.viz.render.primitives import Vector, dot
from bgpbt.viz.render.scene import FIELD_OF_VIEW, Scene

# Radians. Brax robots run along x, so the camera is to their right and a little behind.
AZIMUTH = -2.0
SMOOTHING = 6  # frames


def smooth_path(path: np.ndarray, max_step: float) -> np.ndarray:
    """Smooths a path over the floor with a Gaussian.

    Args:
      path: one point a frame. Shape `[T, 2]`, metres.
      max_step: a longer step is a reset of the episode, over which nothing is smoothed.

    Returns:
      The smooth path. Shape `[T, 2]`, float32.
    """
    steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
    resets = np.flatnonzero(steps > max_step) + 1
    reach = 3 * SMOOTHING
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / SMOOTHING) ** 2)
    kernel = kernel / kernel.sum()
    smooth = [np.zeros((0, 2))]
    for part in np.split(path, resets) if len(path) else ():
        padded = np.pad(part, ((reach, reach), (0, 0)), mode="edge")
        axes = [np.convolve(axis, kernel, "valid") for axis in padded.T]
        smooth.append(np.stack(axes, axis=1))
    return np.concatenate(smooth).astype(np.float32)


def camera_rays(
    scene: Scene, target: jax.Array, width: int, height: int
) -> tuple[Vector, Vector]:
    """Sends four rays through each pixel, two along each side.

    Args:
      scene: says how the camera is placed around its target.
      target: what it looks at, on the floor plan. Shape `[2]`.
      width: of the frame, in pixels.
      height: of the frame, in pixels.

    Returns:
      The eye, three scalars, and the unit rays, three arrays `[2 height, 2 width]`.
    """
    eye, forward, right, up = _frame_of_reference(scene, target)
    scale = math.tan(FIELD_OF_VIEW / 2) / height
    rows = (height - 0.5 - jnp.arange(2 * height, dtype=jnp.float32))[:, None] * scale
    columns = (jnp.arange(2 * width, dtype=jnp.float32) + 0.5 - width)[None, :] * scale
    ray = tuple(forward[i] + columns * right[i] + rows * up[i] for i in range(3))
    length = jnp.sqrt(dot(ray, ray))
    return eye, tuple(part / length for part in ray)


def _frame_of_reference(
    scene: Scene, target: jax.Array
) -> tuple[Vector, Vector, Vector, Vector]:
    """Eye of the camera and its unit vectors forward, right and up."""
    level = jnp.cos(scene.elevation)
    lift = jnp.sin(scene.elevation)
    back = (level * math.cos(AZIMUTH), level * math.sin(AZIMUTH), lift)
    looked_at = (target[0], target[1], scene.focus)
    eye = tuple(
        centre + scene.distance * b for centre, b in zip(looked_at, back, strict=True)
    )
    right = (-math.sin(AZIMUTH), math.cos(AZIMUTH), 0.0)
    up = (-lift * math.cos(AZIMUTH), -lift * math.sin(AZIMUTH), level)
    return eye, tuple(-b for b in back), right, up
