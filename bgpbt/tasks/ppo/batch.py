"""From a rollout to a batch that is ready to learn from.

Shapes as in `bgpbt.tasks.ppo.experience`.
"""

from collections.abc import Callable

import jax.numpy as jnp

from bgpbt.tasks.ppo import losses
from bgpbt.tasks.ppo.experience import Batch, Experience
from bgpbt.tasks.ppo.networks import Networks
from bgpbt.types import Array, Hyperparams, PyTree


def estimate(
    networks: Networks,
    layers: PyTree,
    normalise: Callable[[Array], Array],
    experience: Experience,
    hyperparams: Hyperparams,
) -> Batch:
    """Estimates advantages and targets; every `unroll_length` decisions end a segment.

    Args:
      networks: static.
      layers: of `networks.layers`.
      normalise: normalises observations `[..., O]`.
      experience: the rollout.
      hyperparams: natural values by name.

    Returns:
      The batch, as `networks` arrange it.
    """
    length = len(experience.reward)
    obs = normalise(experience.obs)
    all_obs = jnp.concatenate([obs, normalise(experience.last_obs)[None]])
    values = networks.rollout_values(layers, all_obs, experience, hyperparams)
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
    return networks.arranged(batch, experience)
