"""Operators that strategies share: who inherits from whom, and what becomes of a configuration. `P` members, `D` dimensions."""

import math

import jax
import jax.numpy as jnp

from bgpbt import space as spaces
from bgpbt.space import Categorical, Dimension, Float, Integer, SearchSpace
from bgpbt.types import Array, Decision, Key, Outcome, Source


def replaced_count(pop_size: int, quantile_fraction: float) -> int:
    """How many members truncation replaces: the share rounded down (0.29 of 100 is 29, whatever the floats say)."""
    return int(pop_size * quantile_fraction + 1e-9)


def nobody_replaced(pop_size: int, quantile_fraction: float) -> str:
    """The complaint where the share is that of less than one member, else ""."""
    if replaced_count(pop_size, quantile_fraction):
        return ""
    least = least_share(pop_size, 1)
    return f"quantile_fraction: {quantile_fraction} of {pop_size} members replaces nobody, give at least {least}"


def least_share(pop_size: int, number: int) -> float:
    """The smallest share of four digits that is so many members."""
    return math.ceil(10_000 * number / pop_size) / 10_000


def rank(fitness: Array) -> Array:
    """Members from best to worst; NaN last, ties by index. Shape `[P]`, int32."""
    return jnp.argsort(-fitness, stable=True)


def truncation(key: Key, fitness: Array, quantile_fraction: float) -> Array:
    """Selects a parent for every member: the worst share inherits from members of the best share, drawn uniformly.

    A failed member always inherits, beyond the share, and never is a parent.

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
    return jnp.where(failed | (place >= number - count), drawn, jnp.arange(number)).astype(jnp.int32)


def survivors_draw(key: Key, fitness: Array) -> Array:
    """A member that did not fail for every member, uniformly. Shape `[P]`, int32."""
    number = len(fitness)
    alive = jnp.where(jnp.isnan(fitness), -jnp.inf, 0.0)
    return jax.random.categorical(key, alive, shape=(number,)).astype(jnp.int32)


def others_draw(key: Key, number: int) -> Array:
    """Another member for every member, uniformly. Shape `[P]`, int32."""
    ahead = jax.random.randint(key, (number,), 1, number)
    return (jnp.arange(number) + ahead) % number


def _perturb_dimension(key: Key, dim: Dimension, unit: Array, down: float, up: float) -> Array:
    """The coordinate after one of two factors on the natural value; a category is drawn anew."""
    rises = jax.random.bernoulli(key)
    value = spaces.decode_dimension(dim, unit)
    factor = jnp.where(rises, up, down)
    match dim:
        case Categorical():
            return jax.random.uniform(key)
        case Integer(doubling=True):
            value = jnp.where(rises, value * 2, value // 2)
        case Integer():
            moved = jnp.round(value * factor)
            value = jnp.where(rises, jnp.maximum(moved, value + 1), jnp.minimum(moved, value - 1))
        case Float(complement=True):
            # At exactly 1 there is nothing to multiply: the distance is taken for at least a hundredth of the range.
            least = 0.01 * (dim.high - dim.low) if dim.high == 1 else 0
            value = 1 - jnp.maximum(1 - value, least) * factor
        case Float():
            value = value * factor
    return spaces.encode_dimension(dim, jnp.clip(value, *spaces.limits(dim)))


def perturb(key: Key, space: SearchSpace, config: Array, down: float, up: float) -> Array:
    """Perturbs every hyperparameter of one member by itself: a key each, a factor each, clipped to its range.

    Integers move by at least one step, doubling ones to a neighbour. Architecture dimensions stay with their weights.

    Args:
      key: PRNG key, consumed.
      space: the search space.
      config: in the unit cube. Shape `[D]`.
      down: one factor, below 1.
      up: the other one, above 1.
    """
    keys = jax.random.split(key, len(space))
    moved = [_perturb_dimension(k, dim, config[i], down, up) for i, (k, dim) in enumerate(zip(keys, space.values(), strict=True))]
    return jnp.where(spaces.group_mask(space, "hyperparameter"), jnp.stack(moved), config)


def add_noise(key: Key, space: SearchSpace, config: Array, scale: float) -> Array:
    """Normal noise on every hyperparameter, `scale` of its range on its own scale; a category is drawn anew. Shape `[D]`."""
    key_noise, key_draw = jax.random.split(key)
    moved = jnp.clip(config + scale * jax.random.normal(key_noise, config.shape), 0, 1)
    categorical = jnp.array([isinstance(dim, Categorical) for dim in space.values()])
    moved = jnp.where(categorical, jax.random.uniform(key_draw, config.shape), moved)
    return jnp.where(spaces.group_mask(space, "hyperparameter"), moved, config)


def resample(key: Key, space: SearchSpace, config: Array) -> Array:
    """Draws every hyperparameter anew from the prior; architecture dimensions stay. Shape `[D]`."""
    return jnp.where(spaces.group_mask(space, "hyperparameter"), spaces.sample(key, space), config)


def restart(key: Key, space: SearchSpace, outcome: Outcome, gone: Array, num_blocks: int) -> Decision:
    """Who is gone starts afresh, weights and the whole configuration; the others go on. `gone`: shape `[P]`, bool."""
    number = len(gone)
    drawn = jax.vmap(lambda k: spaces.sample(k, space))(jax.random.split(key, number))
    config = jnp.where(gone[:, None], spaces.settle(space, drawn), outcome.config)
    source = jnp.where(gone, Source.random, Source.previous)
    decision = whole(outcome, config, jnp.arange(number), num_blocks, source)
    fresh = jnp.broadcast_to(gone[:, None], decision.parents.shape).astype(decision.shrink.dtype)
    return decision._replace(shrink=1 - fresh, perturb=fresh)


def whole(outcome: Outcome, config: Array, parents: Array, num_blocks: int, source: Array) -> Decision:
    """A decision in which every member inherits all blocks, unchanged, from one parent. `parents`: shape `[P]`."""
    shape = (len(parents), num_blocks)
    return Decision(
        config=config,
        parents=jnp.broadcast_to(parents[:, None], shape).astype(jnp.int32),
        shrink=jnp.ones(shape),
        perturb=jnp.zeros(shape),
        active=outcome.active,
        source=source.astype(jnp.int32),
    )
