"""An LSTM, with which agents remember, and an actor-critic around one."""

from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from bgpbt.types import Array, PyTree

Memory = tuple[Array, Array]  # of the LSTM: cell and output, [..., H] each
UNITS = 128  # H
_orthogonal = nn.initializers.orthogonal
_dense = partial(nn.Dense, bias_init=nn.initializers.zeros)


def _lstm(units: int, memory: Memory, x: Array) -> Memory:
    """One step of the cell; its weights are of the module that calls it.

    One orthogonal matrix is drawn for all four gates, as in the reference: Flax's own
    cell draws one for each, which are twice as large.
    """
    gates = partial(_dense, 4 * units, kernel_init=_orthogonal())
    cell, output = memory
    z = gates(name="seen")(x) + gates(use_bias=False, name="before")(output)
    enters, stays, leaves, new = jnp.split(z, 4, axis=-1)
    cell = nn.sigmoid(stays) * cell + nn.sigmoid(enters) * jnp.tanh(new)
    output = nn.sigmoid(leaves) * jnp.tanh(cell)
    return cell, output


def nothing(units: int) -> Memory:
    """The memory with which an LSTM of H units begins."""
    return jnp.zeros(units), jnp.zeros(units)


class LSTM(nn.Module):
    """The cell alone (Hochreiter and Schmidhuber, 1997; Gers et al., 2000)."""

    units: int = UNITS

    @nn.compact
    def __call__(self, memory: Memory, x: Array) -> Memory:
        """The memory after seeing `x` `[..., I]`."""
        return _lstm(self.units, memory, x)

    def step(self, params: PyTree, memory: Memory, x: Array) -> Memory:
        """`__call__` with these weights."""
        answer: Any = self.apply(params, memory, x)
        return answer

    def nothing(self) -> Memory:
        """The memory with which an episode begins."""
        return nothing(self.units)


class RecurrentActorCritic(nn.Module):
    """One LSTM, and a linear layer for each of policy and value (nas-dmrl 2019, 4.1).

    The output of the policy begins close to zero, so that all actions are alike.
    """

    actions: int
    units: int = UNITS

    @nn.compact
    def __call__(self, memory: Memory, x: Array) -> tuple[Memory, Array, Array]:
        """Takes one step.

        Args:
          memory: of the step before.
          x: what is seen, `[..., I]`.

        Returns:
          The memory, logits of the actions `[..., A]`, and the value `[...]`.
        """
        memory = _lstm(self.units, memory, x)
        _, output = memory
        logits = _dense(self.actions, kernel_init=_orthogonal(0.01))(output)
        value = _dense(1, kernel_init=_orthogonal(1.0))(output)
        return memory, logits, value[..., 0]

    def step(
        self, params: PyTree, memory: Memory, x: Array
    ) -> tuple[Memory, Array, Array]:
        """`__call__` with these weights."""
        answer: Any = self.apply(params, memory, x)
        return answer

    def nothing(self) -> Memory:
        """The memory with which a trial begins."""
        return nothing(self.units)
