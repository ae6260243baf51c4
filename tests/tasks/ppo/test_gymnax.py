"""Environments of gymnax: the contract, scales, endings, and learning."""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from agent_runs import FAMILY

import bgpbt
from bgpbt.assembly.environment_contract import check_environment
from bgpbt.cli.command import main
from bgpbt.config.errors import BadInput
from bgpbt.config.loading import load_options
from bgpbt.tasks.ppo.environments import make_environment

pytestmark = pytest.mark.gymnax
RE_FLAGS = re.DOTALL | re.MULTILINE
SMALL = FAMILY | {"t_ready": 24_000, "report_episodes": 32}


@pytest.mark.parametrize(
    "name",
    ["CartPole-v1", "Pendulum-v1", "Breakout-MinAtar", "Catch-bsuite"],
)
def test_the_contract(name, compilations):
    env = make_environment(f"gymnax:{name}")
    check_environment(f"gymnax:{name}", env)
    step = jax.jit(env.step)
    action = jnp.int32(0) if env.discrete else jnp.zeros(env.action_size)
    state = step(jax.jit(env.reset)(jax.random.PRNGKey(0)), action)
    compilations.clear()
    step(state, action)
    assert not compilations


def test_steps_are_those_of_gymnax():
    """Without its reset: the same states, rewards and ends as its own `step_env`."""
    import gymnax

    theirs, params = gymnax.make("CartPole-v1")
    ours = make_environment("gymnax:CartPole-v1")
    key = jax.random.PRNGKey(3)
    state = ours.reset(key)
    their_obs, their_state = theirs.reset_env(jax.random.split(key)[0], params)
    for _ in range(20):  # it falls after about ten
        np.testing.assert_array_equal(state.obs, their_obs)
        state = ours.step(state, jnp.int32(1))
        their_obs, their_state, reward, terminated, _ = theirs.step_env(
            key, their_state, 1, params
        )
        assert float(state.reward) == float(reward)
        assert bool(state.terminated) == bool(terminated)
    assert bool(state.terminated) and not bool(state.truncated)


def test_its_own_clock_truncates_and_the_lower_limit_holds():
    assert make_environment("gymnax:Pendulum-v1").episode_length == 200
    short = make_environment("gymnax:Pendulum-v1", episode_length=50)
    assert short.episode_length == 50
    env = make_environment("gymnax:Pendulum-v1", action_repeat=100)
    state = env.reset(jax.random.PRNGKey(0))
    ends = []
    for _ in range(2):
        state = env.step(state, jnp.zeros(1))
        ends.append((bool(state.terminated), bool(state.truncated)))
    assert ends == [(False, False), (False, True)]


def test_boxes_of_actions_are_scaled():
    """Pendulum takes torques in [-2, 2]."""
    import gymnax

    theirs, params = gymnax.make("Pendulum-v1")
    ours = make_environment("gymnax:Pendulum-v1")
    key = jax.random.PRNGKey(0)
    state = ours.reset(key)
    their_state = state.physics[0]
    for action, torque in ((-1.0, -2.0), (0.5, 1.0)):
        moved = ours.step(state, jnp.array([action])).obs
        expected = theirs.step_env(key, their_state, jnp.array([torque]), params)[0]
        np.testing.assert_allclose(moved, expected, rtol=1e-6)


def test_a_users_file_may_change_parameters(tmp_path):
    file = tmp_path / "mine.py"
    page = Path(bgpbt.__file__).parents[1] / "docs/environments.md"
    (example,) = re.findall(r"import gymnax\n.*?(?=^```)", page.read_text(), RE_FLAGS)
    file.write_text(
        f"{example}\ndef plain():\n    return gymnax.make('CartPole-v1')[0]\n"
    )
    names = ("heavy_pole", "plain")
    heavy, plain = (make_environment(f"{file}:{name}") for name in names)
    key = jax.random.PRNGKey(0)
    pushed = [env.step(env.reset(key), jnp.int32(1)).obs for env in (heavy, plain)]
    assert heavy.name == "mine_heavy_pole" and not np.array_equal(*pushed)
    same = make_environment("gymnax:CartPole-v1")
    np.testing.assert_array_equal(
        pushed[1], same.step(same.reset(key), jnp.int32(1)).obs
    )


def test_unknown_names_are_one_line():
    with pytest.raises(BadInput, match="gymnax has no 'CartPol', nearest: CartPole-v1"):
        make_environment("gymnax:CartPol")


def test_the_list_of_environments_has_them(capsys):
    assert main(["envs"]) == 0
    out = capsys.readouterr().out
    assert "gymnax:CartPole-v1" in out and "cannot be imported" not in out


def test_all_of_one_of_them(capsys):
    assert main(["envs", "gymnax:CartPole-v1"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["environment", "gymnax:CartPole-v1"]
    assert ["actions", "2", "choices"] in lines
    assert ["episode", "at", "most", "500", "steps"] in lines


def test_choices_are_learnt(tmp_path):
    """CartPole pays each step: the best of four untrained about 95, the limit 500."""
    values = {"env_name": "gymnax:CartPole-v1", "max_timesteps": 48_000}
    result = bgpbt.run(load_options(SMALL | values | {"save_dir": str(tmp_path)}))
    assert result.path == tmp_path / "CartPole-v1_pbt_hpo" / "seed_0"
    assert result.report["mean"] > result.report["untrained_mean"] + 150
    action = result.policy()((), jnp.zeros((2, 4)))[1].mode()
    assert action.shape == (2,) and action.dtype == jnp.int32


def test_numbers_are_learnt(tmp_path):
    """Pendulum costs up to 16 a step, 200 steps: untrained about -1,340 at best."""
    values = {"env_name": "gymnax:Pendulum-v1", "max_timesteps": 72_000}
    result = bgpbt.run(load_options(SMALL | values | {"save_dir": str(tmp_path)}))
    assert result.report["mean"] > result.report["untrained_mean"] + 500
