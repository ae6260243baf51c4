"""What chance decides in a round of IPBT, in one compiled program. `N` slots."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from bgpbt import space as spaces
from bgpbt.space import SearchSpace
from bgpbt.types import Array, Key


class Draws(NamedTuple):
    """Drawn in every round, whether they are needed or not. NumPy on the host."""

    config: Array  # [N, D] random configurations
    donor: Array  # [N] uniform in [0, 1)
    fresh: Array  # [N] bool, half of the slots
    random: Array  # [N] bool, half of the slots, drawn apart
    exploit: Array  # key
    fit: Array  # key
    suggest: Array  # key


def make_draw(space: SearchSpace) -> Callable[[Key, int], Draws]:
    """Builds the program, a function of a key and the number of slots.

    Args:
      space: the search space, `D` dimensions.
    """
    compiled = jax.jit(partial(_draw, space), static_argnums=1)

    def draw(key: Key, number: int) -> Draws:
        return jax.tree.map(np.asarray, compiled(key, number))

    return draw


def _draw(space: SearchSpace, key: Key, number: int) -> Draws:
    keys: Array = jax.random.split(key, 7)
    half = np.arange(number) < number // 2
    sample = jax.vmap(lambda k: spaces.sample(k, space))
    config = sample(jax.random.split(keys[0], number))
    return Draws(
        config=spaces.snap_architectures(space, config),
        donor=jax.random.uniform(keys[1], (number,)),
        fresh=jax.random.permutation(keys[2], half),
        random=jax.random.permutation(keys[3], half),
        exploit=keys[4],
        fit=keys[5],
        suggest=keys[6],
    )
