"""Population-based training (Jaderberg et al., 2017). https://arxiv.org/abs/1711.09846"""

from typing import Literal

import jax
import jax.numpy as jnp

from bgpbt.space import SearchSpace
from bgpbt.strategies.operators import perturb, resample, truncation, whole
from bgpbt.types import Source, Strategy


def pbt(
    space: SearchSpace,
    blocks: tuple[str, ...],
    *,
    quantile_fraction: float = 0.25,
    explore: Literal["perturb", "resample"] = "perturb",
    perturb_scale: float = 0.2,
) -> Strategy:
    """Truncation selection; a replaced member takes weights and configuration of its parent and explores from there.

    Args:
      space: the search space, `D` dimensions.
      blocks: the blocks of weights, all inherited from one parent.
      quantile_fraction: share of the population replaced in a round, in (0, 0.5].
      explore: "perturb" multiplies by 1 - perturb_scale or 1 + perturb_scale; "resample" draws from the prior.
      perturb_scale: in (0, 1).
    """

    @jax.jit
    def step(key, state, outcome):
        key_exploit, key_explore = jax.random.split(key)
        parents = truncation(key_exploit, outcome.fitness, quantile_fraction)
        replaced = parents != jnp.arange(len(parents))
        keys = jax.random.split(key_explore, len(parents))
        inherited = outcome.config[parents]
        if explore == "perturb":
            explored = jax.vmap(lambda k, c: perturb(k, space, c, perturb_scale))(keys, inherited)
        else:
            explored = jax.vmap(lambda k, c: resample(k, space, c))(keys, inherited)
        config = jnp.where(replaced[:, None], explored, outcome.config)
        source = jnp.where(replaced, Source.perturbed if explore == "perturb" else Source.resampled, Source.previous)
        return state, whole(outcome, config, parents, len(blocks), source)

    return Strategy(init=lambda key, outcome: (), step=step)
