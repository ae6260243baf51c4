"""Each probe environment isolates one thing that PPO must get right.

One compiled program serves them all. Advantages are not normalised here: normalised,
they drive the policy's width to nothing on a one-step problem whatever the entropy
pays, and the mode then wanders with the noise. As they are, width sqrt(entropy_cost /
2) is where it rests.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bgpbt.environment import Env
from bgpbt.networks.mlp import MLP
from bgpbt.tasks.ppo import actor_critic, normalizer
from bgpbt.tasks.ppo.environments import load_environment_file
from bgpbt.tasks.ppo.tanh_normal import tanh_normal
from bgpbt.tasks.ppo.task import ppo

PROBES = load_environment_file("probes").PROBES
NAMES = tuple(PROBES)
MLPS = {"policy": MLP(2, 2, 1, 16, 16, False), "value": MLP(2, 1, 1, 16, 16, False)}
H = {
    "learning_rate": 1e-3,
    "entropy_cost": 1e-2,
    "discounting": 0.8,
    "gae_lambda": 0.95,
    "clipping_epsilon": 0.2,
    "reward_scaling": 1.0,
    "batch_size": 16,
    "num_update_epochs": 6,
    "unroll_length": 5,
} | {
    f"{b}_{k}": v
    for b in MLPS
    for k, v in (("depth", 1), ("width", 16), ("spectral_norm", 0))
}


def task_of(kind):
    """PPO on the probe of a traced number.

    All probes share their states, so a switch chooses the step.
    """
    probes = [make() for make in PROBES.values()]

    def step(state, action):
        return jax.lax.switch(kind, [probe.step for probe in probes], state, action)

    env = Env("probe", 2, 1, 1000, 1, 1.0, probes[0].reset, step)
    return ppo(env, num_envs=32, space={}, fixed=H, normalize_advantage=False, **MLPS)


@pytest.fixture(scope="module")
def trained():
    """The member after 150 updates on every probe."""
    h = {name: jnp.asarray(value) for name, value in H.items()}
    key_init, key_train = jax.random.split(jax.random.PRNGKey(0))

    @jax.jit
    def learn(kind, updates):
        task = task_of(kind)
        return task.train(key_train, task.init(key_init, h), h, updates, ())

    return {name: learn(kind, 150)[0] for kind, name in enumerate(NAMES)}


def values(state, obs):
    layers, _ = actor_critic.normalised_layers(state.params, state.opt_state, H)
    return actor_critic.value(
        layers, normalizer.normalise(state.statistics, jnp.array(obs, jnp.float32)), H
    )


def modes(state, obs):
    policy = task_of(0).playback.policy(state, {})
    _, distribution = policy(policy.carry, jnp.array(obs, jnp.float32))
    return distribution.mode()[:, 0]


STARTS = [[-1.0, 0.0], [1.0, 0.0]]


def test_a_constant_reward_is_the_value(trained):
    np.testing.assert_allclose(values(trained["constant"], STARTS), [1, 1], atol=0.05)


def test_the_value_follows_the_observation(trained):
    np.testing.assert_allclose(values(trained["observed"], STARTS), [-1, 1], atol=0.1)


def test_a_reward_one_step_away_is_discounted_once(trained):
    both_steps = [[-1.0, 0.0], [1.0, 0.0], [-1.0, 1.0], [1.0, 1.0]]
    np.testing.assert_allclose(
        values(trained["delayed"], both_steps), [0.8, 0.8, 1, 1], atol=0.05
    )


def test_the_best_action_is_found(trained):
    np.testing.assert_allclose(modes(trained["action"], STARTS), [0.5, 0.5], atol=0.05)


def test_the_best_action_follows_the_observation(trained):
    np.testing.assert_allclose(modes(trained["both"], STARTS), [-0.5, 0.5], atol=0.05)


def test_an_action_that_does_not_matter_is_not_chosen(trained):
    """Entropy is all that is left: the policy stays wide where no reward narrows it."""
    h = {name: jnp.asarray(value) for name, value in H.items()}
    wide, narrow = (
        tanh_normal(
            actor_critic.policy_outputs(
                actor_critic.normalised_layers(s.params, s.opt_state, h)[0],
                normalizer.normalise(s.statistics, jnp.array(STARTS)),
                h,
            )
        ).scale
        for s in (trained["constant"], trained["action"])
    )
    assert np.min(wide) > 1.5 * np.max(narrow)
