"""Environments of MuJoCo Playground: the contract, what is not here, and a run."""

import json

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
from bgpbt.tasks.ppo.adapted import adapted
from bgpbt.tasks.ppo.environments import load_environment_file, make_environment

pytestmark = pytest.mark.playground
SMALL = FAMILY | {
    "env_name": "playground:CartpoleBalance",
    "t_ready": 9_600,
    "max_timesteps": 19_200,
    "episode_length": 200,
    "report_episodes": 4,
    "render": False,
}


@pytest.fixture(scope="module")
def cartpole():
    """The environment, compiled."""
    env = make_environment("playground:CartpoleBalance")
    return env._replace(reset=jax.jit(env.reset), step=jax.jit(env.step))


def test_the_contract(cartpole, compilations):
    assert (cartpole.observation_size, cartpole.action_size) == (5, 1)
    assert (cartpole.episode_length, cartpole.action_repeat) == (1000, 1)
    check_environment("playground:CartpoleBalance", cartpole)
    state = cartpole.step(cartpole.reset(jax.random.PRNGKey(0)), jnp.zeros(1))
    compilations.clear()
    cartpole.step(state, jnp.zeros(1))
    assert not compilations


def test_steps_are_those_of_playground(cartpole):
    """Without its wrappers: the same observations and rewards as its own `step`."""
    from mujoco_playground import registry

    theirs = registry.load("CartpoleBalance", config_overrides={"impl": "jax"})
    key, push = jax.random.PRNGKey(3), jnp.full(1, 0.7)
    state, their_state = cartpole.reset(key), jax.jit(theirs.reset)(key)
    their_step = jax.jit(theirs.step)
    for _ in range(20):
        np.testing.assert_allclose(state.obs, their_state.obs, rtol=1e-5, atol=1e-6)
        state, their_state = cartpole.step(state, push), their_step(their_state, push)
        np.testing.assert_allclose(state.reward, their_state.reward, rtol=1e-5)
        assert not bool(state.terminated)
    position, rotation = jax.jit(cartpole.pose)(state)
    assert position.shape == (2, 3) and rotation.shape == (2, 4)
    assert float(position[0, 0]) > 0.01  # it was pushed


def test_physics_that_diverge_end_the_episode(cartpole):
    state = cartpole.reset(jax.random.PRNGKey(0))
    lost = state.physics | {"0.qvel": state.physics["0.qvel"] * jnp.nan}
    state = cartpole.step(state._replace(physics=lost), jnp.zeros(1))
    assert bool(state.terminated)


def test_the_integration_state_is_all_that_a_step_reads():
    """With contacts: the same steps as where all physics are kept.

    What is not kept is NaN. The two programs round differently.
    """
    name = "WalkerRun"
    settings = {"backend": "spring", "episode_length": 1000, "action_repeat": 1}
    env = load_environment_file("mujoco_playground").make(name, **settings)

    kept = adapted(name, env)
    everything = adapted(name, env._replace(saved=None))
    rollouts = [_rollout(env) for env in (kept, everything)]
    for one, other in zip(*rollouts, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)
    assert 10 * _bytes(kept) < _bytes(everything)


def _rollout(env):
    """Observations and rewards of a few random actions."""

    def decide(state, key):
        action = jax.random.uniform(key, (env.action_size,), minval=-1)
        state = env.step(state, action)
        return state, (state.obs, state.reward)

    def play(key):
        return jax.lax.scan(decide, env.reset(key), jax.random.split(key, 3))[1]

    return jax.jit(play)(jax.random.PRNGKey(0))


def _bytes(env) -> int:
    shapes = jax.eval_shape(env.reset, jax.random.PRNGKey(0)).physics
    return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(shapes))


def test_unknown_names_are_one_line():
    with pytest.raises(BadInput, match="no 'CartpolBalance', nearest: CartpoleBalance"):
        make_environment("playground:CartpolBalance")


def test_what_needs_models_of_robots_says_so_and_downloads_nothing(
    monkeypatch, tmp_path
):
    from mujoco_playground._src import mjx_env

    def clone(*args):
        raise AssertionError("something is downloaded")

    monkeypatch.setattr(mjx_env, "_clone_with_progress", clone)
    monkeypatch.setattr(mjx_env, "MENAGERIE_PATH", tmp_path / "menagerie")
    names = load_environment_file("mujoco_playground").names
    assert "CartpoleBalance" in names() and "Go1Getup" not in names()
    with pytest.raises(BadInput, match=r"needs the models .* put them into .*menag"):
        make_environment("playground:Go1Getup")
    (tmp_path / "menagerie").mkdir()
    assert "Go1Getup" in names()


@pytest.mark.parametrize("installed", [False, True])
def test_warp_that_cannot_run_is_one_line(monkeypatch, installed):
    from mujoco.mjx import warp

    monkeypatch.setattr(warp, "WARP_INSTALLED", installed)
    problem = "a GPU with CUDA, JAX runs on cpu" if installed else "pip install warp"
    with pytest.raises(BadInput, match=f"backend: warp needs .*{problem}"):
        make_environment("playground:CartpoleBalance", backend="warp")


def test_warp_computes_the_same_steps(monkeypatch, cartpole):
    """It also runs on a CPU, too slowly to train there."""
    file = load_environment_file("mujoco_playground")
    monkeypatch.setattr(file, "_check_warp", lambda instead: None)
    env = make_environment("playground:CartpoleBalance", backend="warp")
    key, push = jax.random.PRNGKey(3), jnp.full(1, 0.7)
    on_warp, in_jax = jax.jit(env.reset)(key), cartpole.reset(key)
    step = jax.jit(env.step)
    for _ in range(5):
        on_warp, in_jax = step(on_warp, push), cartpole.step(in_jax, push)
        np.testing.assert_allclose(on_warp.obs, in_jax.obs, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(on_warp.reward, in_jax.reward, rtol=1e-4)
    for there, here in zip(
        jax.jit(env.pose)(on_warp), jax.jit(cartpole.pose)(in_jax), strict=True
    ):
        np.testing.assert_allclose(there, here, rtol=1e-4, atol=1e-5)


OWN = """
from mujoco_playground import registry, wrapper

def load(impl="jax"):
    return registry.load("CartpoleBalance", config_overrides={"impl": impl})

def wrapped():
    return wrapper.wrap_for_brax_training(load())

def on_warp():
    return load("warp")

def shaped():
    env = load()
    seen = env._get_obs

    def two(data, info):
        obs = seen(data, info)
        return {"state": obs[:3], "privileged_state": obs}

    env._get_obs = two
    return env
"""


def test_a_users_file(tmp_path):
    """The policy sees `state` alone; wrappers and Warp on a CPU are refused."""
    file = tmp_path / "mine.py"
    file.write_text(OWN)
    env = make_environment(f"{file}:shaped")
    state = jax.jit(env.reset)(jax.random.PRNGKey(0))
    hidden = state.physics["2.privileged_state"]
    assert env.observation_size == 3 and env.name == "mine_shaped"
    np.testing.assert_array_equal(state.obs, hidden[:3])
    after = jax.jit(env.step)(state, jnp.zeros(1))
    np.testing.assert_array_equal(after.obs, after.physics["2.privileged_state"][:3])
    with pytest.raises(BadInput, match="Wrapper ends or resets episodes"):
        make_environment(f"{file}:wrapped")
    with pytest.raises(BadInput, match=r"a GPU .* config_overrides={'impl': 'jax'}"):
        make_environment(f"{file}:on_warp")


def test_the_list_of_environments_has_them(capsys):
    assert main(["envs"]) == 0
    out = capsys.readouterr().out
    assert "playground:WalkerRun" in out and "Go1" not in out
    assert main(["envs", "playground:PendulumSwingup"]) == 0
    assert "no: cannot draw geom 'base'" in capsys.readouterr().out


def test_a_run(tmp_path):
    """It pays up to 1 a step, 200 steps; the versions of its packages are told."""
    result = bgpbt.run(load_options(SMALL | {"save_dir": str(tmp_path)}))
    assert result.path == tmp_path / "CartpoleBalance_pbt_hpo" / "seed_0"
    assert 50 < result.report["mean"] < 200
    assert result.has_renderer
    versions = json.loads((result.path / "environment.json").read_text())
    assert {"mujoco_playground", "mujoco", "mujoco-mjx"} <= set(versions)
