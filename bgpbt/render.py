"""Moving pictures of a Brax rollout from a small analytic ray caster in JAX: no OpenGL, no ffmpeg, no display.

Every ray meets every geom in closed form, one geom after the other, in fused elementwise kernels over all pixels.
Vectors there are tuples of three arrays (x, y, z): a trailing axis of length 3 would keep XLA from vectorising.
"""

import functools
import io
import math
import os
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from PIL import Image

KINDS = ("SPHERE", "CAPSULE", "BOX", "PLANE")
SPHERE, CAPSULE, BOX, PLANE = (int(getattr(mujoco.mjtGeom, f"mjGEOM_{name}")) for name in KINDS)
# All colours are linear RGB. One for each limb: neighbours differ in lightness as well as in hue.
LIMBS = ((0.8, 0.2, 0.05), (0.0, 0.3, 0.5), (0.8, 0.5, 0.0), (0.0, 0.4, 0.3), (0.4, 0.1, 0.4), (0.2, 0.5, 0.7))
STATIC = (0.42, 0.42, 0.45)
FLOOR, HORIZON, ZENITH = ((0.22, 0.27, 0.33), (0.44, 0.50, 0.56)), (0.72, 0.82, 0.92), (0.22, 0.42, 0.75)
SUN = (-0.37, -0.37, 0.852)  # unit vector towards it
AMBIENT = 0.3  # share of the light which shadows keep
FIELD_OF_VIEW, AZIMUTH = 0.7, -2.0  # radians; Brax robots run along x, so this is to their right and a little behind
SHORTEST_FRAME = 0.02  # seconds

Vector = tuple[jax.Array, jax.Array, jax.Array]


class Scene(NamedTuple):
    """What never changes in a rollout, in metres and radians; G geoms, each fixed to a link (-1: to the world)."""

    kind: np.ndarray  # [G] int32, a mujoco.mjtGeom: sphere, capsule or box
    size: np.ndarray  # [G, 3] float32: (radius, 0, 0), (radius, half length along z, 0) or the half edges
    link: np.ndarray  # [G] int32
    position: np.ndarray  # [G, 3] float32, in the link's frame
    rotation: np.ndarray  # [G, 4] float32 unit quaternion (w, x, y, z), in the link's frame
    colour: np.ndarray  # [G, 3] float32, linear RGB
    floor: float  # height of the checkered floor
    focus: float  # height that the camera looks at
    elevation: float  # angle of the camera above the horizon
    distance: float  # from the camera to what it looks at; the floor's checks and the haze scale with it


def scene(sys) -> Scene:
    """Read the visible geoms of a `brax.base.System` and choose a camera that suits the extent of its bodies.

    A model without a plane gets a floor below its reach. Raises ValueError if no body can be seen, and for a geom that
    cannot be drawn: a mesh, an ellipsoid, a cylinder, or a plane that is tilted or belongs to a body.
    """
    model = sys.mj_model
    material = np.where(model.geom_matid >= 0, model.mat_rgba[:, 3][model.geom_matid], 1) if model.nmat else 1
    visible = (model.geom_rgba[:, 3] * material > 0) & (model.geom_group < 3)
    planes = np.flatnonzero(visible & (model.geom_type == PLANE))
    solid = np.flatnonzero(visible & (model.geom_type != PLANE))
    tilted = (model.geom_bodyid[planes] > 0) | np.any(model.geom_quat[planes, 1:3], axis=1)
    for geom in (*solid[~np.isin(model.geom_type[solid], (SPHERE, CAPSULE, BOX))], *planes[tilted]):
        raise ValueError(f"cannot draw geom {model.geom(geom).name!r}: only spheres, capsules, boxes and a level floor")
    if not model.geom_bodyid[solid].any():
        raise ValueError("no body has a visible geom")
    data = mujoco.MjData(model)
    data.qpos[:] = np.asarray(sys.init_q)
    mujoco.mj_kinematics(model, data)
    return Scene(
        kind=model.geom_type[solid].astype(np.int32),
        size=model.geom_size[solid].astype(np.float32),
        link=model.geom_bodyid[solid].astype(np.int32) - 1,
        position=model.geom_pos[solid].astype(np.float32),
        rotation=model.geom_quat[solid].astype(np.float32),
        colour=_colours(sys.link_parents)[model.geom_bodyid[solid]],
        **_framing(model, data, solid[model.geom_bodyid[solid] > 0], planes),
    )


def _framing(model, data, moving: np.ndarray, planes: np.ndarray) -> dict[str, float]:
    """The floor and the camera of a scene, such that geoms `moving` in the pose of `data` fit into a 4:3 picture."""
    place, root = data.geom_xpos[moving], data.xpos[1]
    bound = np.sum(np.abs(data.geom_xmat[moving].reshape(-1, 3, 3)) * model.geom_aabb[moving, None, 3:], axis=2)
    wide = np.linalg.norm((np.abs(place - root) + bound)[:, :2], axis=1).max()
    low, high = (place - bound)[:, 2].min(), (place + bound)[:, 2].max()
    floor = model.geom_pos[planes, 2].max() if len(planes) else root[2] - 1.1 * max(high - low, wide)
    # Robots drop from their first pose, and their shadows tell how high they are: look a little towards the floor.
    low = (low + floor) / 2
    tall = (high - low) / 2
    # A flat model, such as an arm on a table, is best seen from above.
    elevation = np.interp(tall / wide, (0.1, 0.3, 1.5), (1.0, 0.45, 0.24))
    fit = max(tall * math.cos(elevation) + wide * math.sin(elevation), 0.75 * wide)
    distance = 1.1 * fit / math.tan(FIELD_OF_VIEW / 2) + wide
    camera = {"floor": floor, "focus": (high + low) / 2, "elevation": elevation, "distance": distance}
    return {name: float(value) for name, value in camera.items()}


def _colours(parents) -> np.ndarray:
    """Colours [1 + L, 3] of the world and the links: a hue for each unbranched chain, every second link of it darker.

    Brax paints all its robots in one brown, in which left and right legs cannot be told apart.
    """
    limb, shade, colours = [], [], [STATIC]
    for parent in parents:
        chained = parent >= 0 and list(parents).count(parent) == 1
        limb.append(limb[parent] if chained else max(limb, default=-1) + 1)
        shade.append(not shade[parent] if chained else False)
        colours.append(np.multiply(LIMBS[limb[-1] % len(LIMBS)], 0.5 if shade[-1] else 1.0))
    return np.asarray(colours, np.float32)


def render_frames(scene: Scene, position, rotation, *, width: int = 320, height: int = 240) -> np.ndarray:
    """Draw T moments of a rollout as uint8 [T, height, width, 3].

    `position` [T, L, 3] and `rotation` [T, L, 4] are the world transforms of the links (`pipeline_state.x`). The camera
    follows link 0 across the floor but keeps its height, so that jumps and falls can be seen. Compiles once for each
    scene and picture size, however many frames. Raises ValueError for misfitting shapes and for values not finite.
    """
    position, rotation = np.asarray(position, np.float32), np.asarray(rotation, np.float32)
    if position.ndim != 3 or position.shape[2] != 3 or rotation.shape != (*position.shape[:2], 4):
        raise ValueError(f"expected [T, L, 3] and [T, L, 4], got {position.shape} and {rotation.shape}")
    if scene.link.max(initial=-1) >= position.shape[1]:
        raise ValueError(f"the scene has {scene.link.max() + 1} links, the states have {position.shape[1]}")
    if not (np.isfinite(position).all() and np.isfinite(rotation).all()):
        raise ValueError("the states are not finite: the simulation has diverged")
    targets = _track(position[:, 0, :2], cut=scene.distance / 4)
    draw = functools.partial(_frame, tuple(scene.kind.tolist()), width, height, scene._replace(kind=None))
    frames = [draw(*moment) for moment in zip(position, rotation, targets, strict=True)]
    return np.stack([np.asarray(frame) for frame in frames]) if frames else np.zeros((0, height, width, 3), np.uint8)


def _track(path: np.ndarray, cut: float, width: int = 6) -> np.ndarray:
    """Smooth a path [T, 2] with a Gaussian of `width` frames, but not over resets: jumps longer than `cut`."""
    jumps = np.flatnonzero(np.linalg.norm(np.diff(path, axis=0), axis=1) > cut) + 1
    kernel = np.exp(-0.5 * (np.arange(-3 * width, 3 * width + 1) / width) ** 2)
    smooth = [np.zeros((0, 2))]
    for part in np.split(path, jumps) if len(path) else ():
        padded = np.pad(part, ((3 * width, 3 * width), (0, 0)), mode="edge")
        smooth.append(np.stack([np.convolve(axis, kernel / kernel.sum(), "valid") for axis in padded.T], axis=1))
    return np.concatenate(smooth).astype(np.float32)


def save_gif(frames: np.ndarray, path: str | Path, *, seconds_per_frame: float) -> None:
    """Write uint8 frames [T, H, W, 3] as an endlessly looping GIF with one palette, so that still parts do not flicker.

    A GIF counts hundredths of a second: the rounding of each frame is made good by the next ones. Identical neighbours
    are stored once, for longer. Raises ValueError without frames, or for frames shorter than 0.02 s, which viewers
    would slow down to 0.1 s: pass every second one instead. The file appears whole or not at all.
    """
    frames = np.asarray(frames)
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3 or not len(frames):
        raise ValueError(f"expected uint8 frames [T, H, W, 3], got {frames.dtype} {frames.shape}")
    if seconds_per_frame < SHORTEST_FRAME - 1e-6:
        raise ValueError(f"{seconds_per_frame} s is too short for a GIF frame: the least is {SHORTEST_FRAME} s")
    # Floor and sky would leave hardly a colour to a small robot, if each colour counted as often as it occurs.
    colours, counts = np.unique(frames[:: math.ceil(len(frames) / 12)].reshape(-1, 3), axis=0, return_counts=True)
    sample = np.repeat(colours, np.ceil(np.sqrt(counts)).astype(int), axis=0)
    palette = Image.fromarray(sample[:, None]).quantize(255, Image.Quantize.MEDIANCUT, kmeans=3)
    images = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    ends = np.round(np.arange(len(frames) + 1) * seconds_per_frame * 100).astype(int)
    encoded, durations = io.BytesIO(), (10 * np.diff(ends)).tolist()
    images[0].save(encoded, "GIF", save_all=True, append_images=images[1:], duration=durations, loop=0)
    partial = Path(path).with_name(f".{Path(path).name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(encoded.getvalue())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _frame(kinds, width: int, height: int, scene: Scene, position, rotation, target) -> jax.Array:
    """One picture, uint8 [height, width, 3]: rays at twice the resolution, averaged as light before the gamma curve."""
    eye, forward, right, up = _camera(scene, target)
    scale = math.tan(FIELD_OF_VIEW / 2) / height
    rows = (height - 0.5 - jnp.arange(2 * height, dtype=jnp.float32))[:, None] * scale
    columns = (jnp.arange(2 * width, dtype=jnp.float32) + 0.5 - width)[None, :] * scale
    ray = tuple(forward[i] + columns * right[i] + rows * up[i] for i in range(3))
    length = jnp.sqrt(_dot(ray, ray))
    ray = tuple(part / length for part in ray)
    colour = _radiance(kinds, _place(scene, position, rotation), scene, eye, ray)
    blocks = jnp.stack(colour).reshape(3, height, 2, width, 2).mean((2, 4))
    return (255 * jnp.clip(blocks, 0, 1) ** (1 / 2.2) + 0.5).astype(jnp.uint8).transpose(1, 2, 0)


def _place(scene: Scene, position, rotation) -> tuple[jax.Array, ...]:
    """Each geom in the world: size [G, 3], centre [G, 3], rotation matrix [G, 3, 3] and colour [G, 3]."""
    # Row -1 is the world itself, where the link index -1 finds it.
    origin = jnp.concatenate([position, jnp.zeros((1, 3), jnp.float32)])[scene.link]
    turn = jnp.concatenate([_matrix(rotation), jnp.eye(3, dtype=jnp.float32)[None]])[scene.link]
    centre = origin + jnp.sum(turn * scene.position[:, None, :], -1)
    matrix = jnp.sum(turn[:, :, :, None] * _matrix(scene.rotation)[:, None, :, :], 2)
    return scene.size, centre, matrix, scene.colour


def _matrix(quaternion) -> jax.Array:
    """Rotation matrices [..., 3, 3] of unit quaternions [..., 4]."""
    w, x, y, z = jnp.moveaxis(jnp.asarray(quaternion), -1, 0)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return jnp.stack([jnp.stack(row, -1) for row in rows], -2)


def _camera(scene: Scene, target):
    """Eye of the camera that looks at `target` [2] on the floor plan, and its unit vectors forward, right and up."""
    level, lift = jnp.cos(scene.elevation), jnp.sin(scene.elevation)
    back = (level * math.cos(AZIMUTH), level * math.sin(AZIMUTH), lift)
    eye = tuple(place + scene.distance * b for place, b in zip((target[0], target[1], scene.focus), back, strict=True))
    right = (-math.sin(AZIMUTH), math.cos(AZIMUTH), 0.0)
    up = (-lift * math.cos(AZIMUTH), -lift * math.sin(AZIMUTH), level)
    return eye, tuple(-b for b in back), right, up


def _radiance(kinds, shapes, scene: Scene, eye: Vector, ray: Vector) -> Vector:
    """Linear RGB seen from `eye` along the unit `ray`."""

    def approach(primitive, seen, shape):
        distance, facing = _meet(primitive, shape, eye, ray)
        closer = (distance, *facing, *shape[-1])
        return tuple(jnp.where(distance < seen[0], new, old) for new, old in zip(closer, seen, strict=True))

    def shade(primitive, lit, shape):
        return lit & jnp.isinf(_meet(primitive, shape, point, SUN)[0])

    distance, *rest = _each(approach, _floor(scene, eye, ray), kinds, shapes)
    normal, colour = rest[:3], rest[3:]
    # A shadow ray starts a little outside its body, which would otherwise shade itself here and there.
    reached, margin = jnp.minimum(distance, 1e3 * scene.distance), 3e-4 * scene.distance
    point = tuple(e + reached * r + margin * n for e, r, n in zip(eye, ray, normal, strict=True))
    slant = _dot(normal, SUN)
    lit = _each(shade, slant > 0, kinds, shapes)
    light = AMBIENT * (0.75 + 0.25 * normal[2]) + (1 - AMBIENT) * jnp.where(lit, slant, 0.0)
    # Haze begins behind the robot, so that its colours and shadow stay strong.
    haze = 1 - jnp.exp(-((jnp.maximum(distance / scene.distance - 1.5, 0) / 3.5) ** 2))
    height = jnp.clip(2.5 * ray[2], 0, 1)
    sky = tuple(h + height * (z - h) for h, z in zip(HORIZON, ZENITH, strict=True))
    return tuple(light * c * (1 - haze) + haze * s for c, s in zip(colour, sky, strict=True))


def _each(step, carry, kinds, shapes):
    """Fold `step(primitive, carry, shape)` over all shapes.

    A loop inside XLA: unrolled, the kernel takes minutes to compile, as fusion repeats what each geom compares with.
    """
    for primitive, chosen in ((capsule, np.not_equal(kinds, BOX)), (box, np.equal(kinds, BOX))):
        if chosen.any():
            some = jax.tree.map(lambda leaf, chosen=chosen: leaf[np.flatnonzero(chosen)], shapes)
            carry, _ = jax.lax.scan(lambda c, shape, p=primitive: (step(p, c, shape), None), carry, some)
    return carry


def _floor(scene: Scene, eye: Vector, ray: Vector) -> tuple[jax.Array, ...]:
    """Distance to the floor (inf above the horizon), then its normal (3 arrays) and the colour of the check (3)."""
    distance = jnp.where(ray[2] < -1e-6, (scene.floor - eye[2]) / jnp.minimum(ray[2], -1e-6), jnp.inf)
    edge = scene.distance / 7
    reached = jnp.minimum(distance, 1e3 * scene.distance)
    odd = sum(jnp.floor((eye[i] + reached * ray[i]) / edge) for i in range(2)) % 2
    colour = tuple(dark + odd * (pale - dark) for dark, pale in zip(*FLOOR, strict=True))
    return distance, *(jnp.full_like(distance, n) for n in (0, 0, 1)), *colour


def _meet(primitive, shape, origin: Vector, ray: Vector) -> tuple[jax.Array, Vector]:
    """What `primitive` answers, but for a shape somewhere in the world."""
    size, centre, matrix, _ = shape
    offset = tuple(o - c for o, c in zip(origin, centre, strict=True))
    start, heading = (tuple(_dot(matrix[:, i], vector) for i in range(3)) for vector in (offset, ray))
    distance, normal = primitive(size, start, heading)
    return distance, tuple(_dot(row, normal) for row in matrix)


def capsule(size, start: Vector, ray: Vector) -> tuple[jax.Array, Vector]:
    """Where a unit `ray` enters a capsule (a sphere: zero length) around the z axis; `size` (radius, half length).

    Returns the distance (inf for a miss, for a capsule behind `start`, and from within) and the unit normal.
    """
    radius, half = size[0], size[1]
    a = jnp.maximum(ray[0] * ray[0] + ray[1] * ray[1], 1e-12)
    b = start[0] * ray[0] + start[1] * ray[1]
    c = start[0] * start[0] + start[1] * start[1] - radius * radius
    side = (-b - jnp.sqrt(jnp.maximum(b * b - a * c, 0))) / a
    # A sphere slid along the axis to the height where the ray enters the endless cylinder touches the cylinder there;
    # clipped to the ends, it is the cap. Either way the capsule is entered where this sphere is, so one test will do.
    end = jnp.clip(start[2] + side * ray[2], -half, half)
    z = start[2] - end
    b, c = b + z * ray[2], c + z * z
    root = b * b - c
    distance = -b - jnp.sqrt(jnp.maximum(root, 0))
    normal = tuple((s + distance * r) / radius for s, r in zip((start[0], start[1], z), ray, strict=True))
    return jnp.where((root >= 0) & (distance > 0), distance, jnp.inf), normal


def box(size, start: Vector, ray: Vector) -> tuple[jax.Array, Vector]:
    """Where a unit `ray` enters a box around the origin with half edges `size` [3]; answers as `capsule` does."""
    slope = tuple(jnp.where(jnp.abs(r) < 1e-9, 1e-9, r) for r in ray)
    near = tuple((-jnp.sign(r) * size[i] - start[i]) / r for i, r in enumerate(slope))
    far = tuple((jnp.sign(r) * size[i] - start[i]) / r for i, r in enumerate(slope))
    distance = jnp.maximum(jnp.maximum(near[0], near[1]), near[2])
    hit = (distance <= jnp.minimum(jnp.minimum(far[0], far[1]), far[2])) & (distance > 0)
    normal = tuple(jnp.where(n == distance, -jnp.sign(r), 0.0) for n, r in zip(near, slope, strict=True))
    return jnp.where(hit, distance, jnp.inf), normal


def _dot(a, b):
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
