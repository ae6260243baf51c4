"""Environments on Brax: each family of physics, ours, and what is refused."""

import numpy as np
import pytest

from bgpbt.assembly.environment_contract import check_environment
from bgpbt.config.errors import BadInput
from bgpbt.config.loading import load_options
from bgpbt.tasks.ppo.environments import make_environment

PLAYED = [
    ("swimmer", "generalized"),
    ("inverted_pendulum", "positional"),
    ("inverted_pendulum", "mjx"),
    ("fetch", "spring"),
    ("grasp", "spring"),
    ("ur5e", "spring"),
]


@pytest.mark.long
@pytest.mark.parametrize(("name", "backend"), PLAYED)
def test_it_is_played_saved_and_goes_on(name, backend):
    """`scripts/backends.py` plays all of them on all engines."""
    check_environment(name, make_environment(name, backend=backend))


def test_a_backend_that_an_environment_lacks_is_one_line():
    with pytest.raises(BadInput) as caught:
        make_environment("swimmer", backend="spring")
    line = "backend: swimmer does not run on spring, give -b generalized"
    assert str(caught.value) == line
    assert load_options({"env_name": "swimmer"}).backend == "generalized"


def test_only_the_fluids_of_brax_get_another_clip():
    import brax.fluid
    import jax.numpy as jnp

    make_environment("swimmer", backend="generalized")
    clipped = brax.fluid.jp.clip(jnp.array([-1.0, 2.0]), a_min=1e-12)
    np.testing.assert_array_equal(clipped, np.array([1e-12, 2], np.float32))
    assert jnp.clip is not brax.fluid.jp.clip and brax.fluid.jp.sqrt is jnp.sqrt
