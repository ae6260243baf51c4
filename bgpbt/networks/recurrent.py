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
        dense = partial(nn.Dense, bias_init=nn.initializers.zeros)
        # One orthogonal matrix for all four gates, as in the reference: Flax's own cell
        # draws one for each, which are twice as large.
        gates = partial(dense, 4 * self.units, kernel_init=_orthogonal())
        cell, output = memory
        z = gates(name="seen")(x) + gates(use_bias=False, name="before")(output)
        enters, stays, leaves, new = jnp.split(z, 4, axis=-1)
        cell = nn.sigmoid(stays) * cell + nn.sigmoid(enters) * jnp.tanh(new)
        output = nn.sigmoid(leaves) * jnp.tanh(cell)
        memory = cell, output
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
