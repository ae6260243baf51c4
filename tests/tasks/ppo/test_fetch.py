"""The dog that runs to targets: its rewards and observations, worked by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from brax.base import Motion, Transform

from bgpbt.tasks.ppo.environments import load_environment_file, make_environment

fetch = load_environment_file("fetch")
targets = load_environment_file("targets")
DT = 0.02
QUARTER = np.array([np.sqrt(0.5), 0, 0, np.sqrt(0.5)])  # a turn to the left


def bodies(place, rotation=(1, 0, 0, 0)) -> Transform:
    """All eleven bodies at one place, two metres above the ground where not said."""
    pos = np.zeros((11, 3)) + np.asarray(place, float)
    return Transform(jnp.asarray(pos), jnp.tile(jnp.asarray(rotation, float), (11, 1)))


def test_the_way_towards_the_target_is_paid():
    """From 10 m away, 0.3 m ahead and 0.4 m to the side: 0.3 counts."""
    target = jnp.array([10.0, 0.0, 2.0])
    now = bodies([0.3, 0.4, 2.0])
    reward, terms = fetch.rewards(bodies([0, 0, 2]), now, target, DT)
    expected = {
        "hits": 0,
        "weighted_hits": 0,
        "moving_to_target": 0.1 * 0.3,
        "torso_up": 0.1 * DT,
        "torso_height": 0.1 * DT * 2,
    }
    assert {name: pytest.approx(float(x)) for name, x in terms.items()} == expected
    assert float(reward) == pytest.approx(sum(expected.values()))


@pytest.mark.parametrize(
    ("rotation", "facing"), [((1, 0, 0, 0), 1.0), (QUARTER, 0.0), ((0, 0, 0, 1), -1.0)]
)
def test_a_hit_pays_what_the_dog_faces(rotation, facing):
    """The target is 1.5 m ahead of where the dog began, at its height."""
    here = bodies([0, 0, 2], rotation)
    _, terms = fetch.rewards(here, here, jnp.array([1.5, 0, 2.0]), DT)
    assert float(terms["hits"]) == 1
    assert float(terms["weighted_hits"]) == pytest.approx(facing, abs=1e-5)


def test_targets_lie_around_the_origin():
    keys = jax.random.split(jax.random.PRNGKey(0), 2000)
    places = np.asarray(jax.vmap(fetch.draw)(keys))
    distance = np.linalg.norm(places[:, :2], axis=1)
    assert (places[:, 2] == 1).all()
    assert 2 <= distance.min() < 2.1 and 16.9 < distance.max() <= 17
    assert abs(distance.mean() - 9.5) < 0.3
    assert (np.abs(places[:, :2].mean(axis=0)) < 0.6).all()


def test_what_it_sees_turns_with_it():
    """It stands at (1, 2, 2) and looks along y: the target is ahead of it, then up."""
    x = bodies([1, 2, 2], QUARTER)
    xd = Motion(ang=jnp.zeros((11, 3)), vel=jnp.tile(jnp.array([0.0, 3, 0]), (11, 1)))
    target = jnp.array([1.0, 6.0, 5.0])
    seen = np.asarray(fetch.observe(x, xd, target, jnp.ones(())))
    assert seen.shape == (101,)
    way, axes = seen[:4], seen[4:10]
    np.testing.assert_allclose(way, [5, 0.8, 0, 0.6], atol=1e-5)
    np.testing.assert_allclose(axes, [0, 1, 0, 0, 0, 1], atol=1e-5)
    places, speeds = seen[10:49].reshape(13, 3), seen[49:88].reshape(13, 3)
    np.testing.assert_allclose(places[:11], 0, atol=1e-5)
    np.testing.assert_allclose(places[11], [-2, 1, -2], atol=1e-5)  # the ground
    np.testing.assert_allclose(places[12], [4, 0, 3], atol=1e-5)  # the target
    np.testing.assert_allclose(speeds[:11], 0, atol=1e-5)
    np.testing.assert_allclose(speeds[11:], [[-3, 0, 0]] * 2, atol=1e-5)
    assert list(seen[88:]) == [0] * 12 + [1]  # all in the air, the target reached


def test_lower_legs_touch_the_ground():
    """Half a metre from its centre an upright leg ends; one lies flat, 0.25 m thick."""
    x = bodies([0, 0, 2])
    heights = {3: 0.5, 5: 0.6, 8: 0.26, 10: 1.0}
    flat = [np.sqrt(0.5), 0, np.sqrt(0.5), 0]
    pos = np.array(x.pos)
    pos[list(heights), 2] = list(heights.values())
    x = Transform(jnp.asarray(pos), x.rot.at[8].set(jnp.asarray(flat)))
    still = Motion(ang=jnp.zeros((11, 3)), vel=jnp.zeros((11, 3)))
    seen = np.asarray(fetch.observe(x, still, jnp.zeros(3), jnp.zeros(())))
    assert np.flatnonzero(seen[88:]).tolist() == [3, 8, 11]  # two legs, the ground


def test_the_model_is_the_one_that_is_described():
    env = make_environment("fetch")
    assert (env.observation_size, env.action_size) == (101, 10)
    assert env.seconds_per_step == pytest.approx(DT)
    names = env.system.link_names
    assert [names[i] for i in fetch.LOWER_LEGS] == [
        f"{end}_{side}_lower" for end in ("front", "hind") for side in ("left", "right")
    ]
    assert len(names) == 12 and names[-1] == "target"  # drawn, without physics
    picture = env.system.mj_model
    assert picture.geom("target_sphere").size[0] == fetch.RADIUS
    model = fetch.Fetch("spring").sys.mj_model
    assert (model.body_mass[1:] == 1).all() and (model.body_inertia[1:] == 1).all()
    assert (model.actuator_gear[:, 0] == 300).all() and model.nu == 10
    np.testing.assert_allclose(model.jnt_range[1:], [[-np.pi / 3, np.pi / 3]] * 10)
    np.testing.assert_allclose(model.dof_damping[6:], 35)
    legs = model.geom_contype == 1
    assert legs.sum() == 4 and (model.geom_friction[legs, 0] == 0.6).all()
    np.testing.assert_array_equal(model.geom_size[legs], [fetch.LOWER_LEG] * 4)
