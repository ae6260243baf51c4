"""PBT-NAS (Chebykin et al., 2023). https://arxiv.org/abs/2307.15621

A child's blocks come from two parents; those of the second one are shrunk and
perturbed. The rules are those of its authors' code, listed in `docs/strategies.md`. `P`
members, `B` blocks.
"""

from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from bgpbt import space as spaces
from bgpbt.space import SearchSpace
from bgpbt.strategies.operators import inherit_all, least_share, rank, replaced_count
from bgpbt.types import Array, Key, Source, Strategy, StrategyStep


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
    """The worst share is replaced by children of the best share.

    Hyperparameters go with the first parent.

    Args:
      space: the search space, `D` dimensions; those of a block go with it.
      blocks: the blocks of weights, each mixed by itself.
      quantile_fraction: share of the population replaced in a round, and of that it
        descends from, in (0, 0.5].
      mixing: "blocks" of the second parent; "none": of the child itself, so that no
        architecture is new; "whole": no selection, every member's whole network is
        shrunk and perturbed after every round.
      mix_probability: chance of each block that has an architecture.
      shrink: factor of the weights that are mixed in; 1 with `perturb` 0 copies
        exactly, 0 with 1 starts them afresh.
      perturb: factor of the fresh weights added to them.
    """
    owners = jnp.array([spaces.group_mask(space, block) for block in blocks])  # [B, D]

    @jax.jit
    def step(key, state, outcome):
        key_parents, key_mix = jax.random.split(key)
        own = jnp.arange(len(outcome.fitness))
        removed, first, second = select_parents(
            key_parents, outcome.fitness, quantile_fraction
        )
        mixed = jax.random.bernoulli(key_mix, mix_probability, (len(own), len(blocks)))
        if mixing == "whole":
            removed = jnp.isnan(outcome.fitness)
            mixed = jnp.ones_like(mixed)
        if mixing != "blocks":
            second = first
        # A block without an architecture comes from the first parent.
        mixed = mixed & (mixing == "whole" or removed[:, None] & owners.any(axis=1))
        lead = jnp.where(removed, first, own)
        parents = jnp.where(mixed & removed[:, None], second[:, None], lead[:, None])
        config = outcome.config[lead]
        for block, owned in enumerate(owners):
            config = jnp.where(owned, outcome.config[parents[:, block]], config)
        source = jnp.where(
            removed,
            jnp.where(mixed.any(axis=1), Source.mixed, Source.copied),
            Source.previous,
        )
        decision = inherit_all(outcome, config, lead, len(blocks), source)
        return state, decision._replace(
            parents=parents.astype(jnp.int32),
            shrink=jnp.where(mixed, shrink, 1.0),
            perturb=jnp.where(mixed, perturb, 0.0),
        )

    return pbtnas_strategy(step, space, quantile_fraction)


def pbtnas_strategy(
    step: StrategyStep, space: SearchSpace, quantile_fraction: float
) -> Strategy:
    """A strategy without a state whose children come from `select_parents`.

    Its first architectures are stratified.

    Args:
      step: decides.
      space: the search space.
      quantile_fraction: share of the population replaced in a round, in (0, 0.5].
    """
    return Strategy(
        init=lambda key, outcome: (),
        step=step,
        needs=("architectures",),
        validate=partial(validate_parents, quantile_fraction=quantile_fraction),
        draw=lambda key, config: stratified(key, space, config),
    )


def validate_parents(pop_size: int, quantile_fraction: float) -> str:
    """What is wrong where the share has no two parents; "" where nothing is."""
    if replaced_count(pop_size, quantile_fraction) >= 2:
        return ""
    right = (
        f"give at least {least_share(pop_size, 2)}"
        if pop_size >= 4
        else "give at least 4 members"
    )
    return (
        f"quantile_fraction: {quantile_fraction} of {pop_size} members leaves no two"
        f" parents, {right}"
    )


def select_parents(
    key: Key, fitness: Array, quantile_fraction: float
) -> tuple[Array, Array, Array]:
    """Selects the members that are replaced, and two parents for every member.

    The worst share is replaced, and every failed member. Parents are two different
    members of the best share.

    Args:
      key: PRNG key, consumed.
      fitness: larger is better, NaN = failed. Shape `[P]`.
      quantile_fraction: share replaced, in (0, 0.5].

    Returns:
      Which members are replaced, bool; the fitter of the two parents; the other one.
      Shapes `[P]`.
    """
    number = len(fitness)
    count = replaced_count(number, quantile_fraction)
    order = rank(fitness)
    failed = jnp.isnan(fitness)
    pool = jnp.clip(jnp.sum(~failed), 1, count)
    removed = failed | (jnp.argsort(order) >= number - count)
    key_one, key_other = jax.random.split(key)
    one = jax.random.randint(key_one, (number,), 0, pool)
    offset = jax.random.randint(key_other, (number,), 1, jnp.maximum(pool, 2))
    other = (one + offset) % pool
    return removed, order[jnp.minimum(one, other)], order[jnp.maximum(one, other)]


def stratified(key: Key, space: SearchSpace, config: np.ndarray) -> np.ndarray:
    """Draws architectures in which each dimension has all its values equally often.

    They are in random order. What is left over by the division is drawn uniformly.

    Args:
      key: PRNG key, consumed.
      space: the search space.
      config: in the unit cube; its hyperparameters stay. Shape `[M, D]`.

    Returns:
      Shape `[M, D]`.
    """
    rng = np.random.default_rng(np.asarray(jax.random.bits(key, (4,))))
    config = np.array(config)
    number = len(config)
    for column, dim in enumerate(space.values()):
        if dim.group != "hyperparameter":
            centres = spaces.bin_centres(dim)
            equal = np.repeat(centres, number // len(centres))
            config[:, column] = rng.permutation(
                np.append(equal, rng.choice(centres, number - len(equal)))
            )
    return config
