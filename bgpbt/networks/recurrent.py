"""An actor-critic with an LSTM, which remembers what it did and what it got."""

from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from bgpbt.types import Array, PyTree

Memory = tuple[Array, Array]  # of the LSTM: cell and output, [..., H] each
_orthogonal = nn.initializers.orthogonal


class RecurrentActorCritic(nn.Module):
    """One LSTM, and a linear layer for each of policy and value (nas-dmrl 2019, 4.1).

    The output of the policy begins close to zero, so that all actions are alike.
    """

    actions: int
    units: int = 128  # H

    @nn.compact
    def __call__(self, memory: Memory, x: Array) -> tuple[Memory, Array, Array]:
        """Takes one step.

        Args:
          memory: of the step before.
          x: what is seen, `[..., I]`.

        Returns:
          The memory, logits of the actions `[..., A]`, and the value `[...]`.
        """
        cell = nn.OptimizedLSTMCell(
            self.units, kernel_init=_orthogonal(), recurrent_kernel_init=_orthogonal()
        )
        memory, output = cell(memory, x)
        dense = partial(nn.Dense, bias_init=nn.initializers.zeros)
        logits = dense(self.actions, kernel_init=_orthogonal(0.01))(output)
        value = dense(1, kernel_init=_orthogonal(1.0))(output)
        return memory, logits, value[..., 0]

    def step(
        self, params: PyTree, memory: Memory, x: Array
    ) -> tuple[Memory, Array, Array]:
        """`__call__` with these weights."""
        answer: Any = self.apply(params, memory, x)
        return answer

    def nothing(self) -> Memory:
        """The memory with which a trial begins."""
        return jnp.zeros(self.units), jnp.zeros(self.units)
