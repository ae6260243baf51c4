"""Renders frames of a rollout."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from bgpbt.viz.render.camera import camera_rays, smooth_path
from bgpbt.viz.render.geoms import place_geoms
from bgpbt.viz.render.ray_caster import radiance
from bgpbt.viz.render.scene import Scene

GAMMA = 2.2


def render_frames(
    scene: Scene,
    position: np.ndarray,
    rotation: np.ndarray,
    *,
    width: int = 320,
    height: int = 240,
) -> np.ndarray:
    """Renders moments of a rollout.

    The camera follows link 0 across the floor but keeps its height, so that jumps and
    falls can be seen. It compiles once for each scene and frame size, however many
    frames there are.

    Args:
      scene: what is rendered.
      position: of the links in the world (`pipeline_state.x.pos`). Shape `[T, L, 3]`.
      rotation: of the links in the world, unit quaternions. Shape `[T, L, 4]`.
      width: of a frame, in pixels.
      height: of a frame, in pixels.

    Returns:
      The frames. Shape `[T, height, width, 3]`, uint8.

    Raises:
      ValueError: the shapes do not fit, or values are not finite.
    """
    position = np.asarray(position, np.float32)
    rotation = np.asarray(rotation, np.float32)
    _check_states(scene, position, rotation)
    targets = smooth_path(position[:, 0, :2], max_step=scene.distance / 4)
    kinds = tuple(scene.kind.tolist())
    render = functools.partial(
        render_frame, kinds, width, height, scene._replace(kind=np.zeros(0))
    )
    frames = [
        render(*moment) for moment in zip(position, rotation, targets, strict=True)
    ]
    if not frames:
        return np.zeros((0, height, width, 3), np.uint8)
    return np.stack([np.asarray(frame) for frame in frames])


def _check_states(scene: Scene, position: np.ndarray, rotation: np.ndarray) -> None:
    of_positions = position.ndim == 3 and position.shape[2] == 3
    if not of_positions or rotation.shape != (*position.shape[:2], 4):
        raise ValueError(
            f"expected [T, L, 3] and [T, L, 4], got {position.shape}"
            f" and {rotation.shape}"
        )
    links = scene.link.max(initial=-1) + 1
    if links > position.shape[1]:
        raise ValueError(
            f"the scene has {links} links, the states have {position.shape[1]}"
        )
    if not (np.isfinite(position).all() and np.isfinite(rotation).all()):
        raise ValueError("the states are not finite: the simulation has diverged")


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def render_frame(
    kinds: tuple[int, ...],
    width: int,
    height: int,
    scene: Scene,
    position: jax.Array,
    rotation: jax.Array,
    target: jax.Array,
) -> jax.Array:
    """Renders one frame.

    It casts rays at twice the resolution, and averages them as light, before the gamma
    curve.

    Args:
      kinds: of the scene, which is compiled in.
      width: in pixels.
      height: in pixels.
      scene: without its kinds.
      position: of the links. Shape `[L, 3]`.
      rotation: of the links, unit quaternions. Shape `[L, 4]`.
      target: what the camera looks at, on the floor plan. Shape `[2]`.

    Returns:
      Shape `[height, width, 3]`, uint8.
    """
    eye, ray = camera_rays(scene, target, width, height)
    colour = radiance(kinds, place_geoms(scene, position, rotation), scene, eye, ray)
    light = jnp.stack(colour).reshape(3, height, 2, width, 2).mean((2, 4))
    pixels = 255 * jnp.clip(light, 0, 1) ** (1 / GAMMA) + 0.5
    return pixels.astype(jnp.uint8).transpose(1, 2, 0)
