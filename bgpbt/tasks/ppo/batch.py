"""From a rollout to transitions that are ready to learn from.

Shapes: `T` decisions of a rollout, `G` environments, `K = T G` transitions; `O` and `A`
are the sizes of an observation and of an action.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from bgpbt.tasks.ppo import actor_critic, losses
from bgpbt.tasks.ppo.rollout import Experience
from bgpbt.types import Array, Hyperparams, PyTree


class Batch(NamedTuple):
    """The same transitions, flat and ready to learn from."""

    obs: Array  # [K, O] normalised
    raw_action: Array  # [K, A], or [K] where actions are choices
    log_prob: Array  # [K]
    advantage: Array  # [K]
    target: Array  # [K] of the value
    # [K, ...] outputs of a teacher's policy network; () without one.
    teacher: Array | tuple[()] = ()


def estimate(
    layers: PyTree,
    normalise: Callable[[Array], Array],
    experience: Experience,
    hyperparams: Hyperparams,
) -> Batch:
    """Estimates advantages and targets; every `unroll_length` decisions end a segment.

    Args:
      layers: of `actor_critic.normalised_layers`.
      normalise: normalises observations `[..., O]`.
      experience: the rollout.
      hyperparams: natural values by name.

    Returns:
      The transitions, leading axis K.
    """
    length = len(experience.reward)
    obs = normalise(experience.obs)
    all_obs = jnp.concatenate([obs, normalise(experience.last_obs)[None]])
    values = actor_critic.value(layers, all_obs, hyperparams)
    segment_end = jnp.arange(1, length + 1) % hyperparams["unroll_length"] == 0
    targets, advantages = losses.gae(
        experience.reward * hyperparams["reward_scaling"],
        values[:-1],
        values[-1],
        experience.terminated,
        experience.truncated,
        segment_end.astype(values.dtype),
        discounting=hyperparams["discounting"],
        gae_lambda=hyperparams["gae_lambda"],
    )
    batch = Batch(obs, experience.raw_action, experience.log_prob, advantages, targets)
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), batch)
