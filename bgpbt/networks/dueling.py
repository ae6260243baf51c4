"""Values of actions from two heads: of the state, and of each action in it."""

from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from bgpbt.types import Array, PyTree


class DuelingNetwork(nn.Module):
    """Two layers of tanh, and two heads (Wang et al. 2016), as OpenAI's baselines.

    Q(s, a) = V(s) + A(s, a) - mean A(s, .).
    """

    actions: int  # A
    layers: tuple[int, ...] = (64, 64)
    head: int = 256

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Values of the actions, `[..., A]`, of what is seen, `[..., I]`."""
        dense = partial(nn.Dense, kernel_init=nn.initializers.orthogonal(2**0.5))
        for units in self.layers:
            x = jnp.tanh(dense(units)(x))
        glorot = partial(nn.Dense, kernel_init=nn.initializers.glorot_uniform())
        advantage = glorot(self.actions)(nn.relu(glorot(self.head)(x)))
        value = glorot(1)(nn.relu(glorot(self.head)(x)))
        return value + advantage - advantage.mean(axis=-1, keepdims=True)

    def values(self, params: PyTree, x: Array) -> Array:
        """`__call__` with these weights."""
        answer: Any = self.apply(params, x)
        return answer
