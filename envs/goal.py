"""A point on a plane that must come to rest at a goal: rewards that can be shaped.

It pays 1 when the point rests at the goal, which random actions seldom find. What else
it may pay is searched, and counts in training only.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from bgpbt.environment import Env, EnvState, repeated
from bgpbt.space import Float, SearchSpace

Array = jax.Array
LENGTH = 100  # steps of an episode at most
REACHED = 0.1  # distance from the goal
AT_REST = 0.2  # speed
KNOBS: SearchSpace = {
    "progress_weight": Float(0.0, 10.0, 0.0),  # of what the distance fell by
    "effort_weight": Float(0.0, 0.1, 0.0),  # of the squared action
}


def make(name: str, *, backend: str, episode_length: int, action_repeat: int) -> Env:
    """Builds the environment.

    Args:
      name: of the environment.
      backend: not used: the environment has physics of its own.
      episode_length: environment steps until an episode is cut off, at most `LENGTH`.
      action_repeat: environment steps per action.
    """
    del backend
    return Env(
        name=name,
        observation_size=6,
        action_size=2,
        episode_length=min(episode_length, LENGTH),
        action_repeat=action_repeat,
        seconds_per_step=0.1,
        reset=_reset,
        step=repeated(_step, action_repeat),
        knobs=KNOBS,
    )


def _reset(key: Array, knobs: Mapping[str, Array]) -> EnvState:
    del knobs
    place, goal = jax.random.uniform(key, (2, 2), minval=-1.0)
    nothing = jnp.zeros(())
    return _state(place, jnp.zeros(2), goal, nothing, jnp.zeros((), bool))


def _step(before: EnvState, action: Array, knobs: Mapping[str, Array]) -> EnvState:
    place, speed, goal = before.physics
    speed = 0.9 * speed + 0.1 * jnp.clip(action, -1, 1)
    moved = place + 0.1 * speed
    distance = jnp.linalg.norm(moved - goal)
    success = (distance < REACHED) & (jnp.linalg.norm(speed) < AT_REST)
    progress = jnp.linalg.norm(place - goal) - distance
    reward = (
        success.astype(distance.dtype)
        + knobs["progress_weight"] * progress
        - knobs["effort_weight"] * jnp.sum(action**2)
    )
    return _state(moved, speed, goal, reward, success)


def _state(
    place: Array, speed: Array, goal: Array, reward: Array, success: Array
) -> EnvState:
    return EnvState(
        physics=(place, speed, goal),
        obs=jnp.concatenate([place, speed, goal - place]),
        reward=reward,
        terminated=success,
        metrics={"success": success.astype(reward.dtype)},
    )
