"""Survivors try small changes of their own.

A bandit learns from distinct configurations, and members that go on keep theirs. So
each plays its own configuration plus noise in every round, around a home that stays.
Whoever was just replaced plays what was decided. `P` members, `D` dimensions.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bgpbt.space import Categorical, SearchSpace
from bgpbt.types import Array, PyTree, Source, Strategy


class State(NamedTuple):
    """What is carried from round to round."""

    decides: PyTree  # of the strategy
    home: Array  # [P, D] configurations around which survivors move


def with_jitter(strategy: Strategy, space: SearchSpace, scale: float) -> Strategy:
    """Wraps a strategy: survivors' numbers move around their home.

    Args:
      strategy: decides who is replaced, and by what.
      space: the search space; categories and architectures stay.
      scale: standard deviation of the noise in the unit cube.
    """
    moves = np.array(
        [
            dim.group == "hyperparameter" and not isinstance(dim, Categorical)
            for dim in space.values()
        ],
        bool,
    )

    @jax.jit
    def move(key, stays, home):
        noise = scale * jax.random.normal(key, home.shape)
        return jnp.where(stays[:, None] & moves, jnp.clip(home + noise, 0, 1), home)

    def init(key, outcome):
        return State(strategy.init(key, outcome), np.asarray(outcome.config))

    def step(key, state, outcome):
        key_decide, key_move = jax.random.split(key)
        decides, decision = strategy.step(key_decide, state.decides, outcome)
        source = np.asarray(decision.source)
        stays = source == Source.previous
        home = np.where(stays[:, None], state.home, decision.config)
        home = home.astype(state.home.dtype)
        config = move(key_move, stays, home)
        source = np.where(stays, Source.perturbed, source).astype(source.dtype)
        return State(decides, home), decision._replace(config=config, source=source)

    return strategy._replace(
        init=init,
        step=step,
        diagnostics=lambda state: strategy.diagnostics(state.decides),
    )
