"""The action distribution of a policy: a Gaussian squashed by tanh.

Actions are handled before tanh, where densities and entropies are stable. `A` is the
size of an action.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from bgpbt.types import Array

MIN_SCALE = 1e-3  # of the Gaussian, as in Brax


class TanhNormal(NamedTuple):
    """A diagonal Gaussian that is squashed by tanh after sampling."""

    loc: Array  # [..., A]
    scale: Array  # [..., A]


def tanh_normal(logits: Array) -> TanhNormal:
    """Splits a policy's output into location and positive scale, softplus(raw) + 0.001.

    Args:
      logits: output of the network. Shape `[..., 2 A]`.
    """
    loc, raw = jnp.split(logits, 2, axis=-1)
    return TanhNormal(loc, jax.nn.softplus(raw) + MIN_SCALE)


def _log_det_tanh(raw_action: Array) -> Array:
    """ln |d tanh(u) / du|, elementwise and stable: 2 (ln 2 - u - softplus(-2 u))."""
    return 2.0 * (jnp.log(2.0) - raw_action - jax.nn.softplus(-2.0 * raw_action))


def log_prob(dist: TanhNormal, raw_action: Array) -> Array:
    """Log-density of a squashed action.

    Args:
      dist: the distribution.
      raw_action: the action before tanh. Shape `[..., A]`.

    Returns:
      ln p(tanh(raw_action)). Shape `[...]`.
    """
    z = (raw_action - dist.loc) / dist.scale
    normal = -0.5 * z**2 - 0.5 * jnp.log(2.0 * jnp.pi) - jnp.log(dist.scale)
    return jnp.sum(normal - _log_det_tanh(raw_action), axis=-1)


def entropy(dist: TanhNormal, noise: Array) -> Array:
    """Estimates the entropy from one sample.

    The estimate is differentiable in location and scale through the sample.

    Args:
      dist: the distribution.
      noise: standard normal. Shape `[..., A]`.

    Returns:
      The estimate. Shape `[...]`.
    """
    normal = 0.5 + 0.5 * jnp.log(2.0 * jnp.pi) + jnp.log(dist.scale)
    return jnp.sum(normal + _log_det_tanh(dist.loc + dist.scale * noise), axis=-1)


def kl_before_tanh(p: TanhNormal, q: TanhNormal) -> Array:
    """KL(p || q) of the Gaussians before tanh, which equals that of the squashed ones.

    Args:
      p: the reference, such as a teacher.
      q: what is compared with it, such as a student.

    Returns:
      The mean over actions. Shape `[...]`.
    """
    ratio = p.scale / q.scale
    return jnp.mean(
        0.5 * (ratio**2 + ((p.loc - q.loc) / q.scale) ** 2 - 1) - jnp.log(ratio),
        axis=-1,
    )
