"""Suggestions for many members, one after the other, in one compiled loop.

What was suggested before is pending: it trains beside what is suggested next. `P`
members, `S` dimensions of a configuration.
"""

from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp

from bgpbt.types import Array, Key

# Pending configurations that one suggestion looks at, the nearest to its donor's: a
# large population stays affordable.
MAX_PENDING = 32


class Situation(NamedTuple):
    """The round to come, as far as it is known."""

    config: Array  # [P, S] of all members; one that is not decided has its donor's
    start: Array  # [P] fitness at the start of the round
    decided: Array  # [P] bool, who trains with the configuration that stands there
    round: Array  # [] int32


class SuggestOne(Protocol):
    """Suggests a configuration for one member. It can be traced."""

    def __call__(
        self, key: Key, situation: Situation, member: Array
    ) -> tuple[Array, Array]:
        """Suggests. Arguments are positional.

        Args:
          key: PRNG key, consumed.
          situation: the round to come.
          member: for whom. Shape `[]`, int32.

        Returns:
          A configuration, shape `[S]`, and its `Source`, shape `[]`, int32.
        """
        ...


def suggest_in_turn(
    suggest: SuggestOne, key: Key, situation: Situation, replaced: Array
) -> tuple[Array, Array]:
    """Suggests for all members that are replaced.

    Args:
      suggest: for one of them.
      key: PRNG key, consumed.
      situation: the round to come.
      replaced: who gets a suggestion. Shape `[P]`, bool.

    Returns:
      Configurations of all members, `[P, S]`, and sources, `[P]`, int32, which are 0
      where nobody is replaced.
    """
    order = jnp.argsort(~replaced, stable=True)

    def next_one(number, carry):
        situation, source = carry
        member = order[number]
        chosen, why = suggest(jax.random.fold_in(key, number), situation, member)
        config = situation.config.at[member].set(chosen.astype(situation.config.dtype))
        decided = situation.decided.at[member].set(True)
        situation = situation._replace(config=config, decided=decided)
        return situation, source.at[member].set(why)

    carry = situation, jnp.zeros(len(replaced), jnp.int32)
    situation, source = jax.lax.fori_loop(0, jnp.sum(replaced), next_one, carry)
    return situation.config, source


def pending(situation: Situation) -> Array:
    """Who trains beside the next one, from a finite fitness. Shape `[P]`, bool."""
    return situation.decided & jnp.isfinite(situation.start)


def nearest_pending(situation: Situation, member: Array) -> tuple[Array, Array]:
    """The pending members that are nearest to a member's donor.

    Args:
      situation: the round to come.
      member: shape `[]`, int32.

    Returns:
      Members in order, shape `[M]`, int32; M is P, at most MAX_PENDING. Which of them
      are pending, shape `[M]`, bool.
    """
    config, known = situation.config, pending(situation)
    distance = jnp.linalg.norm(config - config[member], axis=1)
    most = min(len(known), MAX_PENDING)
    _, members = jax.lax.top_k(jnp.where(known, -distance, -jnp.inf), most)
    members = jnp.sort(members)
    return members, known[members]
