"""Random search (Bergstra and Bengio, 2012).

Configurations are drawn from the prior and trained at full length; members exchange
nothing.
"""

import jax
import jax.numpy as jnp

from bgpbt.space import SearchSpace
from bgpbt.strategies.operators import reinitialise
from bgpbt.types import Strategy


def random_search(space: SearchSpace, blocks: tuple[str, ...]) -> Strategy:
    """Every member keeps its configuration.

    A failed one starts afresh, with fresh weights and a new random configuration.

    Args:
      space: the search space, `D` dimensions.
      blocks: the blocks of weights.
    """

    @jax.jit
    def step(key, state, outcome):
        return state, reinitialise(
            key, space, outcome, jnp.isnan(outcome.fitness), len(blocks)
        )

    return Strategy(init=lambda key, outcome: (), step=step)
