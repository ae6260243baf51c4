"""What the rollouts of a round measure beside learning.

Shapes: `T` decisions of a rollout, `G` environments that a member learns from, `E`
environments that only measure.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from bgpbt.tasks.ppo.episodes import EpisodeState, StepInfo
from bgpbt.tasks.ppo.settings import PPOSettings
from bgpbt.tasks.ppo.spaces import ROLLOUT_LENGTH
from bgpbt.types import Array


class RoundMetrics(NamedTuple):
    """Of the rollouts of a round so far."""

    # [G + E] return of the latest complete episode, NaN where none ended.
    finished_return: Array
    reward_sum: Array  # [G + E]
    loss: Array  # [] of the last update


def init(env_state: EpisodeState) -> RoundMetrics:
    """The metrics of a round in which nothing happened yet.

    Args:
      env_state: the member's environments.
    """
    zeros = jnp.zeros_like(env_state.episode_return)
    return RoundMetrics(zeros * jnp.nan, zeros, jnp.zeros((), zeros.dtype))


def update(metrics: RoundMetrics, info: StepInfo, loss: Array) -> RoundMetrics:
    """Adds an update to the metrics of its round.

    Args:
      metrics: of the updates before.
      info: what each step of the rollout gave, `[T, G + E]`.
      loss: of the update. Shape `[]`.
    """
    latest = jax.lax.associative_scan(_latest, info.finished_return)[-1]
    return RoundMetrics(
        _latest(metrics.finished_return, latest),
        metrics.reward_sum + jnp.sum(info.reward, axis=0),
        loss,
    )


def episode_returns(
    settings: PPOSettings, metrics: RoundMetrics, updates: Array
) -> Array:
    """The returns that a round is ranked by where the fitness comes from training.

    Where no complete episode ended in the round, the rewards of the round stand for it,
    stretched to the length of an episode.

    Args:
      settings: what is static.
      metrics: of the round.
      updates: of the round. Shape `[]`, int32.

    Returns:
      Of the environments that measure; NaN where no episode ended. Shape `[E]`, or
      `[G]` where the training environments measure.
    """
    measuring = slice(settings.num_envs if settings.num_eval_envs else None, None)
    decisions = jnp.maximum(updates, 1) * ROLLOUT_LENGTH
    stretched = metrics.reward_sum / decisions * settings.env.decisions_per_episode
    finished = metrics.finished_return[measuring]
    return jnp.where(jnp.all(jnp.isnan(finished)), stretched[measuring], finished)


def _latest(earlier: Array, later: Array) -> Array:
    """The later of two values, or the earlier one where the later is NaN."""
    return jnp.where(jnp.isnan(later), earlier, later)
