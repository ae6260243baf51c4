"""Encodes configurations as inputs of a Gaussian process."""

import jax.numpy as jnp

from bgpbt import space as spaces
from bgpbt.gp.kernels import Point
from bgpbt.space import Categorical, SearchSpace
from bgpbt.types import Array


def snap_to_bins(space: SearchSpace, config: Array) -> Array:
    """Moves every discrete coordinate to the centre of its bin.

    Whole numbers with many values stay: their bins are too narrow to matter.

    Unlike `bgpbt.space.snap_architectures` it moves hyperparameters too, and it keeps
    the dtype.

    Args:
      space: the search space.
      config: in the unit cube. Shape `[D]`.

    Returns:
      Shape `[D]`.
    """
    coordinates = [
        config[i]
        if spaces.is_continuous(dim)
        else jnp.asarray(spaces.bin_centres(dim), config.dtype)[
            spaces.bin_index(dim, config[i])
        ]
        for i, dim in enumerate(space.values())
    ]
    return jnp.stack(coordinates)


def point(space: SearchSpace, config: Array, context: Array, time: Array) -> Point:
    """Builds the input of the Gaussian process from a configuration.

    Args:
      space: the search space.
      config: in the unit cube. Shape `[D]`.
      context: scaled to [0, 1]; it becomes the last numeric input. Shape `[]`.
      time: in rounds. Shape `[]`.
    """
    config = snap_to_bins(space, config)
    numeric = [
        config[i]
        for i, dim in enumerate(space.values())
        if not isinstance(dim, Categorical)
    ]
    categories = [
        spaces.bin_index(dim, config[i])
        for i, dim in enumerate(space.values())
        if isinstance(dim, Categorical)
    ]
    indices = jnp.stack(categories) if categories else jnp.zeros(0, jnp.int32)
    return Point(jnp.stack([*numeric, context]), indices, time)
