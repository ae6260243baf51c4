"""The distribution over actions that are one of A choices.

A sample is the action itself: a whole number from 0 to A - 1.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from bgpbt.types import Array


class Categorical(NamedTuple):
    """One of A choices, a `bgpbt.types.Distribution`."""

    logits: Array  # [..., A], of any offset

    def sample(self, noise: Array) -> Array:
        """The choice that Gumbel noise `[..., A]` stands for (Gumbel, 1954).

        Returns:
          Shape `[...]`, int32.
        """
        return jnp.argmax(self.logits + noise, axis=-1).astype(jnp.int32)

    def action(self, sample: Array) -> Array:
        """The choice itself. Shapes `[...]`."""
        return sample

    def mode(self) -> Array:
        """The likeliest choice. Shape `[...]`, int32."""
        return jnp.argmax(self.logits, axis=-1).astype(jnp.int32)

    def log_prob(self, sample: Array) -> Array:
        """Logarithm of the probability of a choice. Shapes `[...]`."""
        log_probs = jax.nn.log_softmax(self.logits)
        return jnp.take_along_axis(log_probs, sample[..., None], axis=-1)[..., 0]

    def entropy(self, noise: Array) -> Array:
        """The exact entropy; the noise is not needed. Shape `[...]`."""
        del noise
        log_probs = jax.nn.log_softmax(self.logits)
        return -jnp.sum(jnp.exp(log_probs) * log_probs, axis=-1)

    def kl(self, other: "Categorical") -> Array:
        """KL(self || other).

        Args:
          other: what is compared with this reference, such as a student with a teacher.

        Returns:
          Shape `[...]`.
        """
        log_probs = jax.nn.log_softmax(self.logits)
        log_ratio = log_probs - jax.nn.log_softmax(other.logits)
        return jnp.sum(jnp.exp(log_probs) * log_ratio, axis=-1)
