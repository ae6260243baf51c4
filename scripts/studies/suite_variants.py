"""Variants of strategies that are in development: arms of `suite.py --profile dev`."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bgpbt.gp.trust_region import INITIAL_LENGTH
from bgpbt.space import Categorical, SearchSpace
from bgpbt.strategies.bgpbt import bgpbt
from bgpbt.strategies.pbt import pbt
from bgpbt.types import Array, PyTree, Source, Strategy

Blocks = tuple[str, ...]

JITTER = 0.05  # standard deviation, as a share of the range


def bgpbt_jitter(
    space: SearchSpace, blocks: Blocks, *, quantile_fraction: float = 0.125
) -> Strategy:
    """`bgpbt`, and small changes for those who go on."""
    inner = bgpbt(space, blocks, quantile_fraction=quantile_fraction)
    return with_jitter(inner, space, JITTER)


def pbt_jitter(
    space: SearchSpace, blocks: Blocks, *, quantile_fraction: float = 0.25
) -> Strategy:
    """`pbt` with the same: is it the bandit that gains?"""
    inner = pbt(space, blocks, quantile_fraction=quantile_fraction)
    return with_jitter(inner, space, JITTER)


def bgpbt_short(
    space: SearchSpace, blocks: Blocks, *, quantile_fraction: float = 0.125
) -> Strategy:
    """`bgpbt` whose region stays as small as it begins."""
    return bgpbt(
        space,
        blocks,
        quantile_fraction=quantile_fraction,
        max_length=INITIAL_LENGTH,
    )


def bgpbt_memory(
    space: SearchSpace, blocks: Blocks, *, quantile_fraction: float = 0.125
) -> Strategy:
    """`bgpbt` that remembers 400 rows."""
    return bgpbt(space, blocks, quantile_fraction=quantile_fraction, capacity=400)


class State(NamedTuple):
    """Of a strategy with jitter. `P` members, `D` dimensions."""

    inner: PyTree
    home: Array  # [P, D] the configurations that the strategy has chosen


def with_jitter(strategy: Strategy, space: SearchSpace, sd: float) -> Strategy:
    """Who goes on trains with small changes of its configuration, new ones each round.

    They are changes of what the strategy has chosen, so they do not add up. Who was
    just replaced trains with what was chosen, and categories stay. The strategy sees
    what was played: more distinct configurations.

    Args:
      strategy: chooses the configurations.
      space: of the task.
      sd: standard deviation of a change, as a share of the range.
    """
    moves = np.array(
        [
            dim.group == "hyperparameter" and not isinstance(dim, Categorical)
            for dim in space.values()
        ]
    )

    def init(key, outcome):
        return State(strategy.init(key, outcome), np.asarray(outcome.config))

    @jax.jit
    def change(key, state, decision):
        own = jnp.arange(len(decision.parents))[:, None]
        stays = (decision.parents == own).all(axis=1, keepdims=True)
        home = jnp.where(stays, state.home, decision.config)
        noise = sd * moves * jax.random.normal(key, home.shape)
        played = jnp.where(stays, jnp.clip(home + noise, 0, 1), home)
        source = jnp.where(stays[:, 0], Source.perturbed, decision.source)
        return home, decision._replace(config=played, source=source)

    def step(key, state, outcome):
        inner, decision = strategy.step(key, state.inner, outcome)
        home, decision = change(jax.random.fold_in(key, 1), state, decision)
        return State(inner, home), jax.tree.map(np.asarray, decision)

    return strategy._replace(
        init=init,
        step=step,
        diagnostics=lambda state: strategy.diagnostics(state.inner),
    )
