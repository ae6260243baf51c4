"""The claw that carries an object to targets: its rewards and observations by hand."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from brax.base import Motion, Transform

from bgpbt.tasks.ppo.environments import load_environment_file, make_environment

grasp = load_environment_file("grasp")
capsules = load_environment_file("capsules")
observe = jax.jit(grasp.observe)  # one program compiles faster than each operation
rewards = jax.jit(grasp.rewards)
DT = 0.02
PALM, OBJECT, BODIES = 1, 14, 15
AWAY = 20.0  # metres: where what does not matter is, high above the ground
STILL = Motion(ang=jnp.zeros((BODIES, 3)), vel=jnp.zeros((BODIES, 3)))


@pytest.fixture(scope="module")
def claw():
    return grasp.Grasp("spring")


@pytest.fixture(scope="module")
def shapes():
    """A ball at each part of the hand; the ends and the object meet the ground."""

    def balls(which, radius):
        return capsules.Capsules(
            jnp.array(which), jnp.zeros((len(which), 2, 3)), jnp.array(radius)
        )

    ends = [4, 7, 10, 13]
    hand = balls([PALM, *range(2, 14)], [0.5] * 13)
    return grasp.Shapes(hand, balls([*ends, OBJECT], [0.5] * 4 + [1.0]))


def bodies(places, rotation=(1, 0, 0, 0)) -> Transform:
    """Bodies at places by index, and the others far away."""
    pos = np.full((BODIES, 3), AWAY)
    for i, place in places.items():
        pos[i] = place
    rot = jnp.tile(jnp.asarray(rotation, float), (BODIES, 1))
    return Transform(jnp.asarray(pos), rot)


def moving(speeds) -> Motion:
    return STILL.replace(
        vel=STILL.vel.at[jnp.array([*speeds])].set(jnp.array([*speeds.values()], float))
    )


def terms_of(x, xd, target, shapes):
    reward, terms = rewards(x, xd, jnp.array(target), shapes, DT)
    return float(reward), {name: float(value) for name, value in terms.items()}


def test_what_is_paid_with_the_object_out_of_reach(shapes):
    """It lies 3 m beside the palm and 4 m below; the target is 10 m further along x."""
    x = bodies({PALM: [0, 0, 5], OBJECT: [3, 0, 1]})
    xd = moving({PALM: [0, 0, -2], OBJECT: [0.5, 7, 0]})
    reward, terms = terms_of(x, xd, [13.0, 0, 1], shapes)
    expected = {
        "hits": 0,
        "moving_to_target": 1.5 * DT * 0.5,
        "moving_to_object": 0.1 * DT * 2 * 4 / 5,
        "close_to_object": 0.1 * DT / (1 + 3),
        "touching_object": 0,
    }
    assert terms == pytest.approx(expected)
    assert reward == pytest.approx(sum(expected.values()))


@pytest.mark.parametrize(("away", "paid"), [(1.09, 5), (1.11, 0)])
def test_an_object_at_the_target_pays_five(away, paid, shapes):
    x = bodies({PALM: [1, 0, 5], OBJECT: [1, 0, 1]})
    reward, terms = terms_of(x, STILL, [1, away, 1], shapes)
    assert terms["hits"] == (paid > 0)
    assert reward == pytest.approx(paid + 0.1 * DT)


def test_fingers_count_and_their_parts_do_not(shapes):
    """Two parts of the first finger and one of the last touch; the third only nears."""
    places = {2: [1.5, 0, 1], 4: [0, 1.51, 1], 13: [0, 0, 2.5], 9: [0, -1.53, 1]}
    x = bodies({PALM: [0, 0, 6], OBJECT: [0, 0, 1]} | places)
    _, terms = terms_of(x, STILL, [9, 0, 1], shapes)
    assert terms["touching_object"] == pytest.approx(0.2 * DT * 2)
    flags = np.flatnonzero(
        observe(x, STILL, jnp.array([9.0, 0, 1]), jnp.zeros(()), shapes)[-16:]
    )
    # Parts 0, 2 and 11 of the fingers, which come after the palm; the object, and, as
    # it lies there, the ground.
    assert flags.tolist() == [1, 3, 12, 13, 14]


def test_what_it_sees(shapes):
    """The palm is at (1, 2, 6) and has turned to the left."""
    quarter = (np.sqrt(0.5), 0, 0, np.sqrt(0.5))
    x = bodies({PALM: [1, 2, 6], OBJECT: [1, 5, 2]}, quarter)
    xd = moving({PALM: [0, 1, 0], OBJECT: [2, 1, 0]})
    target = jnp.array([1.0, 2.0, 8.0])
    seen = np.asarray(observe(x, xd, target, jnp.ones(()), shapes))
    assert seen.shape == (132,)
    np.testing.assert_allclose(seen[:4], [5, 0.6, 0, -0.8], atol=1e-5)  # object
    np.testing.assert_allclose(seen[4:8], [2, 0, 0, 1], atol=1e-5)  # target
    places, speeds = seen[8:56].reshape(16, 3), seen[56:104].reshape(16, 3)
    np.testing.assert_allclose(places[0], 0, atol=1e-5)  # the palm itself
    np.testing.assert_allclose(places[13], [3, 0, -4], atol=1e-5)  # the object
    np.testing.assert_allclose(places[14], [-2, 1, -6], atol=1e-5)  # the ground
    np.testing.assert_allclose(places[15], [0, 0, 2], atol=1e-5)  # the target
    np.testing.assert_allclose(speeds[13], [0, -2, 0], atol=1e-5)
    np.testing.assert_allclose(speeds[14:], [[-1, 0, 0]] * 2, atol=1e-5)
    np.testing.assert_allclose(seen[104:107], [0, 3, -4])  # the way, in the world
    np.testing.assert_allclose(seen[107:110], [0, 1, 0])  # the palm's speed
    np.testing.assert_allclose(seen[110], 0.6, atol=1e-5)  # its part to the object
    way = np.sqrt(9 + 36)  # of the object: -3 along y, 6 up
    direction = np.array([-3, 0, 6]) / way  # as the palm sees it
    np.testing.assert_allclose(seen[111], way, atol=1e-5)
    np.testing.assert_allclose(seen[112:115], direction, atol=1e-5)
    np.testing.assert_allclose(seen[115], -3 / way, atol=1e-5)  # its speed to there
    assert list(seen[116:]) == [0] * 15 + [1]  # nothing touches, the target reached


def test_targets_lie_in_a_cylinder():
    keys = jax.random.split(jax.random.PRNGKey(0), 2000)
    places = np.asarray(jax.vmap(grasp.draw)(keys))
    distance = np.linalg.norm(places[:, :2], axis=1)
    assert 1.1 <= distance.min() < 1.2 and 11 < distance.max() <= 11.1
    assert 0 <= places[:, 2].min() < 0.1 and 7.9 < places[:, 2].max() <= 8
    assert abs(distance.mean() - 6.1) < 0.3 and abs(places[:, 2].mean() - 4) < 0.2


@pytest.mark.parametrize(
    ("goal", "way"), [([1.0, 0, 0], 0.15), ([0, 2.0, 0], 0.3), ([0, 0, 9.0], 0.3)]
)
def test_the_palm_is_sent_a_share_of_two_metres_at_most(goal, way):
    speed = grasp.palm_speed(jnp.zeros(3), jnp.array(goal), DT)
    direction = np.array(goal) / np.linalg.norm(goal)
    np.testing.assert_allclose(speed * DT, way * direction, atol=1e-5)


def test_the_model_is_the_one_that_is_described(claw):
    env = make_environment("grasp")
    assert (env.observation_size, env.action_size) == (132, 19)
    assert env.seconds_per_step == pytest.approx(DT)
    names = env.system.link_names
    assert (names[PALM], names[OBJECT], names[-1]) == ("palm", "object", "target")
    parts = [[names[i].rpartition("_")[2] for i in finger] for finger in grasp.FINGERS]
    assert parts == [["low", "middle", "end"]] * 4
    model = claw.sys.mj_model
    degrees = np.rad2deg(model.jnt_range[model.actuator_trnid[3:, 0]])
    finger = [[-45, 45], [-45, 45], [0, 90], [0, 90]]
    np.testing.assert_allclose(degrees, finger * 4)
    assert (model.actuator_gainprm[3:, 0] == 300).all()
    hand = capsules.capsules_of(model, grasp.ON_OBJECT)
    assert hand.body.tolist() == [PALM, PALM, *range(2, 14)]
    low = capsules.capsules_of(model, grasp.ON_GROUND)
    assert low.body.tolist() == [4, 7, 10, 13, OBJECT]


def test_actions_are_scaled_to_the_ranges_of_the_joints(claw):
    """The least action: a palm at its middle is sent down to its corner."""
    start = SimpleNamespace(q=jnp.zeros(26))
    sent = claw.controls(start, -jnp.ones(19))
    corner = np.array([-10, -10, -5]) / 15  # 15 m away, its length one
    np.testing.assert_allclose(sent[:3] * DT, 0.3 * corner, atol=1e-5)
    quarter = np.pi / 4
    np.testing.assert_allclose(sent[3:], [-quarter, -quarter, 0, 0] * 4, atol=1e-6)
    middle = claw.controls(start, jnp.zeros(19))
    expected = [0, 0, 0] + [0, 0, quarter, quarter] * 4
    np.testing.assert_allclose(middle, expected, atol=1e-6)


@pytest.fixture(scope="module")
def played(claw):
    """The claw, compiled."""
    return SimpleNamespace(reset=jax.jit(claw.reset), step=jax.jit(claw.step))


@pytest.mark.long
def test_the_claw_can_lift_the_object(played):
    """Down over it, the fingers close, and slowly up again."""
    state = played.reset(jax.random.PRNGKey(0))
    opened, closed = np.array([0, 0, -1, -1]), np.array([0.64, 0, 0.15, 0.53])
    for i in range(200):
        height = -1 if i < 110 else -1 + 0.01 * (i - 110)
        fingers = np.tile(opened if i < 60 else closed, 4)
        action = jnp.asarray(np.concatenate([[0, 0, height], fingers]))
        state = played.step(state, action)
    thing = state.pipeline_state.x.pos[OBJECT]
    assert float(thing[2]) > 4 and float(jnp.abs(thing[:2]).max()) < 0.5
    assert float(state.metrics["touching_object"]) == pytest.approx(0.2 * DT * 4)
    assert bool(jnp.isfinite(state.obs).all())


@pytest.mark.long
def test_an_object_that_was_struck_comes_to_rest(played):
    """At the palm's full speed, 15 m/s, it comes to rest after twelve metres."""
    state = played.reset(jax.random.PRNGKey(0))
    physics = state.pipeline_state
    struck = physics.xd_i.replace(vel=physics.xd_i.vel.at[OBJECT, 0].set(15.0))
    state = state.replace(pipeline_state=physics.replace(xd_i=struck))
    for _ in range(150):
        state = played.step(state, jnp.zeros(19))
    now = state.pipeline_state
    assert 11 < float(now.x.pos[OBJECT, 0]) < 13
    assert abs(float(now.xd.vel[OBJECT, 0])) < 0.1
