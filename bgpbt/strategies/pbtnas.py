"""PBT-NAS (Chebykin et al., 2023): a child's blocks come from two parents, those of the second shrunk and perturbed.

https://arxiv.org/abs/2307.15621; the rules are those of its authors' code, listed in `docs/strategies.md`.
"""

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from bgpbt import space as spaces
from bgpbt.space import SearchSpace
from bgpbt.strategies.operators import least_share, rank, replaced_count, whole
from bgpbt.types import Array, Key, Source, Strategy


def pbtnas(
    space: SearchSpace,
    blocks: tuple[str, ...],
    *,
    quantile_fraction: float = 0.25,
    mixing: Literal["blocks", "none", "whole"] = "blocks",
    mix_probability: float = 0.25,
    shrink: float = 0.4,
    perturb: float = 0.1,
) -> Strategy:
    """The worst share is replaced by children of the best share. Hyperparameters go with the first parent.

    Args:
      space: the search space, `D` dimensions; those of a block go with it.
      blocks: the blocks of weights, each mixed by itself.
      quantile_fraction: share of the population replaced in a round, and of that it descends from, in (0, 0.5].
      mixing: "blocks" of the second parent; "none": of the child itself, so that no architecture is new; "whole": no selection,
        everybody's whole network is shrunk and perturbed after every round.
      mix_probability: chance of each block that has an architecture.
      shrink: factor of the weights that are mixed in; 1 with `perturb` 0 copies exactly, 0 with 1 starts them afresh.
      perturb: factor of the fresh weights added to them.
    """
    owners = jnp.array([spaces.group_mask(space, block) for block in blocks])  # [B, D]

    @jax.jit
    def step(key, state, outcome):
        key_parents, key_mix = jax.random.split(key)
        own = jnp.arange(len(outcome.fitness))
        removed, first, second = couples(key_parents, outcome.fitness, quantile_fraction)
        mixed = jax.random.bernoulli(key_mix, mix_probability, (len(own), len(blocks)))
        if mixing == "whole":
            removed, mixed = jnp.isnan(outcome.fitness), jnp.ones_like(mixed)
        if mixing != "blocks":
            second = first
        mixed = mixed & (mixing == "whole" or removed[:, None] & owners.any(axis=1))  # what nobody owns is the first parent's
        lead = jnp.where(removed, first, own)
        parents = jnp.where(mixed & removed[:, None], second[:, None], lead[:, None])
        config = outcome.config[lead]
        for block, genes in enumerate(owners):
            config = jnp.where(genes, outcome.config[parents[:, block]], config)
        source = jnp.where(removed, jnp.where(mixed.any(axis=1), Source.mixed, Source.copied), Source.previous)
        decision = whole(outcome, config, lead, len(blocks), source)
        return state, decision._replace(
            parents=parents.astype(jnp.int32),
            shrink=jnp.where(mixed, shrink, 1.0),
            perturb=jnp.where(mixed, perturb, 0.0),
        )

    return breeding(step, space, quantile_fraction)


def breeding(step: Callable, space: SearchSpace, quantile_fraction: float) -> Strategy:
    """A strategy without a state whose children descend from `couples`, and whose first architectures are stratified."""
    return Strategy(
        init=lambda key, outcome: (),
        step=step,
        needs=("architectures",),
        complaint=lambda size: too_few(size, quantile_fraction),
        draw=lambda key, config: stratified(key, space, config),
    )


def too_few(pop_size: int, quantile_fraction: float) -> str:
    """The complaint where the share is that of less than two members, who could be no parents; else ""."""
    if replaced_count(pop_size, quantile_fraction) >= 2:
        return ""
    right = f"give at least {least_share(pop_size, 2)}" if pop_size >= 4 else "give at least 4 members"
    return f"quantile_fraction: {quantile_fraction} of {pop_size} members leaves no two parents, {right}"


def couples(key: Key, fitness: Array, quantile_fraction: float) -> tuple[Array, Array, Array]:
    """Who is replaced, the worst share and whoever failed, and for every member two different parents of the best share.

    Returns:
      Who is replaced, bool; the fitter of the two parents; the other one. Shapes `[P]`.
    """
    number, count = len(fitness), replaced_count(len(fitness), quantile_fraction)
    order, failed = rank(fitness), jnp.isnan(fitness)
    pool = jnp.clip(jnp.sum(~failed), 1, count)
    removed = failed | (jnp.argsort(order) >= number - count)
    key_one, key_other = jax.random.split(key)
    one = jax.random.randint(key_one, (number,), 0, pool)
    other = (one + jax.random.randint(key_other, (number,), 1, jnp.maximum(pool, 2))) % pool
    return removed, order[jnp.minimum(one, other)], order[jnp.maximum(one, other)]


def stratified(key: Key, space: SearchSpace, config: np.ndarray) -> np.ndarray:
    """Configurations in which every architecture's dimension has each of its values equally often, in random order.

    What is left over by the division is drawn uniformly. `config`: shape `[M, D]`; its hyperparameters stay.
    """
    rng, config = np.random.default_rng(np.asarray(jax.random.bits(key, (4,)))), np.array(config)
    for column, dim in enumerate(space.values()):
        if dim.group != "hyperparameter":
            centres, number = spaces.bin_centres(dim), len(config)
            often = np.repeat(centres, number // len(centres))
            config[:, column] = rng.permutation(np.append(often, rng.choice(centres, number - len(often))))
    return config
