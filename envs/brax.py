"""Brax environments (Freeman et al., 2021). https://github.com/google/brax"""

import contextlib
import io
import warnings
from collections.abc import Generator
from typing import Any

import jax
import jax.numpy as jnp

from bgpbt.environment import Env, EnvState, Step

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
      action_repeat: environment steps per action; their rewards are summed, up to and
        including a terminal one.
    """
    brax_env = _load(name, backend)
    # Brax's own `observation_size` would run a reset operation by operation, and
    # compile each of them.
    key = jax.eval_shape(lambda: jax.random.PRNGKey(0))
    shapes = jax.eval_shape(brax_env.reset, key)
    has_bodies = name not in WITHOUT_BODIES
    return Env(
        name=name,
        observation_size=shapes.obs.shape[-1],
        action_size=brax_env.action_size,
        episode_length=episode_length,
        action_repeat=action_repeat,
        seconds_per_step=float(brax_env.dt) if has_bodies else 1.0,
        reset=lambda key: _to_env_state(brax_env.reset(key)),
        step=_make_step(brax_env, shapes.metrics, action_repeat),
        system=brax_env.sys if has_bodies else None,
        pose=_pose if has_bodies else None,
    )


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


def _strong(x: Any) -> Array:
    """The same values without a weak type.

    A weak type would make the second call of a program another program.
    """
    x = jnp.asarray(x)
    return jax.lax.convert_element_type(x, x.dtype)


def _to_env_state(state: Any) -> EnvState:
    """Converts a state of Brax."""
    physics = (state.pipeline_state, state.info)
    env_state = EnvState(physics, state.obs, state.reward, state.done > 0.5)
    return jax.tree.map(_strong, env_state)


def _make_step(brax_env: Any, metrics: dict, action_repeat: int) -> Step:
    """Builds the step function; `metrics` are the shapes of Brax's metrics."""
    from brax.envs.base import State

    def step_once(state: EnvState, action: Array) -> EnvState:
        pipeline_state, info = state.physics
        zeros = {name: jnp.zeros(m.shape, m.dtype) for name, m in metrics.items()}
        done = state.terminated.astype(state.obs.dtype)
        brax_state = State(
            pipeline_state, state.obs, state.reward, done, zeros, dict(info)
        )
        return _to_env_state(brax_env.step(brax_state, action))

    def step_repeatedly(state: EnvState, action: Array) -> EnvState:
        def body(carry: tuple, _: None) -> tuple[tuple, None]:
            state, total, ended = carry
            state = step_once(state, action)
            total = total + jnp.where(ended, 0, state.reward)
            return (state, total, ended | state.terminated), None

        carry = (state, jnp.zeros_like(state.reward), jnp.zeros_like(state.terminated))
        (state, total, ended), _ = jax.lax.scan(body, carry, None, action_repeat)
        return state._replace(reward=total, terminated=ended)

    return step_once if action_repeat == 1 else step_repeatedly


def _pose(state: EnvState) -> tuple[Array, Array]:
    transform = state.physics[0].x
    return transform.pos, transform.rot
