"""Gymnax environments (Lange, 2022). https://github.com/RobertTLange/gymnax"""

from typing import Any

import jax
import jax.numpy as jnp

from bgpbt.config.errors import BadInput, nearest
from bgpbt.environment import Env, EnvState, repeated

Array = jax.Array


def names() -> tuple[str, ...]:
    """What gymnax calls its environments; () where it cannot be imported."""
    try:
        return _names()
    except (ImportError, AttributeError):
        return ()


def _names() -> tuple[str, ...]:
    import gymnax

    return tuple(gymnax.registered_envs)


def make(name: str, *, backend: str, episode_length: int, action_repeat: int) -> Env:
    """Builds a gymnax environment with its default parameters.

    Args:
      name: gymnax's name of the environment.
      backend: not used: the environment has physics of its own.
      episode_length: environment steps until an episode is cut off, where the
        environment's own limit is not lower.
      action_repeat: environment steps per action.

    Raises:
      BadInput: gymnax is not installed, or has no such environment.
    """
    del backend
    try:
        known = _names()
    except (ImportError, AttributeError) as error:
        raise BadInput(
            f"env_name: gymnax:{name} needs gymnax, which cannot be imported "
            f"({error}): pip install '.[gymnax]'",
            "env_name",
        ) from None
    if name not in known:
        close = nearest(name, known)
        raise BadInput(f"env_name: gymnax has no {name!r}, {close}", "env_name")
    import gymnax

    try:
        made = gymnax.make(name)
    except OSError as error:  # one of them loads images from the net
        raise BadInput(
            f"env_name: gymnax:{name} needs files that cannot be loaded: {error}",
            "env_name",
        ) from None
    return wrap(
        made,
        name=name,
        episode_length=episode_length,
        action_repeat=action_repeat,
    )


def wrap(made: Any, *, name: str, episode_length: int, action_repeat: int) -> Env:
    """Makes an environment of one of gymnax's, without its own reset.

    Args:
      made: the environment, or it and its parameters.
      name: of the environment.
      episode_length: environment steps until an episode is cut off, where the
        environment's own limit is not lower.
      action_repeat: environment steps per action.

    Raises:
      BadInput: it is of an old gymnax, or its actions are of several kinds.
    """
    env, params = made if isinstance(made, tuple) else (made, made.default_params)
    if not hasattr(env, "step_env"):
        raise BadInput(
            f"env_name: {name} gives {type(env).__name__}, not a gymnax environment, "
            "nor one and its parameters",
            "env_name",
        )
    if not hasattr(env, "is_truncated"):
        raise BadInput(
            f"env_name: {name}: gymnax before 1.0 is not served, update it", "env_name"
        )
    scale, action_size, discrete = _actions(name, env.action_space(params))

    def reset(key: Array) -> EnvState:
        key_reset, key = jax.random.split(key)
        obs, state = env.reset_env(key_reset, params)
        nothing = jnp.zeros((), bool)
        return EnvState((state, key), obs, jnp.zeros(()), nothing, nothing)

    def step(state: EnvState, action: Array) -> EnvState:
        physics, key = state.physics
        key_step, key = jax.random.split(key)
        obs, physics, reward, terminated, _ = env.step_env(
            key_step, physics, scale(action), params
        )
        truncated = env.is_truncated(physics, params)
        return EnvState(
            physics=(physics, key),
            obs=obs,
            reward=jnp.asarray(reward, float),
            terminated=jnp.asarray(terminated, bool),
            truncated=jnp.asarray(truncated, bool),
        )

    shapes = jax.eval_shape(reset, jax.eval_shape(lambda: jax.random.PRNGKey(0)))
    return Env(
        name=name,
        observation_size=sum(x.size for x in jax.tree.leaves(shapes.obs)),
        action_size=action_size,
        episode_length=min(episode_length, int(params.max_steps_in_episode)),
        action_repeat=action_repeat,
        seconds_per_step=1.0,
        reset=reset,
        step=repeated(step, action_repeat),
        discrete=discrete,
    )


def _actions(name: str, space: Any) -> tuple[Any, int, bool]:
    """How our actions become gymnax's, their size, and whether they are choices.

    A box is scaled from [-1, 1], in the dimensions where it has an end on both sides.
    """
    from gymnax.environments import spaces

    if isinstance(space, spaces.Discrete):
        return (lambda action: action.astype(space.dtype)), int(space.n), True
    if not isinstance(space, spaces.Box):
        raise BadInput(
            f"env_name: {name}: actions {space} are not served, give one Discrete or "
            "one Box",
            "env_name",
        )
    low = jnp.broadcast_to(jnp.asarray(space.low, float), space.shape)
    high = jnp.broadcast_to(jnp.asarray(space.high, float), space.shape)
    bounded = jnp.isfinite(low) & jnp.isfinite(high)
    middle = jnp.where(bounded, (high + low) / 2, 0)
    half = jnp.where(bounded, (high - low) / 2, 1)

    def scale(action: Array) -> Array:
        scaled = middle + half * action.reshape(space.shape)
        return scaled.astype(space.dtype)

    return scale, max(1, low.size), False
