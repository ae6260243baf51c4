"""The LSTM of agents that remember."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bgpbt.networks.recurrent import RecurrentActorCritic

INPUTS, UNITS, ACTIONS = 7, 6, 3


@pytest.fixture
def network():
    return RecurrentActorCritic(ACTIONS, units=UNITS)


@pytest.fixture
def params(network):
    return network.init(jax.random.PRNGKey(0), network.nothing(), jnp.zeros(INPUTS))


def test_it_steps_as_flaxs_cell_with_the_same_weights(network, params):
    own = params["params"]
    noisy = jax.random.normal(jax.random.PRNGKey(1), (4 * UNITS,))
    own["seen"]["bias"] = noisy
    cell = nn.OptimizedLSTMCell(UNITS)
    theirs = {}
    for i, gate in enumerate(("i", "f", "o", "g")):
        part = slice(i * UNITS, (i + 1) * UNITS)
        theirs[f"i{gate}"] = {"kernel": own["seen"]["kernel"][:, part]}
        theirs[f"h{gate}"] = {
            "kernel": own["before"]["kernel"][:, part],
            "bias": noisy[part],
        }
    memory = expected = jax.random.normal(jax.random.PRNGKey(2), (2, UNITS))
    memory, expected = tuple(memory), tuple(expected)
    for step in range(3):
        x = jax.random.normal(jax.random.PRNGKey(3 + step), (INPUTS,))
        memory, _, _ = network.step(params, memory, x)
        expected, _ = cell.apply({"params": theirs}, expected, x)
        np.testing.assert_allclose(memory, expected, rtol=1e-5, atol=1e-6)


def test_its_weights_are_drawn_as_in_the_reference(params):
    own = params["params"]
    for name in ("seen", "before"):
        kernel = own[name]["kernel"]  # fewer rows than columns: they are orthonormal
        assert kernel @ kernel.T == pytest.approx(np.eye(len(kernel)), abs=1e-5)
    assert "bias" not in own["before"] and not own["seen"]["bias"].any()
    assert np.linalg.norm(own["Dense_0"]["kernel"], axis=0) == pytest.approx(
        [0.01] * ACTIONS, rel=1e-4
    )
    assert np.linalg.norm(own["Dense_1"]["kernel"]) == pytest.approx(1, rel=1e-4)
