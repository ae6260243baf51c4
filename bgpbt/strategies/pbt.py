"""Population-based training (Jaderberg et al., 2017). https://arxiv.org/abs/1711.09846"""

from typing import Literal

import jax
import jax.numpy as jnp

from bgpbt import space as spaces
from bgpbt.space import SearchSpace
from bgpbt.strategies import exploit as rules
from bgpbt.strategies.operators import add_noise, nobody_replaced, perturb, resample, whole
from bgpbt.types import Source, Strategy

RESAMPLED = 0.25  # of `explore="both"`: chance of each hyperparameter to be drawn anew, Ray Tune's default
SOURCES = {"perturb": Source.perturbed, "resample": Source.resampled, "both": Source.perturbed, "noise": Source.perturbed}


def pbt(
    space: SearchSpace,
    blocks: tuple[str, ...],
    *,
    quantile_fraction: float = 0.25,
    exploit: Literal["truncation", "t_test", "tournament", "best"] = "truncation",
    inherit: Literal["both", "weights", "hyperparameters"] = "both",
    explore: Literal["perturb", "resample", "both", "noise"] = "perturb",
    perturb_scale: float = 0.2,
) -> Strategy:
    """A member that copies another takes its weights and configuration, and explores from there.

    Args:
      space: the search space, `D` dimensions. Architectures go with the weights.
      blocks: the blocks of weights, all inherited from one parent.
      quantile_fraction: of truncation, the share of the population replaced in a round, in (0, 0.5].
      exploit: who copies whom, see `bgpbt.strategies.exploit`.
      inherit: what is copied; with "weights" the member's own hyperparameters are explored. A failed member copies both.
      explore: "perturb" multiplies by 1 - perturb_scale or 1 + perturb_scale; "resample" draws from the prior; "both" perturbs,
        or with a chance of 1 in 4 resamples, each dimension by itself; "noise" adds normal noise, `perturb_scale` of the range.
      perturb_scale: in (0, 1).
    """
    rule, genes = rules.exploit(exploit, quantile_fraction), ~spaces.group_mask(space, "hyperparameter")

    def moved(key, config):
        key_moved, key_drawn, key_which = jax.random.split(key, 3)
        drawn = resample(key_drawn, space, config)
        if explore == "resample":
            return drawn
        if explore == "noise":
            return add_noise(key_moved, space, config, perturb_scale)
        perturbed = perturb(key_moved, space, config, 1 - perturb_scale, 1 + perturb_scale)
        if explore == "perturb":
            return perturbed
        return jnp.where(jax.random.bernoulli(key_which, RESAMPLED, config.shape), drawn, perturbed)

    @jax.jit
    def step(key, state, outcome):
        key_exploit, key_explore = jax.random.split(key)
        copied = rule(key_exploit, outcome)
        own, failed = jnp.arange(len(copied)), jnp.isnan(outcome.fitness)
        parents = jnp.where(failed | (inherit != "hyperparameters"), copied, own)
        teachers = jnp.where(failed | (inherit != "weights"), copied, own)
        config = jnp.where(genes, outcome.config[parents], outcome.config[teachers])
        explores = copied != own
        keys = jax.random.split(key_explore, len(own))
        config = jnp.where(explores[:, None], jax.vmap(moved)(keys, config), config)
        source = jnp.where(explores, SOURCES[explore], Source.previous)
        return state, whole(outcome, config, parents, len(blocks), source)

    return Strategy(
        init=lambda key, outcome: (),
        step=step,
        needs=("returns",) if exploit == "t_test" else (),
        complaint=lambda size: nobody_replaced(size, quantile_fraction) if exploit == "truncation" else "",
    )
