"""Rendering: the ray caster against worked geometry, the GIF against its reader."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import brax.envs
import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest
from brax import kinematics
from PIL import Image, ImageSequence

from bgpbt import files
from bgpbt.config.errors import NotSaved
from bgpbt.viz import render
from bgpbt.viz.render import render_frames, save_gif
from bgpbt.viz.render.camera import AZIMUTH, smooth_path
from bgpbt.viz.render.frames import render_frame
from bgpbt.viz.render.geoms import place_geoms
from bgpbt.viz.render.primitives import box, capsule
from bgpbt.viz.render.ray_caster import AMBIENT, SUN
from bgpbt.viz.render.scene import BOX, FIELD_OF_VIEW, SPHERE

SIZE = {"width": 96, "height": 72}
FOCAL = 72 / 2 / np.tan(FIELD_OF_VIEW / 2)  # in pixels


def geoms(*shapes, floor=0.0, focus=0.0, elevation=0.4, distance=6.0):
    """A scene of world geoms (kind, size, position, colour)."""
    kind, size, position, colour = zip(*shapes, strict=True) if shapes else ((),) * 4
    arrays = [
        np.asarray(part, np.float32).reshape(-1, 3) for part in (size, position, colour)
    ]
    link = np.full(len(kind), -1, np.int32)
    rotation = np.tile(np.float32([1, 0, 0, 0]), (len(kind), 1))
    kind = np.asarray(kind, np.int32)
    return render.Scene(
        kind,
        arrays[0],
        link,
        arrays[1],
        rotation,
        arrays[2],
        floor,
        focus,
        elevation,
        distance,
    )


def picture(scene, root=(0, 0, 0), **size):
    frame = render_frames(
        scene,
        np.asarray(root, float).reshape(1, 1, 3),
        np.float32([[[1, 0, 0, 0]]]),
        **(size or SIZE),
    )
    return frame[0].astype(int)


def pixel(scene, point):
    """(column, row) where the camera of `scene` sees a world point.

    It looks at (0, 0, focus). Worked independently.
    """
    level = np.array([np.cos(AZIMUTH), np.sin(AZIMUTH), 0])
    back = np.cos(scene.elevation) * level + np.sin(scene.elevation) * np.array(
        [0, 0, 1]
    )
    right = np.cross([0, 0, 1], level)
    seen = np.asarray(point) - np.array([0, 0, scene.focus]) - scene.distance * back
    depth = -seen @ back
    return SIZE["width"] / 2 + FOCAL * seen @ right / depth, SIZE[
        "height"
    ] / 2 - FOCAL * seen @ np.cross(back, right) / depth


def at(frame, place):
    return frame[int(place[1]), int(place[0])]


def intersect(primitive, size, start, ray):
    ray = np.asarray(ray, float) / np.linalg.norm(ray)
    distance, normal = primitive(
        jnp.float32(size), tuple(jnp.float32(start)), tuple(jnp.float32(ray))
    )
    return float(distance), np.array([float(part) for part in normal])


@pytest.mark.parametrize(
    ("start", "ray", "distance", "normal"),
    [
        ((3, 0, 0.2), (-1, 0, 0), 2.5, (1, 0, 0)),  # the side
        (
            (2.9, 0, -2.2),
            (-0.6, 0, 0.8),
            4.0,
            (1, 0, 0),
        ),  # the side, slanting: meets x = 0.5 at z = 1
        ((0, 0, 5), (0, 0, -1), 3.5, (0, 0, 1)),  # the tip, along the axis
        (
            (0.3, 0, -5),
            (0, 0, 1),
            3.6,
            (0.6, 0, -0.8),
        ),  # a cap beside the axis: it is 0.4 high there
        ((0.4, 3, 1.0), (0, -1, 0), 2.7, (0.8, 0.6, 0)),  # where side and cap touch
        ((3, 0, 1.3), (-1, 0, 0), 2.6, (0.8, 0, 0.6)),  # a cap, from the side
        ((3, 0.48, 0), (-1, 0, 0), 2.86, (0.28, 0.96, 0)),  # nearly grazing
    ],
)
def test_a_capsule_is_entered_where_worked_by_hand(start, ray, distance, normal):
    entered, direction = intersect(capsule, (0.5, 1, 0), start, ray)
    assert entered == pytest.approx(distance, abs=1e-5)
    np.testing.assert_allclose(direction, normal, atol=1e-4)


@pytest.mark.parametrize(
    ("start", "ray"),
    [
        ((3, 0.501, 0), (-1, 0, 0)),  # just beside
        ((3, 0, 1.501), (-1, 0, 0)),  # just above
        ((0.501, 0, 5), (0, 0, -1)),  # beside, along the axis
        ((3, 0, 0), (1, 0, 0)),  # behind
        ((0.1, 0, 0.3), (0, 1, 0)),  # from within the cylinder
        ((0, 0, 1.2), (0, 0, 1)),  # from within a cap
        (
            (0.4, 3, 1.31),
            (0, -1, 0),
        ),  # over the shoulder: the cap is 0.3 high at x = 0.4
    ],
)
def test_a_capsule_is_missed(start, ray):
    assert intersect(capsule, (0.5, 1, 0), start, ray)[0] == np.inf


def test_a_capsule_is_what_a_sphere_sweeps():
    """Random rays against the nearest of many spheres along the axis.

    No sphere may be nearer, and one is about as near.
    """
    rng = np.random.default_rng(0)
    start = rng.normal(size=(300, 3)) * (0.6, 0.6, 1.0)
    start *= 3 / np.linalg.norm(start, axis=1, keepdims=True)
    ray = rng.uniform(-1, 1, (300, 3)) * (1, 1, 2) - start
    ray /= np.linalg.norm(ray, axis=1, keepdims=True)
    centre = np.stack([0 * (z := np.linspace(-1, 1, 4001)), 0 * z, z], 1)
    along = ((centre[None] - start[:, None]) * ray[:, None]).sum(-1)
    beside = (np.linalg.norm(centre[None] - start[:, None], axis=-1)) ** 2 - along**2
    swept = np.where(
        beside <= 0.25, along - np.sqrt(np.maximum(0.25 - beside, 0)), np.inf
    ).min(1)
    entered = np.asarray(
        capsule(
            jnp.float32([0.5, 1, 0]),
            tuple(jnp.float32(start).T),
            tuple(jnp.float32(ray).T),
        )[0]
    )
    clear = np.abs(beside.min(1) - 0.25) > 1e-3
    assert 60 < np.isinf(swept).sum() < 240 and clear.sum() > 280
    np.testing.assert_allclose(entered[clear], swept[clear], atol=1e-3)


@pytest.mark.parametrize(
    ("start", "ray", "distance", "normal"),
    [
        ((4, 0.5, 0.5), (-1, 0, 0), 3.0, (1, 0, 0)),
        ((0.5, 0.5, -5), (0, 0, 1), 2.0, (0, 0, -1)),
        (
            (4, 0, 0),
            (-0.6, 0.0, 0.8),
            np.inf,
            None,
        ),  # leaves over the top: z = 4 at x = 1
        ((2.2, 0, -1), (-0.6, 0, 0.8), 2.0, (1, 0, 0)),  # meets x = 1 at z = 0.6
        ((4, 2.001, 0), (-1, 0, 0), np.inf, None),  # just beside
        ((4, 0, 0), (1, 0, 0), np.inf, None),  # behind
        ((0, 0, 0), (1, 0, 0), np.inf, None),  # from within
    ],
)
def test_a_box_is_entered_where_worked_by_hand(start, ray, distance, normal):
    entered, direction = intersect(box, (1, 2, 3), start, ray)
    assert entered == pytest.approx(distance, abs=1e-5)
    if normal:
        np.testing.assert_allclose(direction, normal, atol=1e-6)


@pytest.mark.parametrize("centre", [(0, 0, 0), (-0.6, 0.9, 0.5)])
def test_a_sphere_appears_where_and_as_large_as_projected(centre):
    scene = geoms((SPHERE, (0.7, 0, 0), centre, (1, 0, 0)), floor=-50.0)
    frame = picture(scene)
    rows, columns = np.nonzero(np.abs(frame - picture(geoms(floor=-50.0))).max(-1) > 40)
    eye = pixel_eye(scene)
    away = np.linalg.norm(np.asarray(centre) - eye)
    # The outline of a sphere is a cone of this half angle. Near the picture's middle,
    # its area is that of a disc.
    radius = FOCAL * np.tan(np.arcsin(0.7 / away))
    np.testing.assert_allclose(
        (columns.mean() + 0.5, rows.mean() + 0.5), pixel(scene, centre), atol=0.6
    )
    assert np.sqrt(len(rows) / np.pi) == pytest.approx(radius, rel=0.04)


def pixel_eye(scene):
    flat = np.cos(scene.elevation)
    direction = (
        flat * np.cos(AZIMUTH),
        flat * np.sin(AZIMUTH),
        np.sin(scene.elevation),
    )
    return np.array([0, 0, scene.focus]) + scene.distance * np.array(direction)


def test_the_nearer_of_two_bodies_hides_the_other_in_either_order():
    near = pixel_eye(geoms()) * 0.4
    far = -pixel_eye(geoms()) * 0.1
    red = (SPHERE, (0.3, 0, 0), near, (1, 0, 0))
    blue = (BOX, (0.3, 0.3, 0.3), far, (0, 0, 1))
    for shapes in ((red, blue), (blue, red)):
        colour = at(picture(geoms(*shapes, floor=-50.0)), (48, 36))
        assert colour[0] > 3 * colour[2]


def shadow(height, onto):
    """Where a point above the origin throws its shadow onto a level plane."""
    return np.array([0, 0, height]) - np.array(SUN) / SUN[2] * (height - onto)


def test_the_shadow_lies_on_the_floor_where_the_sun_throws_it():
    scene = geoms((SPHERE, (0.25, 0, 0), (0, 0, 1.5), (1, 0, 0)))
    bare = picture(geoms())
    frame = picture(scene)
    place = pixel(scene, shadow(1.5, 0))
    ratio = (at(frame, place) / at(bare, place)) ** 2.2
    lit = AMBIENT + (1 - AMBIENT) * SUN[2]
    np.testing.assert_allclose(ratio, AMBIENT / lit, atol=0.02)
    for beside in ((0.6, 0, 0), (-0.6, 0, 0), (0, 0.6, 0), (0, -0.6, 0)):
        other = pixel(scene, shadow(1.5, 0) + beside)
        assert abs(at(frame, other) - at(bare, other)).max() == 0


def test_bodies_throw_shadows_on_bodies():
    slab = (BOX, (2, 2, 0.1), (0, 0, 0.2), (0, 1, 0))
    ball = (SPHERE, (0.25, 0, 0), (0, 0, 1.5), (1, 0, 0))
    scene = geoms(slab, ball)
    alone = picture(geoms(slab))
    frame = picture(scene)
    place = pixel(scene, shadow(1.5, 0.3))
    assert at(alone, place)[1] > 200 > 170 > at(frame, place)[1]
    other = pixel(scene, shadow(1.5, 0.3) * (-1, -1, 1))
    assert at(frame, other)[1] == at(alone, other)[1] > 200


def test_the_floor_passes_below_a_moving_root():
    scene = geoms(distance=7.0)  # the checks are 1 m wide
    still = picture(scene)
    changed = [
        np.mean(np.abs(picture(scene, (step, 0, 0)) - still).max(-1) > 10)
        for step in (1, 2, 0.3)
    ]
    assert changed[0] > 0.6 and changed[1] < 0.01 and 0.1 < changed[2] < 0.5
    assert (picture(scene, (0, 0, 3)) == still).all(), "the camera keeps its height"


def test_the_camera_is_smooth_but_does_not_pan_over_a_reset():
    path = np.linspace(0, 5, 50)[:, None] * [1.0, 0.5]
    wobble = 0.2 * np.tile([1, -1], 25)[:, None]
    smooth = smooth_path(path + wobble, max_step=2.0)
    assert smooth.shape == (50, 2)
    np.testing.assert_allclose(smooth[18:-18], path[18:-18], atol=0.01)
    jump = np.repeat([[0.0, 0.0], [9.0, 0.0]], 20, axis=0)
    reset = smooth_path(jump, max_step=2.0)
    np.testing.assert_allclose(reset[[19, 20], 0], [0, 9], atol=1e-6)
    assert 1 < smooth_path(jump, max_step=10.0)[19, 0] < 8


@pytest.fixture(scope="module")
def ant():
    return brax.envs.get_environment("ant", backend="spring").sys


def test_the_ant_has_all_its_geoms_where_mujoco_has_them(ant):
    scene = render.scene(ant)
    assert (
        len(scene.kind),
        (scene.kind == SPHERE).sum(),
        scene.link.min(),
        scene.link.max(),
    ) == (17, 5, 0, 8)
    assert scene.floor == 0
    assert all(
        leaf.dtype == np.float32
        for leaf in (scene.size, scene.position, scene.rotation, scene.colour)
    )
    legs = {
        tuple(colour)
        for colour, link in zip(scene.colour, scene.link, strict=True)
        if link in (1, 3, 5, 7)
    }
    assert len(legs) == 4
    pose = np.asarray(ant.init_q) + np.random.default_rng(0).uniform(
        -0.4, 0.4, ant.q_size()
    ).astype(np.float32)
    pose[3:7] /= np.linalg.norm(pose[3:7])
    x, _ = jax.jit(kinematics.forward)(ant, jnp.asarray(pose), jnp.zeros(ant.qd_size()))
    data = mujoco.MjData(ant.mj_model)
    data.qpos[:] = pose
    mujoco.mj_kinematics(ant.mj_model, data)
    _, centre, matrix, _ = place_geoms(scene, x.pos, x.rot)
    np.testing.assert_allclose(centre, data.geom_xpos[1:], atol=1e-4)
    np.testing.assert_allclose(matrix, data.geom_xmat[1:].reshape(-1, 3, 3), atol=1e-4)


def test_the_ant_stands_in_the_middle_and_one_compilation_serves_any_number_of_frames(
    ant,
):
    scene = render.scene(ant)
    x, _ = jax.jit(kinematics.forward)(ant, ant.init_q, jnp.zeros(ant.qd_size()))
    compiled = render_frame._cache_size()
    for moments in (1, 3):
        frames = render_frames(
            scene,
            np.repeat(x.pos[None], moments, 0),
            np.repeat(x.rot[None], moments, 0),
            **SIZE,
        )
        assert frames.shape == (moments, 72, 96, 3) and frames.dtype == np.uint8
    assert render_frame._cache_size() == compiled + 1
    coloured = np.ptp(frames[0].astype(int), axis=-1) > 60
    assert 0.04 < coloured.mean() < 0.3
    assert coloured[5:-5, 5:-5].sum() == coloured.sum(), "no limb leaves the picture"


def test_reacher_keeps_its_walls_and_is_seen_from_above(ant):
    scene = render.scene(brax.envs.get_environment("reacher", backend="spring").sys)
    assert (scene.link == -1).sum() == 5 and len(scene.kind) == 9
    assert scene.elevation > 0.8 > render.scene(ant).elevation
    assert scene.distance < render.scene(ant).distance / 3


def model(body, world='<geom type="plane" size="1 1 1"/>'):
    body = f'<body pos="0 0 1"><joint type="hinge"/>{body}</body>'
    xml = f"<mujoco><worldbody>{world}{body}</worldbody></mujoco>"
    loaded = mujoco.MjModel.from_xml_string(xml)
    return SimpleNamespace(mj_model=loaded, link_parents=(-1,), init_q=loaded.qpos0)


BALL = '<geom type="sphere" size="0.1"/>'


def test_what_is_invisible_is_not_drawn():
    ghost = '<geom type="cylinder" size="1 1" rgba="1 1 1 0"/>'
    hidden = '<geom type="cylinder" size="1 1" group="3"/>'
    assert len(render.scene(model(BALL + ghost + hidden)).kind) == 1
    with pytest.raises(ValueError, match="no body"):
        render.scene(model(ghost))


def test_what_keeps_a_model_from_being_drawn_is_told():
    drum = '<geom name="drum" type="cylinder" size="1 1"/>'
    assert render.why_not_drawn(model(BALL)) == ""
    assert "cannot draw geom 'drum': only" in render.why_not_drawn(model(BALL + drum))


def test_a_model_without_a_plane_gets_a_floor_below_its_reach():
    assert (
        render.scene(
            model('<geom type="capsule" fromto="0 0 0 0 0 0.5" size="0.1"/>', world="")
        ).floor
        < 1 - 0.6
    )


@pytest.mark.parametrize(
    ("body", "world"),
    [
        (BALL + '<geom name="odd" type="cylinder" size="1 1"/>', ""),
        (BALL + '<geom name="odd" type="ellipsoid" size="1 1 2"/>', ""),
        (BALL, '<geom name="odd" type="plane" size="1 1 1" euler="10 0 0"/>'),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_name(body, world):
    with pytest.raises(ValueError, match="'odd'"):
        render.scene(model(body, world))


def test_states_that_do_not_fit_the_scene_are_refused():
    scene = geoms((SPHERE, (1, 0, 0), (0, 0, 0), (1, 0, 0)))
    turn = np.float32([[[1, 0, 0, 0]]])
    with pytest.raises(ValueError, match="expected"):
        render_frames(scene, np.zeros((1, 3)), turn)
    with pytest.raises(ValueError, match="expected"):
        render_frames(scene, np.zeros((1, 2, 3)), turn)
    with pytest.raises(ValueError, match="2 links"):
        render_frames(scene._replace(link=np.int32([1])), np.zeros((1, 1, 3)), turn)
    with pytest.raises(ValueError, match="finite"):
        render_frames(scene, np.full((1, 1, 3), np.nan), turn)
    assert render_frames(scene, np.zeros((0, 1, 3)), np.zeros((0, 1, 4))).shape == (
        0,
        240,
        320,
        3,
    )


def clip(count):
    """A red square moving over a grey gradient."""
    frames = np.repeat(
        np.linspace(90, 200, 64).astype(np.uint8)[None, :, None, None], count, 0
    )
    frames = np.tile(frames, (1, 1, 80, 3))
    for moment in range(count):
        frames[moment, 30:36, 5 * moment : 5 * moment + 6] = (230, 30, 20)
    return frames


def test_a_gif_has_the_frames_durations_and_colours_it_was_given(tmp_path):
    frames = clip(11)
    save_gif(frames, tmp_path / "a.gif", seconds_per_frame=0.024)
    with Image.open(tmp_path / "a.gif") as image:
        assert (image.n_frames, image.info["loop"], image.size) == (11, 0, (80, 64))
        seen = [
            (np.asarray(frame.convert("RGB")), frame.info["duration"])
            for frame in ImageSequence.Iterator(image)
        ]
    read, durations = (
        np.stack([picture for picture, _ in seen]).astype(int),
        [duration for _, duration in seen],
    )
    assert set(durations) == {20, 30} and sum(durations) == 260
    assert np.abs(read - frames).max() < 12
    assert (read[:, :20] == read[0, :20]).all(), "still parts flicker"
    assert [path.name for path in tmp_path.iterdir()] == ["a.gif"]


@pytest.mark.parametrize("seconds", [0.008, 0.0199])
def test_a_gif_faster_than_viewers_show_is_refused(tmp_path, seconds):
    with pytest.raises(ValueError, match="too short"):
        save_gif(clip(2), tmp_path / "a.gif", seconds_per_frame=seconds)
    save_gif(clip(2), tmp_path / "a.gif", seconds_per_frame=float(np.float32(0.02)))


@pytest.mark.parametrize("frames", [clip(0), clip(2).astype(float), clip(2)[0]])
def test_what_are_no_frames_is_refused(tmp_path, frames):
    with pytest.raises(ValueError, match="uint8 frames"):
        save_gif(frames, tmp_path / "a.gif", seconds_per_frame=0.05)


def test_a_failing_write_leaves_no_file_and_no_harm(tmp_path, monkeypatch):
    def full(path):
        raise OSError("no space left")

    (tmp_path / "old.gif").write_text("old")
    (tmp_path / "folder.gif").mkdir()
    with pytest.raises(NotSaved, match="Is a directory"):
        save_gif(clip(2), tmp_path / "folder.gif", seconds_per_frame=0.05)
    monkeypatch.setattr(files, "sync", full)  # the file is written, beside its place
    for name in ("old.gif", "new.gif"):
        with pytest.raises(NotSaved, match="no space"):
            save_gif(clip(2), tmp_path / name, seconds_per_frame=0.05)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.gif", "old.gif"]
    assert (tmp_path / "old.gif").read_text() == "old"


def test_importing_starts_no_backend():
    code = (
        "import bgpbt.viz.render; from jax._src import xla_bridge; "
        "assert not xla_bridge.backends_are_initialized()"
    )
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)
