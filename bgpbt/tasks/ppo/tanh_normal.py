"""The distribution over actions that are numbers: a Gaussian squashed by tanh.

Samples are actions before tanh, where densities and entropies are stable. `A` is the
size of an action.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from bgpbt.types import Array

MIN_SCALE = 1e-3  # of the Gaussian, as in Brax


class TanhNormal(NamedTuple):
    """A diagonal Gaussian that is squashed by tanh, a `bgpbt.types.Distribution`."""

    loc: Array  # [..., A]
    scale: Array  # [..., A]

    def sample(self, noise: Array) -> Array:
        """An action before tanh, from standard normal noise. Shapes `[..., A]`."""
        return self.loc + self.scale * noise

    def action(self, sample: Array) -> Array:
        """The action in [-1, 1] of a sample. Shapes `[..., A]`."""
        return jnp.tanh(sample)

    def mode(self) -> Array:
        """The action without noise. Shape `[..., A]`."""
        return jnp.tanh(self.loc)

    def log_prob(self, sample: Array) -> Array:
        """Log-density of the action that a sample `[..., A]` becomes.

        Returns:
          ln p(tanh(sample)). Shape `[...]`.
        """
        z = (sample - self.loc) / self.scale
        normal = -0.5 * z**2 - 0.5 * jnp.log(2.0 * jnp.pi) - jnp.log(self.scale)
        return jnp.sum(normal - _log_det_tanh(sample), axis=-1)

    def entropy(self, noise: Array) -> Array:
        """Estimates the entropy from one sample.

        The estimate is differentiable in location and scale through the sample.

        Args:
          noise: standard normal. Shape `[..., A]`.

        Returns:
          The estimate. Shape `[...]`.
        """
        normal = 0.5 + 0.5 * jnp.log(2.0 * jnp.pi) + jnp.log(self.scale)
        return jnp.sum(normal + _log_det_tanh(self.sample(noise)), axis=-1)

    def kl(self, other: "TanhNormal") -> Array:
        """KL(self || other) of the Gaussians before tanh, which is that of the actions.

        Args:
          other: what is compared with this reference, such as a student with a teacher.

        Returns:
          The mean over actions. Shape `[...]`.
        """
        ratio = self.scale / other.scale
        return jnp.mean(
            0.5 * (ratio**2 + ((self.loc - other.loc) / other.scale) ** 2 - 1)
            - jnp.log(ratio),
            axis=-1,
        )


def tanh_normal(logits: Array) -> TanhNormal:
    """Splits a policy's output into location and positive scale, softplus(raw) + 0.001.

    Args:
      logits: output of the network. Shape `[..., 2 A]`.
    """
    loc, raw = jnp.split(logits, 2, axis=-1)
    return TanhNormal(loc, jax.nn.softplus(raw) + MIN_SCALE)


def _log_det_tanh(sample: Array) -> Array:
    """ln |d tanh(u) / du|, elementwise and stable: 2 (ln 2 - u - softplus(-2 u))."""
    return 2.0 * (jnp.log(2.0) - sample - jax.nn.softplus(-2.0 * sample))
