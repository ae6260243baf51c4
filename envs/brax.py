"""Brax environments (Freeman et al., 2021). https://github.com/google/brax"""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import jax
import jax.numpy as jnp

from bgpbt.config.errors import BadInput
from bgpbt.environment import Env, EnvState, Pose, Step, repeated
from bgpbt.execution.trees import strong

from .quiet import quiet_brax
from .wrappers import check_unwrapped

Array = jax.Array
BACKENDS = ("generalized", "positional", "spring", "mjx")
# What ends or resets episodes, which bgpbt does.
WRAPPERS = ("AutoResetWrapper", "EpisodeWrapper")
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
        load(name, backend),
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
    check_unwrapped(name, brax_env, WRAPPERS, "brax.envs.get_environment()")
    # Brax's own `observation_size` would run a reset operation by operation, and
    # compile each of them.
    key = jax.eval_shape(lambda: jax.random.PRNGKey(0))
    shapes = jax.eval_shape(brax_env.reset, key)
    system, pose = (None, None) if name in WITHOUT_BODIES else _picture(brax_env)
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
        pose=pose,
    )


def load(name: str, backend: str) -> Any:
    """Brax's environment, or ours on Brax: that of `envs/<name>.py`.

    Args:
      name: Brax's name of the environment, or ours.
      backend: physics pipeline, one of `BACKENDS`.

    Raises:
      BadInput: it does not run on this backend.
    """
    with quiet_brax():
        if not find_spec(f".{name}", __package__):
            from brax import envs as brax_envs

            return brax_envs.get_environment(name, backend=backend)
        ours = import_module(f".{name}", __package__)
        known = getattr(ours, "BACKENDS", BACKENDS)
        if backend not in known:
            raise BadInput(
                f"backend: {name} does not run on {backend}, "
                f"give -b {' or '.join(known)}",
                "backend",
            )
        return ours.make(backend)


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


def _picture(brax_env: Any) -> tuple[Any, Pose | None]:
    """What a GIF shows, and where its bodies are.

    An environment that has more to show than bodies has `picture`, a system of all of
    it, and `shown`, which reads their poses.
    """
    if hasattr(brax_env, "picture"):
        return brax_env.picture, lambda state: brax_env.shown(*state.physics)
    system = getattr(brax_env, "sys", None)
    return system, None if system is None else _pose


def _pose(state: EnvState) -> tuple[Array, Array]:
    transform = state.physics[0].x
    return transform.pos, transform.rot
