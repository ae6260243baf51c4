"""What is rendered: a model's geoms, its floor, and a camera that suits them."""

import math
from typing import Any, NamedTuple

import mujoco
import numpy as np

SPHERE = int(mujoco.mjtGeom.mjGEOM_SPHERE)
CAPSULE = int(mujoco.mjtGeom.mjGEOM_CAPSULE)
BOX = int(mujoco.mjtGeom.mjGEOM_BOX)
PLANE = int(mujoco.mjtGeom.mjGEOM_PLANE)
FIRST_HIDDEN_GROUP = 3  # of geoms: MuJoCo's viewer hides it, too
# All colours are linear RGB. One for each limb: neighbours differ in lightness as well
# as in hue.
LIMBS = (
    (0.8, 0.2, 0.05),
    (0.0, 0.3, 0.5),
    (0.8, 0.5, 0.0),
    (0.0, 0.4, 0.3),
    (0.4, 0.1, 0.4),
    (0.2, 0.5, 0.7),
    (0.75, 0.7, 0.6),
)
STATIC = (0.42, 0.42, 0.45)
FIELD_OF_VIEW = 0.7  # radians, from the lowest to the highest ray


class Scene(NamedTuple):
    """What never changes in a rollout, in metres and radians.

    Shapes: `G` geoms, each fixed to a link, or to the world.
    """

    kind: np.ndarray  # [G] int32, a mujoco.mjtGeom: sphere, capsule or box
    # [G, 3] float32. Sphere: (radius, 0, 0). Capsule: (radius, half its length, 0), it
    # lies along z. Box: half of each edge.
    size: np.ndarray
    link: np.ndarray  # [G] int32, -1: the world
    position: np.ndarray  # [G, 3] float32, in the link's frame
    # [G, 4] float32 unit quaternion (w, x, y, z), in the link's frame
    rotation: np.ndarray
    colour: np.ndarray  # [G, 3] float32, linear RGB
    floor: float  # height of the checkered floor
    focus: float  # height that the camera looks at
    elevation: float  # angle of the camera above the horizon
    # From the camera to what it looks at. The floor's checks and the haze scale with
    # it.
    distance: float


def scene(sys) -> Scene:
    """Reads the visible geoms of a model and chooses a camera that suits its bodies.

    A model without a plane gets a floor below its reach.

    Args:
      sys: a `brax.base.System`, or what has its `mj_model`, `init_q` and
        `link_parents`.

    Returns:
      The scene.

    Raises:
      ValueError: no body can be seen, or a geom cannot be drawn. Such are a mesh, an
        ellipsoid, a cylinder, and a plane that is tilted or belongs to a body.
    """
    model = sys.mj_model
    solid, planes = _visible_geoms(model)
    _check_drawable(model, solid, planes)
    data = mujoco.MjData(model)
    data.qpos[:] = np.asarray(sys.init_q)
    mujoco.mj_kinematics(model, data)
    moving = solid[model.geom_bodyid[solid] > 0]
    return Scene(
        kind=model.geom_type[solid].astype(np.int32),
        size=model.geom_size[solid].astype(np.float32),
        link=model.geom_bodyid[solid].astype(np.int32) - 1,
        position=model.geom_pos[solid].astype(np.float32),
        rotation=model.geom_quat[solid].astype(np.float32),
        colour=_colours(sys.link_parents)[model.geom_bodyid[solid]],
        **_framing(model, data, moving, planes),
    )


def why_not_drawn(sys) -> str:
    """What keeps a model from being rendered, in words; "" where nothing does.

    Args:
      sys: as in `scene`.
    """
    try:
        scene(sys)
    except ValueError as error:
        return str(error)
    return ""


def _visible_geoms(model) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the visible geoms: those of solids, and those of planes."""
    opacity = 1
    if model.nmat:
        material = model.mat_rgba[:, 3][model.geom_matid]
        opacity = np.where(model.geom_matid >= 0, material, 1)
    visible = model.geom_rgba[:, 3] * opacity > 0
    visible &= model.geom_group < FIRST_HIDDEN_GROUP
    is_plane = model.geom_type == PLANE
    return np.flatnonzero(visible & ~is_plane), np.flatnonzero(visible & is_plane)


def _check_drawable(model, solid: np.ndarray, planes: np.ndarray) -> None:
    unknown = solid[~np.isin(model.geom_type[solid], (SPHERE, CAPSULE, BOX))]
    # A turn about the vertical axis alone leaves x and y of the quaternion zero.
    tilted = np.any(model.geom_quat[planes, 1:3], axis=1)
    moving = model.geom_bodyid[planes] > 0
    refused = [*unknown, *planes[moving | tilted]]
    if refused:
        raise ValueError(
            f"cannot draw geom {model.geom(refused[0]).name!r}: only spheres, capsules,"
            " boxes and a level floor"
        )
    if not model.geom_bodyid[solid].any():
        raise ValueError("no body has a visible geom")


def _framing(model, data, moving: np.ndarray, planes: np.ndarray) -> dict[str, float]:
    """The floor and the camera of a scene.

    The geoms `moving`, in the pose of `data`, fit into a frame of 4:3.
    """
    centre = data.geom_xpos[moving]
    root = data.xpos[1]
    axes = np.abs(data.geom_xmat[moving].reshape(-1, 3, 3))
    bound = np.sum(axes * model.geom_aabb[moving, None, 3:], axis=2)
    reach = np.linalg.norm((np.abs(centre - root) + bound)[:, :2], axis=1).max()
    low = (centre - bound)[:, 2].min()
    high = (centre + bound)[:, 2].max()
    if len(planes):
        floor = model.geom_pos[planes, 2].max()
    else:
        floor = root[2] - 1.1 * max(high - low, reach)
    # Robots drop from their first pose, and their shadows tell how high they are: look
    # a little towards the floor.
    low = (low + floor) / 2
    half_height = (high - low) / 2
    # A flat model, such as an arm on a table, is best seen from above.
    elevation = np.interp(half_height / reach, (0.1, 0.3, 1.5), (1.0, 0.45, 0.24))
    seen_height = half_height * math.cos(elevation) + reach * math.sin(elevation)
    fit = max(seen_height, 0.75 * reach)
    return {
        "floor": float(floor),
        "focus": float((high + low) / 2),
        "elevation": float(elevation),
        "distance": float(1.1 * fit / math.tan(FIELD_OF_VIEW / 2) + reach),
    }


def _colours(parents) -> np.ndarray:
    """Colours [1 + L, 3] of the world and the links.

    Each unbranched chain has a hue, and every second link of it is darker. Brax paints
    all its robots in one brown, in which left and right legs cannot be told apart.
    """
    chain_of: list[int] = []  # number of each link's chain
    is_dark: list[bool] = []
    colours: list[Any] = [STATIC]
    for parent in parents:
        continues = parent >= 0 and list(parents).count(parent) == 1
        chain_of.append(
            chain_of[parent] if continues else max(chain_of, default=-1) + 1
        )
        is_dark.append(continues and not is_dark[parent])
        hue = LIMBS[chain_of[-1] % len(LIMBS)]
        colours.append(np.multiply(hue, 0.5 if is_dark[-1] else 1.0))
    return np.asarray(colours, np.float32)
