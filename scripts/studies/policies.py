"""Policies that a trained one is held against.

`G` environments; `O` and `A` are the sizes of an observation and of an action.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from bgpbt.types import Array, Key, Policy


class Certain(NamedTuple):
    """A distribution over actions that gives one only."""

    action: Array  # [..., A]

    def mode(self) -> Array:
        """That action. Shape `[..., A]`."""
        return self.action


def nothing(action_size: int) -> Policy:
    """Every action is 0.

    Args:
      action_size: A.
    """

    def act(carry: tuple, obs: Array) -> tuple[tuple, Certain]:
        return carry, Certain(jnp.zeros((len(obs), action_size)))

    return Policy(act)


def at_random(key: Key, action_size: int) -> Policy:
    """Actions are uniform in [-1, 1].

    Args:
      key: PRNG key, which an episode begins with.
      action_size: A.
    """

    def act(keys: Array, obs: Array) -> tuple[Array, Certain]:
        # All episodes carry the same key; each has a row of the actions.
        following, now = jax.random.split(keys[0])
        actions = jax.random.uniform(now, (len(obs), action_size), minval=-1.0)
        return jnp.broadcast_to(following, keys.shape), Certain(actions)

    return Policy(act, key)


def side_by_side(policies: list[Policy], count: int) -> Policy:
    """Policies that act in one batch of environments, so that one program plays all.

    Args:
      policies: the first acts in the first `count` environments, and so on.
      count: environments of each.
    """

    def act(carries: tuple, obs: Array) -> tuple[tuple, Certain]:
        following, actions = [], []
        for index, (policy, carry) in enumerate(zip(policies, carries, strict=True)):
            own = slice(index * count, (index + 1) * count)
            new, dist = policy(jax.tree.map(lambda x, own=own: x[own], carry), obs[own])
            following.append(
                jax.tree.map(lambda x, y, own=own: x.at[own].set(y), carry, new)
            )
            actions.append(dist.mode())
        return tuple(following), Certain(jnp.concatenate(actions))

    return Policy(act, tuple(policy.carry for policy in policies))
