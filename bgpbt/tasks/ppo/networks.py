"""How the networks of a member act and are learnt from, with or without memory.

Shapes as in `bgpbt.tasks.ppo.experience`.
"""

from typing import NamedTuple, Protocol

import jax

from bgpbt.networks.mlp import MLP
from bgpbt.tasks.ppo import actor_critic
from bgpbt.tasks.ppo.experience import Batch, Experience
from bgpbt.types import Array, Hyperparams, Key, PyTree


class Networks(Protocol):
    """The networks of all members of a program: static sizes, and what they do.

    `layers` are weights by block that are ready to apply, of the function of this name.
    """

    @property
    def mlps(self) -> dict[str, MLP]:
        """The multi-layer perceptrons by block."""
        ...

    @property
    def memory_units(self) -> int:
        """Units of memory of all blocks together; 0 where nothing is remembered."""
        ...

    def init(self, key: Key, hyperparams: Hyperparams) -> tuple[PyTree, PyTree]:
        """Draws weights and optimizer state, both by block."""
        ...

    def layers(
        self, params: PyTree, opt_state: PyTree, hyperparams: Hyperparams
    ) -> tuple[PyTree, PyTree]:
        """Layers ready to apply, and new vectors of the power iteration, by block."""
        ...

    def begin(self, *blocks: str) -> PyTree:
        """The carry of these blocks with which ONE episode begins."""
        ...

    def act(
        self, layers: PyTree, carry: PyTree, obs: Array, hyperparams: Hyperparams
    ) -> tuple[PyTree, Array]:
        """Takes one decision.

        Args:
          layers: of `layers`.
          carry: of the decision before, of the policy or of all blocks.
          obs: normalised observations `[..., O]`.
          hyperparams: natural values by name.

        Returns:
          The next carry, and the outputs of the policy network `[..., 2 A]`, or
          `[..., A]` where actions are choices.
        """
        ...

    def rollout_values(
        self,
        layers: PyTree,
        obs: Array,
        experience: Experience,
        hyperparams: Hyperparams,
    ) -> Array:
        """The values `[T + 1, G]` of a rollout's normalised observations and the next.

        Args:
          layers: of `layers`.
          obs: normalised observations `[T + 1, G, O]`.
          experience: the rollout.
          hyperparams: natural values by name.
        """
        ...

    def arranged(self, batch: Batch, experience: Experience) -> Batch:
        """What minibatches are made of, from what has leading axes `[T, G]`."""
        ...

    def policy_outputs(
        self, layers: PyTree, seen: PyTree, hyperparams: Hyperparams
    ) -> Array:
        """What the policy network gives for a part of `Batch.seen`, `[K, ...]`."""
        ...

    def value(self, layers: PyTree, seen: PyTree, hyperparams: Hyperparams) -> Array:
        """The values of a part of `Batch.seen`, `[K]`."""
        ...


class Feedforward(NamedTuple):
    """Networks that read the observation and nothing else, as `Networks`."""

    mlps: dict[str, MLP]
    memory_units: int = 0

    def init(self, key: Key, hyperparams: Hyperparams) -> tuple[PyTree, PyTree]:
        """As `actor_critic.init`."""
        return actor_critic.init(key, self.mlps, hyperparams)

    def layers(
        self, params: PyTree, opt_state: PyTree, hyperparams: Hyperparams
    ) -> tuple[PyTree, PyTree]:
        """As `actor_critic.normalised_layers`."""
        return actor_critic.normalised_layers(params, opt_state, hyperparams)

    def begin(self, *blocks: str) -> PyTree:
        """Nothing is carried."""
        return ()

    def act(
        self, layers: PyTree, carry: PyTree, obs: Array, hyperparams: Hyperparams
    ) -> tuple[PyTree, Array]:
        """The policy's outputs for observations."""
        return carry, actor_critic.policy_outputs(layers, obs, hyperparams)

    def rollout_values(
        self,
        layers: PyTree,
        obs: Array,
        experience: Experience,
        hyperparams: Hyperparams,
    ) -> Array:
        """The values of observations."""
        return actor_critic.value(layers, obs, hyperparams)

    def arranged(self, batch: Batch, experience: Experience) -> Batch:
        """Transitions, each by itself: `[T G]`."""
        return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), batch)

    def policy_outputs(
        self, layers: PyTree, seen: Array, hyperparams: Hyperparams
    ) -> Array:
        """As `actor_critic.policy_outputs`."""
        return actor_critic.policy_outputs(layers, seen, hyperparams)

    def value(self, layers: PyTree, seen: Array, hyperparams: Hyperparams) -> Array:
        """As `actor_critic.value`."""
        return actor_critic.value(layers, seen, hyperparams)
