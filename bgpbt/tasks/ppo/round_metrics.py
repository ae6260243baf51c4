"""What the rollouts of a round measure beside learning.

Shapes: `T` decisions of a rollout, `G` environments that a member learns from, `E`
environments that only measure.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from bgpbt.tasks.ppo.episodes import EpisodeState, StepInfo, gained
from bgpbt.tasks.ppo.settings import PPOSettings
from bgpbt.tasks.ppo.spaces import ROLLOUT_LENGTH
from bgpbt.types import Array, PyTree


class RoundMetrics(NamedTuple):
    """Of the rollouts of a round so far."""

    # [G + E] what the latest complete episode gave, NaN where none ended.
    finished_return: PyTree
    sums: PyTree  # [G + E] of what all steps gave
    loss: Array  # [] of the last update


def init(env_state: EpisodeState) -> RoundMetrics:
    """The metrics of a round in which nothing happened yet.

    Args:
      env_state: the member's environments.
    """
    zeros = jax.tree.map(jnp.zeros_like, env_state.episode_return)
    nothing = jax.tree.map(lambda x: x * jnp.nan, zeros)
    dtype = jax.tree.leaves(zeros)[0].dtype
    return RoundMetrics(nothing, zeros, jnp.zeros((), dtype))


def update(metrics: RoundMetrics, info: StepInfo, loss: Array) -> RoundMetrics:
    """Adds an update to the metrics of its round.

    Args:
      metrics: of the updates before.
      info: what each step of the rollout gave, `[T, G + E]`.
      loss: of the update. Shape `[]`.
    """
    scanned = jax.lax.associative_scan(_latest, info.finished_return)
    latest = jax.tree.map(lambda x: x[-1], scanned)
    sums = jax.tree.map(
        lambda so_far, x: so_far + jnp.sum(x, axis=0),
        metrics.sums,
        gained(info.reward, info.metrics),
    )
    return RoundMetrics(_latest(metrics.finished_return, latest), sums, loss)


def episode_returns(
    settings: PPOSettings, metrics: RoundMetrics, updates: Array
) -> PyTree:
    """The returns that a round is ranked by where the fitness comes from training.

    Where no complete episode ended in the round, what the round gave stands for it,
    stretched to the length of an episode.

    Args:
      settings: what is static.
      metrics: of the round.
      updates: of the round. Shape `[]`, int32.

    Returns:
      As `episodes.gained` says, of the environments that measure; NaN where no episode
      ended. Shape `[E]`, or `[G]` where the training environments measure.
    """
    measuring = slice(settings.num_envs if settings.num_eval_envs else None, None)
    decisions = jnp.maximum(updates, 1) * ROLLOUT_LENGTH

    def of_round(finished: Array, total: Array) -> Array:
        stretched = total / decisions * settings.env.decisions_per_episode
        finished = finished[measuring]
        return jnp.where(jnp.all(jnp.isnan(finished)), stretched[measuring], finished)

    return jax.tree.map(of_round, metrics.finished_return, metrics.sums)


def _latest(earlier: PyTree, later: PyTree) -> PyTree:
    """The later of two values, or the earlier one where the later is NaN."""
    return jax.tree.map(
        lambda first, second: jnp.where(jnp.isnan(second), first, second),
        earlier,
        later,
    )
