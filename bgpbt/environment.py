"""The environment interface: pure functions for ONE environment.

Whoever steps many of them adds `vmap`. `O` and `A` are the sizes of an observation and
of an action, `L` is the number of bodies.
"""

from typing import Any, NamedTuple, Protocol

from bgpbt.types import Array, Key, PyTree


class EnvState(NamedTuple):
    """One environment between two steps."""

    physics: PyTree  # whatever `step` needs, opaque to the trainer
    obs: Array  # [O]
    reward: Array  # [] of the last step, summed over the action repeat
    # [] bool, the environment's own rule ended the episode. Running out of time is not
    # known here.
    terminated: Array


class Reset(Protocol):
    """Begins an episode."""

    def __call__(self, key: Key) -> EnvState:
        """Draws a start state.

        Args:
          key: PRNG key, consumed.

        Returns:
          The state. Its shapes and dtypes are those of every later state.
        """
        ...


class Step(Protocol):
    """Moves an environment by one action."""

    def __call__(self, state: EnvState, action: Array) -> EnvState:
        """Applies one action, `action_repeat` times.

        It never resets and never counts: episodes are the trainer's business.

        Args:
          state: of `reset` or the step before.
          action: in [-1, 1]. Shape `[A]`.
        """
        ...


class Pose(Protocol):
    """Where the bodies are, for rendering."""

    def __call__(self, state: EnvState) -> tuple[Array, Array]:
        """Reads the bodies' poses.

        Args:
          state: of an environment with bodies.

        Returns:
          Positions `[L, 3]`, and rotations `[L, 4]` as quaternions.
        """
        ...


class Env(NamedTuple):
    """An environment."""

    name: str
    observation_size: int  # O
    action_size: int  # A
    episode_length: int  # environment steps until an episode is cut off (truncated)
    action_repeat: int  # environment steps per action
    seconds_per_step: float  # simulated time of one environment step
    reset: Reset
    step: Step
    # Brax's description of the bodies; None where there is nothing to render.
    system: Any = None
    pose: Pose | None = None

    @property
    def decisions_per_episode(self) -> int:
        """Actions until an episode is cut off."""
        return -(-self.episode_length // self.action_repeat)
