"""Random search (Bergstra and Bengio, 2012): draws from the prior, trained at full length, no exchange between members."""

import jax
import jax.numpy as jnp

from bgpbt.space import SearchSpace
from bgpbt.strategies.operators import resample, whole
from bgpbt.types import Source, Strategy


def random_search(space: SearchSpace, blocks: tuple[str, ...]) -> Strategy:
    """Every member keeps its draw; one that fails starts afresh, with fresh weights and a new draw.

    Args:
      space: the search space, `D` dimensions.
      blocks: the blocks of weights.
    """

    @jax.jit
    def step(key, state, outcome):
        failed = jnp.isnan(outcome.fitness)
        number = len(failed)
        drawn = jax.vmap(lambda k, c: resample(k, space, c))(jax.random.split(key, number), outcome.config)
        config = jnp.where(failed[:, None], drawn, outcome.config)
        source = jnp.where(failed, Source.random, Source.previous)
        decision = whole(outcome, config, jnp.arange(number), len(blocks), source)
        fresh = jnp.broadcast_to(failed[:, None], decision.parents.shape).astype(decision.shrink.dtype)
        return state, decision._replace(shrink=1 - fresh, perturb=fresh)

    return Strategy(init=lambda key, outcome: (), step=step)
