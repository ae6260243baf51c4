"""Random search (Bergstra and Bengio, 2012): draws from the prior, trained at full length, no exchange between members."""

import jax
import jax.numpy as jnp

from bgpbt.space import SearchSpace
from bgpbt.strategies.operators import restart
from bgpbt.types import Strategy


def random_search(space: SearchSpace, blocks: tuple[str, ...]) -> Strategy:
    """Every member keeps its draw; one that fails starts afresh, with fresh weights and a new draw.

    Args:
      space: the search space, `D` dimensions.
      blocks: the blocks of weights.
    """

    @jax.jit
    def step(key, state, outcome):
        return state, restart(key, space, outcome, jnp.isnan(outcome.fitness), len(blocks))

    return Strategy(init=lambda key, outcome: (), step=step)
