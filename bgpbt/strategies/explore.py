"""How the configuration of one member is changed.

Only hyperparameters change: architectures stay with their weights. `D` dimensions.
"""

import jax
import jax.numpy as jnp

from bgpbt import space as spaces
from bgpbt.space import Categorical, Dimension, Float, Integer, SearchSpace
from bgpbt.types import Array, Key


def _perturb_dimension(
    key: Key, dim: Dimension, unit: Array, down: float, up: float
) -> Array:
    """The coordinate after the value was multiplied; a category is drawn anew."""
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
            value = jnp.where(
                rises, jnp.maximum(moved, value + 1), jnp.minimum(moved, value - 1)
            )
        case Float(complement=True):
            # At exactly 1 there is nothing to multiply: the distance is taken for at
            # least a hundredth of the range.
            least = 0.01 * (dim.high - dim.low) if dim.high == 1 else 0
            value = 1 - jnp.maximum(1 - value, least) * factor
        case Float():
            value = value * factor
    return spaces.encode_dimension(dim, jnp.clip(value, *spaces.limits(dim)))


def perturb(
    key: Key, space: SearchSpace, config: Array, down: float, up: float
) -> Array:
    """Multiplies every hyperparameter by one of two factors, clipped to its range.

    Each has a key of its own. Integers move by at least one step, doubling ones to
    half or twice their value.

    Args:
      key: PRNG key, consumed.
      space: the search space.
      config: in the unit cube. Shape `[D]`.
      down: one factor, below 1.
      up: the other one, above 1.

    Returns:
      Shape `[D]`.
    """
    keys = jax.random.split(key, len(space))
    moved = [
        _perturb_dimension(k, dim, config[i], down, up)
        for i, (k, dim) in enumerate(zip(keys, space.values(), strict=True))
    ]
    return jnp.where(
        spaces.group_mask(space, "hyperparameter"), jnp.stack(moved), config
    )


def add_noise(key: Key, space: SearchSpace, config: Array, scale: float) -> Array:
    """Adds normal noise to every hyperparameter; a category is drawn anew.

    Args:
      key: PRNG key, consumed.
      space: the search space.
      config: in the unit cube. Shape `[D]`.
      scale: standard deviation, a share of the range.

    Returns:
      Shape `[D]`.
    """
    key_noise, key_draw = jax.random.split(key)
    moved = jnp.clip(config + scale * jax.random.normal(key_noise, config.shape), 0, 1)
    categorical = jnp.array([isinstance(dim, Categorical) for dim in space.values()])
    moved = jnp.where(categorical, jax.random.uniform(key_draw, config.shape), moved)
    return jnp.where(spaces.group_mask(space, "hyperparameter"), moved, config)


def resample(key: Key, space: SearchSpace, config: Array) -> Array:
    """Draws every hyperparameter anew from the prior.

    Args:
      key: PRNG key, consumed.
      space: the search space.
      config: in the unit cube. Shape `[D]`.

    Returns:
      Shape `[D]`.
    """
    return jnp.where(
        spaces.group_mask(space, "hyperparameter"), spaces.sample(key, space), config
    )
