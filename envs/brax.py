"""Brax environments (Freeman et al., 2021). https://github.com/google/brax"""

import contextlib
import io
import warnings
from collections.abc import Generator
from typing import Any

import jax
import jax.numpy as jnp

from bgpbt.config.errors import BadInput
from bgpbt.environment import Env, EnvState, Step, repeated
from bgpbt.execution.trees import strong

Array = jax.Array
BACKENDS = ("generalized", "positional", "spring", "mjx")
# Brax's probe of speed: it has no bodies and no clock.
WITHOUT_BODIES = ("fast",)


def make(name: str, *, backend: str, episode_length: int, action_repeat: int) -> Env:
    """Builds a Brax environment.

    Args:
      name: Brax's name of the environment.
      backend: physics pipeline, one of `BACKENDS`.
      episode_length: environment steps until an episode is cut off.
      action_repeat: environment steps per action.
    """
    return wrap(
        _load(name, backend),
        name=name,
        episode_length=episode_length,
        action_repeat=action_repeat,
    )


def wrap(brax_env: Any, *, name: str, episode_length: int, action_repeat: int) -> Env:
    """Makes an environment of one of Brax's.

    Args:
      brax_env: a `brax.envs.Env`, without wrappers that end episodes.
      name: of the environment.
      episode_length: environment steps until an episode is cut off.
      action_repeat: environment steps per action.

    Raises:
      BadInput: it is in a wrapper that ends episodes.
    """
    _check_unwrapped(name, brax_env)
    # Brax's own `observation_size` would run a reset operation by operation, and
    # compile each of them.
    key = jax.eval_shape(lambda: jax.random.PRNGKey(0))
    shapes = jax.eval_shape(brax_env.reset, key)
    system = None if name in WITHOUT_BODIES else getattr(brax_env, "sys", None)
    return Env(
        name=name,
        observation_size=sum(x.size for x in jax.tree.leaves(shapes.obs)),
        action_size=brax_env.action_size,
        episode_length=episode_length,
        action_repeat=action_repeat,
        seconds_per_step=1.0 if system is None else float(brax_env.dt),
        reset=lambda key: _to_env_state(brax_env.reset(key)),
        step=repeated(_make_step(brax_env, shapes.metrics), action_repeat),
        system=system,
        pose=None if system is None else _pose,
    )


def _check_unwrapped(name: str, brax_env: Any) -> None:
    from brax.envs.wrappers.training import AutoResetWrapper, EpisodeWrapper

    inside = brax_env
    while inside is not None:
        if isinstance(inside, AutoResetWrapper | EpisodeWrapper):
            raise BadInput(
                f"env_name: {name}: {type(inside).__name__} ends or resets episodes, "
                "which bgpbt does; give what is inside, or brax.envs.get_environment()",
                "env_name",
            )
        inside = vars(inside).get("env")


def _load(name: str, backend: str) -> Any:
    # Brax warns at import that its physics are no longer maintained, MJX prints that it
    # found no Warp.
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        from brax import envs as brax_envs

        with _quiet_mujoco():
            return brax_envs.get_environment(name, backend=backend)


@contextlib.contextmanager
def _quiet_mujoco() -> Generator[None]:
    """Drops MuJoCo's warnings: it would log them in the working folder, and print them.

    They say that attributes in Brax's models are deprecated.
    """
    import mujoco

    before = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(lambda text: None)
    try:
        yield
    finally:
        mujoco.set_mju_user_warning(before)


def _to_env_state(state: Any) -> EnvState:
    """Converts a state of Brax."""
    physics = (state.pipeline_state, state.info)
    env_state = EnvState(
        physics, state.obs, state.reward, state.done > 0.5, metrics=state.metrics
    )
    return jax.tree.map(strong, env_state)


def _make_step(brax_env: Any, metrics: dict) -> Step:
    """Builds the step function; `metrics` are the shapes of Brax's metrics."""
    from brax.envs.base import State

    def step(state: EnvState, action: Array) -> EnvState:
        pipeline_state, info = state.physics
        zeros = {name: jnp.zeros(m.shape, m.dtype) for name, m in metrics.items()}
        done = state.terminated.astype(state.reward.dtype)
        brax_state = State(
            pipeline_state, state.obs, state.reward, done, zeros, dict(info)
        )
        return _to_env_state(brax_env.step(brax_state, action))

    return step


def _pose(state: EnvState) -> tuple[Array, Array]:
    transform = state.physics[0].x
    return transform.pos, transform.rot
