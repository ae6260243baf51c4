"""The arm that touches targets: its rewards and observations, worked by hand."""

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest
from brax.base import Motion, Transform

from bgpbt.tasks.ppo.environments import load_environment_file, make_environment

ur5e = load_environment_file("ur5e")
capsules = load_environment_file("capsules")
QUARTER = np.array([np.sqrt(0.5), 0, 0, np.sqrt(0.5)])  # a turn to the left
observe = jax.jit(ur5e.observe)  # one program compiles faster than each operation
STILL = Motion(ang=jnp.zeros((6, 3)), vel=jnp.zeros((6, 3)))
# One capsule on the flange, 0.2 m long between its ends, along x.
POINTER = capsules.Capsules(
    jnp.array([5]), jnp.array([[[-0.1, 0, 0], [0.1, 0, 0]]]), jnp.array([0.05])
)


def bodies(place, rotation=(1, 0, 0, 0)) -> Transform:
    """All six bodies at one place."""
    pos = np.zeros((6, 3)) + np.asarray(place, float)
    return Transform(jnp.asarray(pos), jnp.tile(jnp.asarray(rotation, float), (6, 1)))


@pytest.fixture(scope="module")
def arm():
    return ur5e.Ur5e("spring")


@pytest.mark.parametrize(("away", "hit"), [(0.0, 1), (0.019, 1), (0.021, 0), (0.5, 0)])
def test_movement_and_hits_are_paid(away, hit):
    """From 1 m away: 0.3 m ahead and 0.4 m to the side, 0.3 counts."""
    now = bodies([0.3, 0.4, 0.5])
    target = jnp.array([0.3, 0.4 + away, 0.5])
    _, terms = ur5e.rewards(now, now, target)
    assert {k: float(v) for k, v in terms.items()} == {
        "hits": hit,
        "moving_to_target": 0,
    }
    far = jnp.array([1.0, 0.0, 0.5])
    reward, terms = ur5e.rewards(bodies([0, 0, 0.5]), now, far)
    assert float(terms["moving_to_target"]) == pytest.approx(0.1 * 0.3)
    assert float(reward) == pytest.approx(0.1 * 0.3)


def test_targets_lie_around_the_arm():
    keys = jax.random.split(jax.random.PRNGKey(0), 2000)
    places = np.asarray(jax.vmap(ur5e.draw)(keys))
    distance = np.linalg.norm(places[:, :2], axis=1)
    assert (places[:, 2] == 0.5).all()
    assert 0.02 <= distance.min() < 0.03 and 0.51 < distance.max() <= 0.52
    assert (np.abs(places[:, :2].mean(axis=0)) < 0.03).all()


def test_what_it_sees_turns_with_the_flange():
    """The flange is at (1, 2, 2) and looks along y: the target is ahead, then up."""
    x = bodies([1, 2, 2], QUARTER)
    xd = STILL.replace(vel=jnp.tile(jnp.array([0.0, 3, 0]), (6, 1)))
    target = jnp.array([1.0, 6.0, 5.0])
    seen = np.asarray(observe(x, xd, target, jnp.ones(()), POINTER))
    assert seen.shape == (66,)
    np.testing.assert_allclose(seen[:4], [5, 0.8, 0, 0.6], atol=1e-5)
    np.testing.assert_allclose(seen[4:10], [0, 1, 0, 0, 0, 1], atol=1e-5)
    places, speeds = seen[10:34].reshape(8, 3), seen[34:58].reshape(8, 3)
    np.testing.assert_allclose(places[:6], 0, atol=1e-5)
    np.testing.assert_allclose(places[6], [-2, 1, -2], atol=1e-5)  # the ground
    np.testing.assert_allclose(places[7], [4, 0, 3], atol=1e-5)  # the target
    np.testing.assert_allclose(speeds[:6], 0, atol=1e-5)
    np.testing.assert_allclose(speeds[6:], [[-3, 0, 0]] * 2, atol=1e-5)
    assert list(seen[58:]) == [0] * 7 + [1]  # in the air, the target reached


@pytest.mark.parametrize(
    ("height", "rotation", "touches"),
    [
        (0.06, (1, 0, 0, 0), False),  # lies, and ends 1 cm above the ground
        (0.052, (1, 0, 0, 0), True),
        (0.16, (np.sqrt(0.5), 0, np.sqrt(0.5), 0), False),  # stands
        (0.152, (np.sqrt(0.5), 0, np.sqrt(0.5), 0), True),
    ],
)
def test_a_capsule_touches_the_ground(height, rotation, touches):
    x = bodies([0, 0, height], rotation)
    seen = observe(x, STILL, jnp.zeros(3), jnp.zeros(()), POINTER)
    assert np.flatnonzero(seen[58:]).tolist() == ([5, 6] if touches else [])


def test_the_model_is_the_one_that_is_described(arm):
    env = make_environment("ur5e")
    assert (env.observation_size, env.action_size) == (66, 6)
    assert env.seconds_per_step == pytest.approx(0.02)
    names = env.system.link_names
    assert names[ur5e.FLANGE] == "wrist_3"
    assert len(names) == 7 and names[-1] == "target"  # drawn, without physics
    # The maker's 17.7 kg, without the base.
    assert arm.sys.mj_model.body_mass.sum() == pytest.approx(17.7)
    model = arm.sys.mj_model
    assert (model.actuator_gear[:, 0] == 100).all() and (model.dof_damping == 50).all()
    np.testing.assert_allclose(model.jnt_range, [[-2 * np.pi, 2 * np.pi]] * 6)
    # Shapes of the forearm and the wrists, and no other, can touch the ground.
    grounded = capsules.capsules_of(arm.sys.mj_model, ur5e.ON_GROUND)
    assert grounded.body.tolist() == [2, 3, 4, 5]
    np.testing.assert_allclose(grounded.radius, [0.04, 0.04, 0.04, 0.017])


def test_the_first_pose_is_ready_to_work(arm):
    """The upper arm stands, the forearm points forward, the flange down."""
    data = mujoco.MjData(arm.sys.mj_model)
    mujoco.mj_kinematics(arm.sys.mj_model, data)
    reach = 0.392 + 0.1
    expected = [reach, 0.138 - 0.131 + 0.127, 0.163 + 0.425 - 0.1]
    np.testing.assert_allclose(data.xpos[-1], expected, atol=1e-6)


@pytest.mark.long
def test_full_torques_leave_it_whole(arm):
    """Two seconds of full torques: the arm moves, and its joints hold."""
    state = jax.jit(arm.reset)(jax.random.PRNGKey(0))
    step = jax.jit(arm.step)
    first = state.pipeline_state.x.pos[ur5e.FLANGE]
    furthest = 0.0
    for i in range(100):
        state = step(state, jnp.where(i // 20 % 2, -1.0, 1.0) * jnp.ones(6))
        pos = state.pipeline_state.x.pos
        furthest = max(furthest, float(jnp.linalg.norm(pos[ur5e.FLANGE] - first)))
        # From the elbow to the first wrist.
        assert float(jnp.linalg.norm(pos[3] - pos[2])) == pytest.approx(0.392, abs=0.03)
        assert bool(jnp.isfinite(state.obs).all())
    assert furthest > 0.1
