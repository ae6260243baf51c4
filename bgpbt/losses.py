"""Losses and estimators of reinforcement learning: arrays in, arrays out. Shapes: `T` time, `G` environments, `A` actions."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

Array = jax.Array
MIN_SCALE = 1e-3  # of the policy's Gaussian, as in Brax


class TanhNormal(NamedTuple):
    """A diagonal Gaussian that is squashed by tanh after sampling."""

    loc: Array  # [..., A]
    scale: Array  # [..., A]


def tanh_normal(logits: Array) -> TanhNormal:
    """Splits a policy's output `[..., 2 A]` into location and positive scale, softplus(raw) + 0.001."""
    loc, raw = jnp.split(logits, 2, axis=-1)
    return TanhNormal(loc, jax.nn.softplus(raw) + MIN_SCALE)


def _log_det_tanh(raw_action: Array) -> Array:
    """ln |d tanh(u) / du|, elementwise and stable: 2 (ln 2 - u - softplus(-2 u))."""
    return 2.0 * (jnp.log(2.0) - raw_action - jax.nn.softplus(-2.0 * raw_action))


def log_prob(dist: TanhNormal, raw_action: Array) -> Array:
    """Log-density of tanh(raw_action), which is given before tanh. Shape `[...]`."""
    z = (raw_action - dist.loc) / dist.scale
    normal = -0.5 * z**2 - 0.5 * jnp.log(2.0 * jnp.pi) - jnp.log(dist.scale)
    return jnp.sum(normal - _log_det_tanh(raw_action), axis=-1)


def entropy(dist: TanhNormal, noise: Array) -> Array:
    """One-sample estimate of the entropy; differentiable in location and scale through the sample. Shape `[...]`."""
    normal = 0.5 + 0.5 * jnp.log(2.0 * jnp.pi) + jnp.log(dist.scale)
    return jnp.sum(normal + _log_det_tanh(dist.loc + dist.scale * noise), axis=-1)


def kl_before_tanh(p: TanhNormal, q: TanhNormal) -> Array:
    """KL(p || q) of the Gaussians before tanh, which equals that of the squashed ones. Mean over actions. Shape `[...]`."""
    ratio = p.scale / q.scale
    return jnp.mean(0.5 * (ratio**2 + ((p.loc - q.loc) / q.scale) ** 2 - 1) - jnp.log(ratio), axis=-1)


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
    """Generalised advantage estimation (Schulman et al., 2016) with Brax's treatment of truncation.

    A truncated step tells nothing about its action (the next observation belongs to a new episode): its advantage is
    zero and its target is its value. At the end of a segment the trace is cut and the value bootstrapped, exactly as if
    each segment were a rollout of its own.

    Args:
      rewards: scaled rewards. Shape `[T, G]`.
      values: value of the observation before each step. Shape `[T, G]`.
      bootstrap_value: value of the observation after the last step. Shape `[G]`.
      terminated: the episode ended by the environment's rule, 0 or 1. Shape `[T, G]`.
      truncated: the episode ran out of time and did not terminate, 0 or 1. Shape `[T, G]`.
      segment_end: the last step of a segment, 0 or 1. Shape `[T]`.
      discounting: discount factor.
      gae_lambda: 0 = one-step, 1 = Monte Carlo.

    Returns:
      Value targets and advantages, neither with a gradient. Shapes `[T, G]`.
    """
    going, whole = 1 - terminated, 1 - truncated
    values_next = jnp.concatenate([values[1:], bootstrap_value[None]])
    deltas = (rewards + discounting * going * values_next - values) * whole

    def backwards(trace, step):
        delta, keep = step
        trace = delta + keep * trace
        return trace, trace

    keep = discounting * gae_lambda * going * whole * (1 - segment_end)[:, None]
    _, traces = jax.lax.scan(backwards, jnp.zeros_like(bootstrap_value), (deltas, keep), reverse=True)
    targets = traces + values
    targets_next = jnp.concatenate([targets[1:], bootstrap_value[None]])
    targets_next = jnp.where(segment_end[:, None] > 0, values_next, targets_next)
    advantages = (rewards + discounting * going * targets_next - values) * whole
    return jax.lax.stop_gradient(targets), jax.lax.stop_gradient(advantages)


def ppo_policy_loss(log_prob_new: Array, log_prob_old: Array, advantages: Array, clipping_epsilon: Array) -> Array:
    """Clipped surrogate (Schulman et al., 2017, Eq. 7), negated, per transition."""
    ratio = jnp.exp(log_prob_new - log_prob_old)
    clipped = jnp.clip(ratio, 1 - clipping_epsilon, 1 + clipping_epsilon)
    return -jnp.minimum(ratio * advantages, clipped * advantages)


def value_loss(values: Array, targets: Array) -> Array:
    """A quarter of the squared error, per transition (Brax: 0.5 * 0.5)."""
    return 0.25 * (targets - values) ** 2
