"""What robots with targets share, on one whose physics stand still."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from brax.base import Motion, Transform

from bgpbt.tasks.ppo.environments import load_environment_file

ur5e = load_environment_file("ur5e")
PLACE = jnp.array([0.3, 0.0, 0.5])  # of all its bodies


@pytest.fixture(scope="module")
def arm():
    """The arm, whose step moves nothing, so that nothing large is compiled."""
    arm = ur5e.Ur5e("spring")
    arm.pipeline_step = lambda state, action: state
    return arm


@pytest.mark.parametrize(("place", "hit"), [(0.31, True), (0.4, False)])
def test_a_target_that_is_reached_jumps_and_is_drawn_and_seen_there(arm, place, hit):
    shapes = jax.eval_shape(arm.reset, jax.random.PRNGKey(0))
    state = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    x = Transform(jnp.tile(PLACE, (6, 1)), jnp.tile(jnp.array([1.0, 0, 0, 0]), (6, 1)))
    still = Motion(ang=jnp.zeros((6, 3)), vel=jnp.zeros((6, 3)))
    pose = state.pipeline_state.replace(x=x, xd=still)
    info = {"target": PLACE.at[0].set(place), "key": jax.random.PRNGKey(1)}
    after = jax.jit(arm.step)(
        state.replace(pipeline_state=pose, info=info), jnp.zeros(6)
    )
    target = after.info["target"]
    assert bool(after.metrics["hits"]) is hit
    assert (not np.array_equal(target, info["target"])) is hit
    np.testing.assert_allclose(after.obs[0], jnp.linalg.norm(target - PLACE), atol=1e-6)
    positions, _ = arm.shown(after.pipeline_state, after.info)
    np.testing.assert_array_equal(positions[-1], target)
    assert not np.array_equal(after.info["key"], info["key"])
    assert float(after.done) == 0
