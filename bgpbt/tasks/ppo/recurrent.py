"""Networks that remember: an LSTM in front of each (`--recurrent`).

Minibatches are of environments. Each is unrolled over the rollout from the memory with
which it began there, and the gradient through the memory is cut every `bptt_length`
decisions (truncated back-propagation through time, Williams and Peng, 1990).

Shapes: `T` decisions of a rollout, `G` environments, `O` the size of an observation,
`H` units of an LSTM.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from bgpbt.networks import mlp
from bgpbt.networks.mlp import MLP
from bgpbt.networks.recurrent import LSTM, Memory
from bgpbt.space import Integer, SearchSpace
from bgpbt.tasks.ppo import actor_critic
from bgpbt.tasks.ppo.actor_critic import BLOCKS
from bgpbt.tasks.ppo.experience import Batch, Experience
from bgpbt.tasks.ppo.spaces import ROLLOUT_LENGTH
from bgpbt.types import Array, Hyperparams, Key, PyTree

# What is searched beside the hyperparameters of agents without memory.
SPACE: SearchSpace = {
    "bptt_length": Integer(
        5, ROLLOUT_LENGTH, ROLLOUT_LENGTH, least=1, most=ROLLOUT_LENGTH
    ),
}


class Sequences(NamedTuple):
    """What environments showed in the order of time."""

    obs: Array  # [G, T, O] normalised
    begins: Array  # [G, T] bool, an episode begins with this decision
    carry: dict[str, Memory]  # by block, [G, H] each, before the first decision


class Recurrent(NamedTuple):
    """Each block's network reads an LSTM of its own, as `Networks`.

    So blocks can be inherited one by one, and the size of the value's loss does not
    reach the policy.
    """

    mlps: dict[str, MLP]  # they read H numbers
    observation_size: int  # O
    units: int  # H

    @property
    def memory_units(self) -> int:
        """Units of memory of all blocks together."""
        return len(BLOCKS) * self.units

    @property
    def cell(self) -> LSTM:
        """The LSTM of a block."""
        return LSTM(self.units)

    def init(self, key: Key, hyperparams: Hyperparams) -> tuple[PyTree, PyTree]:
        """Draws weights and optimizer state, both by block."""
        key_layers, key_cells = jax.random.split(key)
        layers, opt_state = actor_critic.init(key_layers, self.mlps, hyperparams)
        params = {}
        keys = jax.random.split(key_cells, len(BLOCKS))
        for block, key_cell in zip(BLOCKS, keys, strict=True):
            inputs = jnp.zeros(self.observation_size)
            cell = self.cell.init(key_cell, self.cell.nothing(), inputs)
            params[block] = {"lstm": cell, "layers": layers[block]}
            opt_state[block]["adam"] = actor_critic.adam.init(params[block])
        return params, opt_state

    def layers(
        self, params: PyTree, opt_state: PyTree, hyperparams: Hyperparams
    ) -> tuple[PyTree, PyTree]:
        """The weights as they are: there is no spectral norm."""
        return params, {block: opt_state[block]["spectral"] for block in BLOCKS}

    def begin(self, *blocks: str) -> dict[str, Memory]:
        """Empty memories."""
        return {block: self.cell.nothing() for block in blocks}

    def act(
        self, layers: PyTree, carry: PyTree, obs: Array, hyperparams: Hyperparams
    ) -> tuple[PyTree, Array]:
        """The next memories, and the policy's outputs."""
        carry = {
            block: self.cell.step(layers[block]["lstm"], memory, obs)
            for block, memory in carry.items()
        }
        _, features = carry["policy"]
        return carry, _read("policy", layers, features, hyperparams)

    def rollout_values(
        self,
        layers: PyTree,
        obs: Array,
        experience: Experience,
        hyperparams: Hyperparams,
    ) -> Array:
        """The values, each after what its episode showed before."""
        seen = _sequences(obs, experience)
        return self.value(layers, seen, hyperparams).swapaxes(0, 1)

    def arranged(self, batch: Batch, experience: Experience) -> Batch:
        """Environments with all of their decisions: `[G, T]`."""
        seen = _sequences(batch.seen, experience)
        batch = jax.tree.map(lambda x: x.swapaxes(0, 1), batch._replace(seen=()))
        return batch._replace(seen=seen)

    def policy_outputs(
        self, layers: PyTree, seen: Sequences, hyperparams: Hyperparams
    ) -> Array:
        """What the policy network gives over sequences, `[G, T, ...]`."""
        return self._unrolled("policy", layers, seen, hyperparams)

    def value(self, layers: PyTree, seen: Sequences, hyperparams: Hyperparams) -> Array:
        """The values over sequences, `[G, T]`."""
        return self._unrolled("value", layers, seen, hyperparams)[..., 0]

    def _unrolled(
        self, block: str, layers: PyTree, seen: Sequences, hyperparams: Hyperparams
    ) -> Array:
        """What a block's network gives over sequences, `[G, T, ...]`."""
        remember = partial(
            remembered, self.cell, layers[block]["lstm"], hyperparams["bptt_length"]
        )
        features = jax.vmap(remember)(seen.carry[block], seen.obs, seen.begins)
        return _read(block, layers, features, hyperparams)


def remembered(
    cell: LSTM,
    params: PyTree,
    bptt_length: Array,
    memory: Memory,
    obs: Array,
    begins: Array,
) -> Array:
    """The outputs of an LSTM over one sequence.

    Args:
      cell: the LSTM.
      params: its weights.
      bptt_length: decisions after which the gradient through the memory is cut. Shape
        `[]`, int32.
      memory: before the first decision.
      obs: shape `[T, O]`.
      begins: where the memory is emptied first. Shape `[T]`, bool.

    Returns:
      Shape `[T, H]`.
    """
    nothing = cell.nothing()

    def step(memory: Memory, now: tuple) -> tuple[Memory, Array]:
        obs, begins, is_cut = now
        memory = jax.tree.map(
            lambda x, empty: jnp.where(
                begins, empty, jnp.where(is_cut, jax.lax.stop_gradient(x), x)
            ),
            memory,
            nothing,
        )
        memory = cell.step(params, memory, obs)
        return memory, memory[1]

    is_cut = jnp.arange(len(obs)) % bptt_length == 0
    return jax.lax.scan(step, memory, (obs, begins, is_cut))[1]


def _read(
    block: str, layers: PyTree, features: Array, hyperparams: Hyperparams
) -> Array:
    """What a block's perceptron makes of its LSTM's outputs `[..., H]`."""
    arch = actor_critic.arch(block, hyperparams)
    return mlp.apply(layers[block]["layers"], features, arch)


def _sequences(obs: Array, experience: Experience) -> Sequences:
    """Observations `[T, G, O]`, or `[T + 1, G, O]`, and where their episodes began."""
    done = (experience.terminated + experience.truncated) > 0
    goes_on = jnp.zeros_like(done[:1])  # the carry before the first decision is right
    begins = jnp.concatenate([goes_on, done])[: len(obs)]
    return Sequences(obs.swapaxes(0, 1), begins.swapaxes(0, 1), experience.carry)
