"""An environment of a user's file: what is wrong is one line, nothing is written."""

import jax.numpy as jnp
import pytest

import bgpbt
from bgpbt import api
from bgpbt.config.errors import BadInput
from bgpbt.config.loading import load_options
from bgpbt.tasks.ppo.environments import make_environment

HEAD = """
import jax
import jax.numpy as jnp
import numpy as np
from bgpbt.environment import Env, EnvState

def reset(key):
    return EnvState(jnp.zeros(()), jnp.zeros(1), 0.0, False)

def step(state, action):
    x = state.physics + 1
    return EnvState(x, x[None], x, x > 1000)

def env(reset=reset, step=step, **others):
    return Env("mine", 1, 1, 1000, 1, 1.0, reset, step)._replace(**others)
"""
BODIES = {
    "not a bgpbt.environment.Env nor one of brax, gymnax, mujoco_playground": (
        "return {}"
    ),
    "the function raises ZeroDivisionError: division by zero, line 18": "return 1 / 0",
    "step raises TypeError": "return env(step=lambda state: state)",
    "reset gives an array [1], not an EnvState": (
        "return env(reset=lambda key: jnp.zeros(1))"
    ),
    "physics is not finite after 17 steps of random actions": (
        "return env(step=lambda s, a: step(s, a)._replace("
        "physics=jnp.where(s.physics > 15, jnp.inf, s.physics + 1)))"
    ),
    "reward is not finite after 5 steps of random actions": (
        "return env(step=lambda s, a: step(s, a)._replace("
        "reward=jnp.where(s.physics > 3, jnp.nan, 1), terminated=s.physics > 3))"
    ),
    "the same key gives another obs after 100 steps": (
        "return env(step=lambda s, a: "
        "step(s, a)._replace(obs=jnp.asarray(np.random.random(1))))"
    ),
    "action_size is 0, give a whole number of at least 1": "return env(action_size=0)",
}


def values(path, **others):
    quick = {
        "num_envs": 32,
        "t_ready": 960,
        "max_timesteps": 960,
        "policy_layers": (4,),
        "value_layers": (4,),
    }
    return quick | {"env_name": f"{path}:f", "save_dir": str(path.parent)} | others


def written(tmp_path, body: str, arguments: str = ""):
    path = tmp_path / "mine.py"
    path.write_text(f"{HEAD}\ndef f({arguments}):\n    {body}\n")
    return path


@pytest.mark.parametrize("why", BODIES)
def test_what_is_wrong_is_one_line(tmp_path, why):
    path = written(tmp_path, BODIES[why])
    with pytest.raises(BadInput) as caught:
        api.dry_run(load_options(values(path)))
    message = str(caught.value)
    assert message.startswith(f"env_name: {path}:f") and why in message
    left = {x.name for x in tmp_path.iterdir()} - {"__pycache__"}
    assert left == {"mine.py"}


def test_an_environment_of_brax_in_wrappers_is_refused(tmp_path):
    path = written(tmp_path, "return envs.create('fast', episode_length=20)")
    path.write_text("from brax import envs\n" + path.read_text())
    with pytest.raises(BadInput, match="AutoResetWrapper ends or resets episodes"):
        api.prepare(load_options(values(path)))


def test_a_class_that_tells_no_arguments_is_one_line(tmp_path):
    path = written(tmp_path, "pass")
    path.write_text("f = dict\n")
    with pytest.raises(BadInput, match="f gives dict, not a bgpbt"):
        api.dry_run(load_options(values(path)))


@pytest.mark.long
def test_a_run_whose_file_changed_its_shapes_is_not_continued(tmp_path, no_figures):
    path = written(tmp_path, "return env()")
    options = load_options(values(path, pop_size=2, quantile_fraction=0.5))
    result = bgpbt.run(options)
    text = path.read_text()
    path.write_text(text.replace('"mine", 1, 1', '"mine", 1, 2'))
    for again in (
        lambda: api.prepare(options),
        lambda: bgpbt.open_run(result.path, run_files=True).policy(),
    ):
        with pytest.raises(BadInput, match="a run of other members") as caught:
            again()
        assert "there" in str(caught.value) and "here" in str(caught.value)
    path.write_text(text)
    assert bgpbt.open_run(result.path, run_files=True).policy()((), jnp.zeros(1))


def test_a_function_that_needs_more_is_one_line(tmp_path):
    path = written(tmp_path, "return needed", "needed")
    with pytest.raises(BadInput, match="function raises TypeError: f\\(\\) missing"):
        api.dry_run(load_options(values(path)))


def test_the_function_gets_the_settings_that_it_names(tmp_path):
    body = "return env(episode_length=episode_length, action_repeat=2)"
    path = written(tmp_path, body, "*, episode_length")
    options = load_options(values(path, episode_length=77))
    env = api.prepare(options).parts.task.playback.env
    assert (env.episode_length, env.action_repeat) == (77, 2)


def test_a_missing_function_is_named(tmp_path):
    path = written(tmp_path, "return env()")
    with pytest.raises(BadInput, match=r"mine\.py has no function 'g', known: reset"):
        api.dry_run(load_options(values(path) | {"env_name": f"{path}:g"}))


def test_a_file_is_heard_and_what_brax_says_is_not(tmp_path, capsys):
    """What Brax prints when it is imported is seen by a long test."""
    path = written(
        tmp_path,
        """import warnings
    from brax.io import mjcf
    print("mine")
    warnings.warn("mine, too")
    mjcf.loads(SMALL)
    return env()""",
    )
    body = "<body><joint/><geom size='.1' fitscale='1'/></body>"
    model = f"<mujoco><worldbody>{body}</worldbody></mujoco>"
    path.write_text(f'{path.read_text()}\nSMALL = """{model}"""\n')
    with pytest.warns(UserWarning) as caught:
        make_environment(f"{path}:f")
    assert capsys.readouterr().out == "mine\n"
    assert [str(warning.message) for warning in caught] == ["mine, too"]
