"""What strategies share: selection, sampling of members, and whole decisions.

`P` members, `D` dimensions, `B` blocks of weights.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from bgpbt import space as spaces
from bgpbt.space import SearchSpace
from bgpbt.types import (
    Array,
    Decision,
    Key,
    Outcome,
    Source,
    StrategyInit,
    StrategyStep,
)


def replaced_count(pop_size: int, quantile_fraction: float) -> int:
    """How many members truncation replaces: the share rounded down.

    0.29 of 100 is 29, although the product of the floats is smaller.
    """
    return int(pop_size * quantile_fraction + 1e-9)


def validate_quantile(pop_size: int, quantile_fraction: float) -> str:
    """What is wrong where the share is less than one member; "" where nothing is."""
    if replaced_count(pop_size, quantile_fraction):
        return ""
    return (
        f"quantile_fraction: {quantile_fraction} of {pop_size} members replaces nobody,"
        f" give at least {least_share(pop_size, 1)}"
    )


def least_share(pop_size: int, number: int) -> float:
    """The smallest share of four digits that is `number` members."""
    return math.ceil(10_000 * number / pop_size) / 10_000


def rank(fitness: Array) -> Array:
    """Orders members from best to worst.

    Args:
      fitness: larger is better. Shape `[P]`.

    Returns:
      Indices; NaN is last, ties are in the order of the indices. Shape `[P]`, int32.
    """
    return jnp.argsort(-fitness, stable=True)


def truncation(key: Key, fitness: Array, quantile_fraction: float) -> Array:
    """Selects a parent for every member.

    The worst share inherits from members of the best share, drawn uniformly. A failed
    member always inherits, beyond the share, and never is a parent.

    Args:
      key: PRNG key, consumed.
      fitness: larger is better, NaN = failed. Shape `[P]`.
      quantile_fraction: share replaced, in (0, 0.5].

    Returns:
      Index of each member's parent, its own where it survives. Shape `[P]`, int32.
    """
    number = len(fitness)
    count = replaced_count(number, quantile_fraction)
    order = rank(fitness)
    place = jnp.argsort(order)
    failed = jnp.isnan(fitness)
    donors = jnp.minimum(count, jnp.sum(~failed))
    drawn = order[jax.random.randint(key, (number,), 0, jnp.maximum(donors, 1))]
    return jnp.where(
        failed | (place >= number - count), drawn, jnp.arange(number)
    ).astype(jnp.int32)


def sample_valid(key: Key, fitness: Array) -> Array:
    """Draws a valid member for every member, uniformly.

    Args:
      key: PRNG key, consumed.
      fitness: NaN = failed. Shape `[P]`.

    Returns:
      Indices of members that did not fail. Shape `[P]`, int32.
    """
    number = len(fitness)
    logits = jnp.where(jnp.isnan(fitness), -jnp.inf, 0.0)
    return jax.random.categorical(key, logits, shape=(number,)).astype(jnp.int32)


def sample_other(key: Key, number: int) -> Array:
    """Draws another member for every member, uniformly.

    Args:
      key: PRNG key, consumed.
      number: of members P.

    Returns:
      Indices. Shape `[P]`, int32.
    """
    offset = jax.random.randint(key, (number,), 1, number)
    return (jnp.arange(number) + offset) % number


def reinitialise(
    key: Key, space: SearchSpace, outcome: Outcome, stopped: Array, num_blocks: int
) -> Decision:
    """Stopped members get fresh weights and a random configuration; others go on.

    Args:
      key: PRNG key, consumed.
      space: the search space.
      outcome: of the round.
      stopped: who starts afresh. Shape `[P]`, bool.
      num_blocks: B.
    """
    number = len(stopped)
    drawn = jax.vmap(lambda k: spaces.sample(k, space))(jax.random.split(key, number))
    config = jnp.where(
        stopped[:, None], spaces.snap_architectures(space, drawn), outcome.config
    )
    source = jnp.where(stopped, Source.random, Source.previous)
    decision = inherit_all(outcome, config, jnp.arange(number), num_blocks, source)
    fresh = jnp.broadcast_to(stopped[:, None], decision.parents.shape).astype(
        decision.shrink.dtype
    )
    return decision._replace(shrink=1 - fresh, perturb=fresh)


def inherit_all(
    outcome: Outcome, config: Array, parents: Array, num_blocks: int, source: Array
) -> Decision:
    """Every member inherits all blocks, unchanged, from one parent.

    Args:
      outcome: of the round.
      config: of the next round. Shape `[P, D]`.
      parents: index of each member's parent; its own: nothing is inherited. Shape
        `[P]`.
      num_blocks: B.
      source: where each configuration came from, a `Source`. Shape `[P]`.
    """
    shape = (len(parents), num_blocks)
    return Decision(
        config=config,
        parents=jnp.broadcast_to(parents[:, None], shape).astype(jnp.int32),
        shrink=jnp.ones(shape),
        perturb=jnp.zeros(shape),
        active=outcome.active,
        source=source.astype(jnp.int32),
    )


def made_up_outcome(dimensions: int, pop_size: int) -> Outcome:
    """An untrained population whose members all have a fitness.

    Args:
      dimensions: of a configuration, D.
      pop_size: P.
    """
    fitness = np.arange(pop_size, dtype=np.float32)
    clock = np.zeros(pop_size, np.int32)
    return Outcome(
        np.full((pop_size, dimensions), 0.5, np.float32),
        fitness,
        fitness[:, None],
        clock,
        clock,
        np.ones(pop_size, bool),
    )


def compile_step(
    init: StrategyInit, step: StrategyStep, dimensions: int, pop_size: int
) -> None:
    """Compiles what a step needs by taking one with a made-up population.

    All of its members have a fitness, so that a bandit already has data.

    Args:
      init: begins the strategy.
      step: decides.
      dimensions: of a configuration, D.
      pop_size: P.
    """
    outcome = made_up_outcome(dimensions, pop_size)
    key = jax.random.PRNGKey(0)
    after = outcome._replace(timesteps=outcome.timesteps + np.int32(1))
    step(key, init(key, outcome), after)
