"""PB2-Mix: population-based bandits with categories (Parker-Holder et al., 2021).

https://arxiv.org/abs/2106.15883. A bandit of its own chooses each category, and then
PB2's Gaussian process the numbers beside them. The rules are those of its authors' code
and of a public port, listed in `docs/strategies.md`. `S` dimensions are searched: first
the numbers, then `C` categories.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bgpbt import space as spaces
from bgpbt.gp import exp3m, history, pb2_bandit
from bgpbt.gp.history import History
from bgpbt.gp.in_turn import Situation
from bgpbt.gp.pb2_bandit import Categories
from bgpbt.gp.pb2_kernels import MixedParams, Params, PB2Params
from bgpbt.space import Categorical, SearchSpace
from bgpbt.strategies.pb2 import pb2
from bgpbt.strategies.pb2_rounds import Bandit, strategy_of
from bgpbt.types import Array, Key, PyTree, Source, Strategy


class _Variant(NamedTuple):
    """How categories are chosen, and what the Gaussian process makes of them."""

    learns: bool  # which category is worth what; else they are drawn anew
    start: Callable[[], Params]  # of the Gaussian process
    separate: bool  # it sees only rows of the same categories


_VARIANTS = {
    "mix": _Variant(True, MixedParams.start, False),
    "mult": _Variant(True, PB2Params.start, True),
    "rand": _Variant(False, PB2Params.start, False),
}


class _Search(NamedTuple):
    """What is searched, and how."""

    numbers: int  # how many dimensions, S - C
    categories: Categories  # of the others, at least one
    variant: _Variant


class _Model(NamedTuple):
    """What is known after a round."""

    probabilities: tuple[Array, ...]  # of each dimension's categories
    params: PyTree  # of the process of all rows; () where there is none


def pb2mix(
    space: SearchSpace,
    blocks: tuple[str, ...],
    *,
    quantile_fraction: float = 0.25,
    categories: str = "mix",
    capacity: int = 200,
) -> Strategy:
    """A replaced member takes weights from one of the best and asks the bandits.

    They choose all hyperparameters; its architecture goes with the weights. Without
    categories this is PB2.

    Args:
      space: the search space, `D` dimensions. Whole numbers are searched as if
        continuous.
      blocks: the blocks of weights, all inherited from one parent.
      quantile_fraction: share of the population replaced in a round, in (0, 0.5].
      categories: `mix`: bandits choose them, and the kernel compares them. `mult`:
        bandits choose them, and the Gaussian process sees only rows with the same ones;
        where there are none, the donor's configuration stays. `rand`: they are drawn
        anew, and the Gaussian process ignores them.
      capacity: rows that the bandits remember, the newest.
    """
    searched = [
        (column, dim)
        for column, dim in enumerate(space.values())
        if dim.group == "hyperparameter"
    ]
    numbers = [column for column, dim in searched if not isinstance(dim, Categorical)]
    others = {column: dim for column, dim in searched if isinstance(dim, Categorical)}
    if not others:
        return pb2(
            space, blocks, quantile_fraction=quantile_fraction, capacity=capacity
        )
    search = _Search(len(numbers), tuple(others.values()), _VARIANTS[categories])
    return strategy_of(
        Bandit(
            np.array([*numbers, *others]),
            learn=partial(_learn, search),
            suggest=partial(_suggest, search),
        ),
        space,
        len(blocks),
        quantile_fraction=quantile_fraction,
        capacity=capacity,
        needs=("hyperparameters",),
    )


def _learn(search: _Search, rows: History) -> _Model:
    """Replays the bandits of the categories, and fits the process of all rows."""
    probabilities = [
        jnp.full(len(dim.choices), 1 / len(dim.choices)) for dim in search.categories
    ]
    if search.variant.learns:
        lowest, width = history.scale_context(-rows.cost, rows.valid)
        reward = (-rows.cost - lowest) / width
        arms = pb2_bandit.chosen_categories(search.categories, rows.config)
        probabilities = [
            exp3m.probabilities(arms[:, c], reward, rows.time, rows.valid, len(p))
            for c, p in enumerate(probabilities)
        ]
    fits = search.numbers and not search.variant.separate
    return _Model(tuple(probabilities), _fit(search, rows) if fits else ())


def _fit(search: _Search, rows: History) -> Params:
    return pb2_bandit.fit(search.variant.start, search.categories, rows)


def _suggest(
    search: _Search,
    model: _Model,
    rows: History,
    key: Key,
    situation: Situation,
    member: Array,
) -> tuple[Array, Array]:
    """The configuration `[S]` of a member, and its `Source`."""
    key_categories, key_numbers = jax.random.split(key)
    chosen = _draw(key_categories, model.probabilities)
    coordinates = jnp.stack(
        [
            jnp.asarray(spaces.bin_centres(dim))[chosen[c]]
            for c, dim in enumerate(search.categories)
        ]
    )
    if not search.numbers:
        return coordinates, jnp.int32(Source.resampled)
    params = model.params
    if search.variant.separate:
        rows, situation = _with_the_same(search.categories, chosen, rows, situation)
        params = _fit(search, rows)
    numbers = pb2_bandit.suggest(
        key_numbers, params, search.categories, rows, situation, member, chosen
    )
    known = jnp.any(rows.valid)
    donor = situation.config[member]
    return (
        jnp.where(known, jnp.concatenate([numbers, coordinates]), donor),
        jnp.where(known, Source.gp, Source.copied).astype(jnp.int32),
    )


def _draw(key: Key, probabilities: tuple[Array, ...]) -> Array:
    """A category of each dimension. Shape `[C]`, int32."""
    keys = jax.random.split(key, len(probabilities))
    drawn = [
        jax.random.categorical(k, jnp.log(p))
        for k, p in zip(keys, probabilities, strict=True)
    ]
    return jnp.stack(drawn).astype(jnp.int32)


def _with_the_same(
    categories: Categories, chosen: Array, rows: History, situation: Situation
) -> tuple[History, Situation]:
    """Without rows and pending members of other categories than `chosen` `[C]`."""

    def same(config):
        has = pb2_bandit.chosen_categories(categories, config)
        return jnp.all(has == chosen, axis=-1)

    return (
        rows._replace(valid=rows.valid & same(rows.config)),
        situation._replace(decided=situation.decided & same(situation.config)),
    )
