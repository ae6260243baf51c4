"""TV.EXP3.M: which category to play next (Parker-Holder et al., 2021).

https://arxiv.org/abs/2106.15883. EXP3.M (Uchiya et al., 2010) with a share of all
weights added to every arm in every round, so that it can follow a best arm that
changes. Its rules are those of the authors' code, listed in `docs/strategies.md`. `C`
arms, one for each category; `N` rows of history, `B` of them in a round.
"""

from math import e

import jax
import jax.numpy as jnp

from bgpbt.types import Array

GAMMA = 0.2  # share of uniform draws where there are as many members as arms


def probabilities(
    arm: Array, reward: Array, time: Array, valid: Array, num_arms: int
) -> Array:
    """Replays what was seen, and says how likely each arm is next.

    The number of rounds that the rates are made for is that of the rounds seen, so
    that no choice depends on how long a run may still become.

    Args:
      arm: which arm each row played. Shape `[N]`, int32.
      reward: what it gave, in [0, 1]. Shape `[N]`.
      time: its round, ascending. Shape `[N]`.
      valid: which rows count, at least one. Shape `[N]`, bool.
      num_arms: C.

    Returns:
      Their sum is 1. Shape `[C]`.
    """
    begins = valid & (time != jnp.concatenate([time[:1] - 1, time[:-1]]))
    round_ = jnp.cumsum(begins) - 1
    rounds = jnp.sum(begins)
    gains = jnp.zeros((len(arm), num_arms), reward.dtype)
    gains = gains.at[round_, arm].add(jnp.where(valid, reward, 0))
    rows = jnp.zeros(len(arm), reward.dtype).at[round_].add(valid.astype(reward.dtype))
    # The most of any round: in others members failed, and the oldest may be cut.
    batch = jnp.max(rows)
    gamma, omega = rates(num_arms, batch, rounds)

    def replay(number, weights):
        return play(weights, gains[number], batch, gamma, omega)

    start = jnp.ones(num_arms, reward.dtype)
    weights = jax.lax.fori_loop(0, rounds, replay, start)
    weights, _ = cap(weights, batch, gamma)
    return distribution(weights, gamma, omega)


def rates(num_arms: int, batch: Array, rounds: Array) -> tuple[Array, Array]:
    """How much is explored, and how much is forgotten.

    Args:
      num_arms: C.
      batch: B, how many arms are played in a round. Shape `[]`.
      rounds: how many there are. Shape `[]`.

    Returns:
      gamma, the share of uniform draws, in (0, 1]; and omega, from which the share
      that every arm gets follows. Shapes `[]`.
    """
    logarithm = jnp.log(jnp.maximum(num_arms / batch, 1))
    few = jnp.sqrt(num_arms * logarithm / ((e - 1) * batch * rounds / 10))
    gamma = jnp.where(batch >= num_arms, GAMMA, jnp.minimum(few, 1))
    return gamma, 1 / (10 * rounds)


def cap(weights: Array, batch: Array, gamma: Array) -> tuple[Array, Array]:
    """Cuts weights for which an arm would be played more than once in a round.

    With s = (1 / B - gamma / C) / (1 - gamma), the bound a of the weights solves
    a = s * sum of min(weight, a) (Uchiya et al., 2010, Algorithm EXP3.M).

    Args:
      weights: of the arms, > 0. Shape `[C]`.
      batch: B. Shape `[]`.
      gamma: share of uniform draws. Shape `[]`.

    Returns:
      The weights, and which of them were cut: none where B >= C. Shapes `[C]`.
    """
    number = len(weights)
    share = (1 / batch - gamma / number) / jnp.where(gamma < 1, 1 - gamma, 1)
    # The bound if the k largest are cut, k = 0 to C - 1: the first one that holds for
    # all others is the right one.
    ascending = jnp.sort(weights)
    largest, rest = ascending[::-1], jnp.cumsum(ascending)[::-1]
    room = 1 - share * jnp.arange(number)
    bounds = share * rest / jnp.where(room > 0, room, 1)
    holds = (room > 0) & (largest <= bounds)
    bound = bounds[jnp.argmax(holds)]
    needed = (batch < number) & (gamma < 1) & jnp.any(holds)
    capped = needed & (weights > bound)
    return jnp.where(capped, bound, weights), capped


def distribution(weights: Array, gamma: Array, omega: Array) -> Array:
    """How likely each arm is.

    Args:
      weights: of the arms, > 0. Shape `[C]`.
      gamma: share of uniform draws. Shape `[]`.
      omega: from `rates`. Shape `[]`.

    Returns:
      Their sum is 1. Shape `[C]`.
    """
    total = jnp.sum(weights)
    unscaled = (1 - gamma) * weights / total + (gamma + e * omega * total) / len(
        weights
    )
    return unscaled / jnp.sum(unscaled)


def play(
    weights: Array, gain: Array, batch: Array, gamma: Array, omega: Array
) -> Array:
    """The weights after a round.

    Args:
      weights: before it. Shape `[C]`.
      gain: sum of the rewards of each arm. Shape `[C]`.
      batch: B. Shape `[]`.
      gamma: from `rates`. Shape `[]`.
      omega: from `rates`. Shape `[]`.

    Returns:
      Their sum is 1. Shape `[C]`.
    """
    weights, capped = cap(weights, batch, gamma)
    chance = distribution(weights, gamma, omega)
    growth = jnp.where(capped, 0, gain * gamma / (chance * len(weights)))
    share = e * omega * jnp.sum(weights) / len(weights)
    # All are divided by the largest growth, which is infinite in a large population.
    largest = jnp.max(growth)
    weights = weights * jnp.exp(growth - largest) + share * jnp.exp(-largest)
    return weights / jnp.sum(weights)
