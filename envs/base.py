"""The environment interface: three pure functions for ONE environment. Whoever steps many of them adds `vmap`."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

Array = jax.Array


class EnvState(NamedTuple):
    """One environment between two steps."""

    physics: Any  # whatever `step` needs, opaque to the trainer
    obs: Array  # [O]
    reward: Array  # [] of the last step, summed over the action repeat
    terminated: Array  # [] bool: the environment's own rule ended the episode; running out of time is not known here


class Env(NamedTuple):
    """An environment; `step` never resets and never counts: episodes are the trainer's business."""

    name: str
    observation_size: int  # O
    action_size: int  # A
    episode_length: int  # environment steps until an episode is cut off (truncated)
    action_repeat: int  # environment steps per action
    seconds_per_step: float  # simulated time of one environment step
    reset: Callable[[Array], EnvState]  # (key, consumed)
    step: Callable[[EnvState, Array], EnvState]  # (state, action [A] in [-1, 1])
    system: Any = None  # Brax's description of the bodies, None where there is nothing to draw
    pose: Callable[[EnvState], tuple[Array, Array]] | None = None  # positions [L, 3], rotations [L, 4] of the bodies

    @property
    def decisions_per_episode(self) -> int:
        """Actions until an episode is cut off."""
        return -(-self.episode_length // self.action_repeat)
