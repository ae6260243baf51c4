"""The distribution over choices, against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bgpbt.environment import Env
from bgpbt.tasks.ppo.categorical import Categorical
from bgpbt.tasks.ppo.distributions import CHOICES, NUMBERS, distribution_of

LOGITS = np.array([[0.3, -1.2, 2.0], [1.0, 1.0, 1.0]], np.float32) + 7
PROBABILITIES = np.exp(LOGITS) / np.exp(LOGITS).sum(-1, keepdims=True)


@pytest.fixture
def dist():
    return Categorical(jnp.asarray(LOGITS))


def test_choices_are_as_frequent_as_they_are_likely(dist):
    noise = CHOICES.noise(jax.random.PRNGKey(0), (50_000, 2, 3))
    chosen = np.asarray(dist.sample(noise))
    assert chosen.shape == (50_000, 2) and chosen.dtype == np.int32
    for row in range(2):
        frequency = np.bincount(chosen[:, row], minlength=3) / len(chosen)
        np.testing.assert_allclose(frequency, PROBABILITIES[row], atol=0.01)


def test_log_probabilities_are_those_of_the_choices(dist):
    for choice in range(3):
        log_prob = dist.log_prob(jnp.full(2, choice, jnp.int32))
        np.testing.assert_allclose(log_prob, np.log(PROBABILITIES[:, choice]), 1e-5)


def test_the_mode_is_the_likeliest_choice(dist):
    assert dist.mode().dtype == jnp.int32 and int(dist.mode()[0]) == 2
    np.testing.assert_array_equal(dist.action(dist.mode()), dist.mode())


def test_the_entropy_is_exact(dist):
    expected = -(PROBABILITIES * np.log(PROBABILITIES)).sum(-1)
    np.testing.assert_allclose(dist.entropy(jnp.zeros((2, 3))), expected, 1e-5)


def test_the_divergence_is_that_of_the_probabilities(dist):
    other = Categorical(jnp.asarray(LOGITS[::-1].copy()))
    expected = (PROBABILITIES * np.log(PROBABILITIES / PROBABILITIES[::-1])).sum(-1)
    np.testing.assert_allclose(dist.kl(other), expected, 1e-4)
    np.testing.assert_allclose(dist.kl(dist), 0, atol=1e-7)


def test_an_environment_decides_the_kind():
    env = Env("any", 2, 3, 10, 1, 1.0, lambda key: None, lambda state, action: None)
    assert (
        distribution_of(env) is NUMBERS
        and distribution_of(env._replace(discrete=True)) is CHOICES
    )
