"""Population-based training (Jaderberg et al., 2017).

https://arxiv.org/abs/1711.09846
"""

from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp

from bgpbt import space as spaces
from bgpbt.space import SearchSpace
from bgpbt.strategies.exploit import make_exploit
from bgpbt.strategies.explore import add_noise, perturb, resample
from bgpbt.strategies.operators import inherit_all, validate_quantile
from bgpbt.types import Array, Key, Source, Strategy

# Of `explore="both"`: chance of each hyperparameter to be drawn anew, Ray Tune's
# default.
RESAMPLED = 0.25
SOURCES = {
    "perturb": Source.perturbed,
    "resample": Source.resampled,
    "both": Source.perturbed,
    "noise": Source.perturbed,
}


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
    """A member copies another one's weights and configuration, and explores from there.

    Args:
      space: the search space, `D` dimensions. Architectures go with the weights.
      blocks: the blocks of weights, all inherited from one parent.
      quantile_fraction: of truncation, the share of the population replaced in a round,
        in (0, 0.5].
      exploit: the rule that selects parents, see `bgpbt.strategies.exploit`.
      inherit: what is copied; with "weights" the member's own hyperparameters are
        explored. A failed member copies both.
      explore: "perturb" multiplies by 1 - perturb_scale or 1 + perturb_scale;
        "resample" draws from the prior; "both" perturbs, or with a chance of 1 in 4
        resamples, each dimension by itself; "noise" adds normal noise, `perturb_scale`
        of the range.
      perturb_scale: in (0, 1).
    """
    select = make_exploit(exploit, quantile_fraction)
    arch_mask = ~spaces.group_mask(space, "hyperparameter")
    explore_one = partial(_explore, space=space, rule=explore, scale=perturb_scale)

    @jax.jit
    def step(key, state, outcome):
        key_exploit, key_explore = jax.random.split(key)
        copied = select(key_exploit, outcome)
        own = jnp.arange(len(copied))
        failed = jnp.isnan(outcome.fitness)
        parents = jnp.where(failed | (inherit != "hyperparameters"), copied, own)
        donors = jnp.where(failed | (inherit != "weights"), copied, own)
        config = jnp.where(arch_mask, outcome.config[parents], outcome.config[donors])
        explores = copied != own
        keys = jax.random.split(key_explore, len(own))
        config = jnp.where(
            explores[:, None], jax.vmap(explore_one)(keys, config), config
        )
        source = jnp.where(explores, SOURCES[explore], Source.previous)
        return state, inherit_all(outcome, config, parents, len(blocks), source)

    return Strategy(
        init=lambda key, outcome: (),
        step=step,
        needs=("returns",) if exploit == "t_test" else (),
        validate=lambda size: (
            validate_quantile(size, quantile_fraction)
            if exploit == "truncation"
            else ""
        ),
    )


def _explore(
    key: Key, config: Array, space: SearchSpace, rule: str, scale: float
) -> Array:
    """Changes the configuration `[D]` of one member by the rule of that name."""
    key_moved, key_drawn, key_which = jax.random.split(key, 3)
    drawn = resample(key_drawn, space, config)
    if rule == "resample":
        return drawn
    if rule == "noise":
        return add_noise(key_moved, space, config, scale)
    perturbed = perturb(key_moved, space, config, 1 - scale, 1 + scale)
    if rule == "perturb":
        return perturbed
    return jnp.where(
        jax.random.bernoulli(key_which, RESAMPLED, config.shape), drawn, perturbed
    )
