"""PPO's losses and its advantage estimator: arrays in, arrays out.

Shapes: `T` time, `G` environments.
"""

import jax
import jax.numpy as jnp

from bgpbt.types import Array


def gae(
    rewards: Array,
    values: Array,
    bootstrap_value: Array,
    terminated: Array,
    truncated: Array,
    segment_end: Array,
    *,
    discounting: Array,
    gae_lambda: Array,
) -> tuple[Array, Array]:
    """Generalised advantage estimation (Schulman et al., 2016), truncation as in Brax.

    A truncated step tells nothing about its action, because the next observation
    belongs to a new episode: its advantage is zero and its target is its value. At the
    end of a segment the trace is cut and the value bootstrapped, exactly as if each
    segment were a rollout of its own.

    Args:
      rewards: scaled rewards. Shape `[T, G]`.
      values: value of the observation before each step. Shape `[T, G]`.
      bootstrap_value: value of the observation after the last step. Shape `[G]`.
      terminated: the episode ended by the environment's rule, 0 or 1. Shape `[T, G]`.
      truncated: the episode ran out of time and did not terminate, 0 or 1. Shape
        `[T, G]`.
      segment_end: the last step of a segment, 0 or 1. Shape `[T]`.
      discounting: discount factor. Shape `[]`.
      gae_lambda: 0 = one-step, 1 = Monte Carlo. Shape `[]`.

    Returns:
      Value targets and advantages, neither with a gradient. Shapes `[T, G]`.
    """
    not_terminated = 1 - terminated
    not_truncated = 1 - truncated
    values_next = jnp.concatenate([values[1:], bootstrap_value[None]])
    deltas = (
        rewards + discounting * not_terminated * values_next - values
    ) * not_truncated

    def backwards(trace: Array, step: tuple[Array, Array]) -> tuple[Array, Array]:
        delta, decay = step
        trace = delta + decay * trace
        return trace, trace

    decay = discounting * gae_lambda * not_terminated * not_truncated
    decay = decay * (1 - segment_end)[:, None]
    _, traces = jax.lax.scan(
        backwards, jnp.zeros_like(bootstrap_value), (deltas, decay), reverse=True
    )
    targets = traces + values
    targets_next = jnp.concatenate([targets[1:], bootstrap_value[None]])
    targets_next = jnp.where(segment_end[:, None] > 0, values_next, targets_next)
    advantages = (
        rewards + discounting * not_terminated * targets_next - values
    ) * not_truncated
    return jax.lax.stop_gradient(targets), jax.lax.stop_gradient(advantages)


def ppo_policy_loss(
    log_prob_new: Array, log_prob_old: Array, advantages: Array, clipping_epsilon: Array
) -> Array:
    """Clipped surrogate (Schulman et al., 2017, Eq. 7), negated, per transition.

    Args:
      log_prob_new: of the actions under the policy that learns. Shape `[K]`.
      log_prob_old: of the actions under the policy that acted. Shape `[K]`.
      advantages: shape `[K]`.
      clipping_epsilon: how far the ratio may leave 1. Shape `[]`.

    Returns:
      The loss. Shape `[K]`.
    """
    ratio = jnp.exp(log_prob_new - log_prob_old)
    clipped = jnp.clip(ratio, 1 - clipping_epsilon, 1 + clipping_epsilon)
    return -jnp.minimum(ratio * advantages, clipped * advantages)


def value_loss(values: Array, targets: Array) -> Array:
    """A quarter of the squared error (Brax: 0.5 * 0.5), per transition.

    Args:
      values: predictions. Shape `[K]`.
      targets: what they should have been. Shape `[K]`.

    Returns:
      The loss. Shape `[K]`.
    """
    return 0.25 * (targets - values) ** 2
