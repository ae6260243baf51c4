"""A student of another architecture learns what its teacher does.

It sees observations through its own normaliser.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bgpbt.environment import Env
from bgpbt.networks.mlp import MLP
from bgpbt.space import Float, Integer
from bgpbt.tasks import distillation
from bgpbt.tasks.ppo import actor_critic, normalizer
from bgpbt.tasks.ppo.environments import load_environment_file
from bgpbt.tasks.ppo.tanh_normal import tanh_normal
from bgpbt.tasks.ppo.task import ppo
from bgpbt.types import Distillation

PROBES = load_environment_file("probes").PROBES
H = {
    "entropy_cost": 1e-3,
    "discounting": 0.8,
    "gae_lambda": 0.95,
    "clipping_epsilon": 0.2,
    "reward_scaling": 0.1,
    "batch_size": 16,
    "unroll_length": 5,
    "value_depth": 1,
    "value_width": 16,
    "value_spectral_norm": 0,
    "policy_spectral_norm": 0,
}
SPACE = {
    "policy_depth": Integer(1, 2, 1, group="policy"),
    "policy_width": Integer(8, 16, 16, doubling=True, group="policy"),
    "learning_rate": Float(1e-5, 1e-1, 1e-3, log=True),
    "num_update_epochs": Integer(1, 8, 4),
}
TEACHER = [0.99, 0.01, 0.5, 0.5]  # 2 layers of 8
STUDENT = [0.01, 0.99, 0.0, 0.0]  # 1 layer of 16, learning hardly at all
OBS = jnp.array([[-1.0, 0.0], [1.0, 0.0]])  # all that this probe ever shows


def task_of(depth: int, width: int):
    probe = PROBES["observed"]()
    env = Env("probe", 2, 1, 1000, 1, 1.0, probe.reset, probe.step)
    mlps = {
        "policy": MLP(2, 2, depth, width, 16, False),
        "value": MLP(2, 1, 1, 16, 16, False),
    }
    return ppo(env, num_envs=32, space=SPACE, fixed=H, **mlps)


def natural(config):
    depth, width, rate, epochs = config
    return {
        "policy_depth": 1 + (depth > 0.5),
        "policy_width": 8 * (1 + (width > 0.5)),
        "learning_rate": 1e-5 if rate == 0 else 1e-3,
        "num_update_epochs": 1 if epochs == 0 else 4,
    }


def dist(state, config):
    h = H | natural(config)
    layers, _ = actor_critic.normalised_layers(state.params, state.opt_state, h)
    obs = normalizer.normalise(state.statistics, OBS)
    return tanh_normal(actor_critic.policy_outputs(layers, obs, h))


@pytest.fixture(scope="module")
def teacher():
    """An opinionated policy in a program padded to 2 layers of 32.

    It is used to other observations than the student's.
    """
    state = task_of(2, 32).init(jax.random.PRNGKey(7), natural(TEACHER))
    policy = jax.tree.map(lambda x: 1.5 * x, state.params["policy"])
    statistics = normalizer.update(
        state.statistics, 2 * jax.random.normal(jax.random.PRNGKey(8), (100, 2)) + 1
    )
    return state._replace(
        params=state.params | {"policy": policy}, statistics=statistics, env_state=()
    )


@pytest.fixture(scope="module")
def learn(teacher):
    task = task_of(2, 16)
    student = task.init(jax.random.PRNGKey(0), natural(STUDENT))

    @jax.jit
    def train(steps_done, steps_total, teacher):
        teaching = Distillation(
            teacher, jnp.array(TEACHER), steps_done, steps_total, natural(TEACHER)
        )
        h = {name: jnp.asarray(x) for name, x in natural(STUDENT).items()}
        return task.train(jax.random.PRNGKey(1), student, h, 60, teaching)[0]

    return student, lambda steps_done, steps_total: train(
        jnp.float32(steps_done), jnp.float32(steps_total), teacher
    )


def divergence(teacher, student):
    return float(jnp.mean(dist(teacher, TEACHER).kl(dist(student, STUDENT))))


@pytest.mark.long
def test_the_student_comes_to_act_like_its_teacher(teacher, learn):
    """60 updates with alpha 1.

    At its own learning rate of 1e-5 and one epoch it would hardly move.
    """
    student, train = learn
    before, after = divergence(teacher, student), divergence(teacher, train(0, 1e9))
    assert after < 0.1 * before, (before, after)


@pytest.mark.long
def test_a_teacher_that_has_faded_counts_less(teacher, learn):
    _, train = learn
    assert divergence(teacher, train(0, 1e9)) < 0.5 * divergence(
        teacher, train(1e9, 1e9)
    )


def test_alpha_falls_over_the_first_four_fifths():
    for steps_done, expected in (
        (0, 1),
        (400, 0.525),
        (800, 0.05),
        (1000, 0.05),
        (2000, 0.05),
    ):
        assert distillation.alpha(steps_done, 1000) == pytest.approx(expected)


def test_the_weight_goes_on_where_the_last_round_stopped():
    teaching = Distillation((), (), 300.0, 1000.0)
    np.testing.assert_allclose(
        distillation.weight(teaching, 100.0), 5 * 0.525, rtol=1e-6
    )
