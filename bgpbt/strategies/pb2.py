"""Population-based bandits (Parker-Holder et al., 2020).

https://arxiv.org/abs/2002.02518. PBT whose explore step is a time-varying
Gaussian-process bandit. The rules are those of its authors' code and of Ray Tune's,
listed in `docs/strategies.md`.
"""

from functools import partial

import jax.numpy as jnp
import numpy as np

from bgpbt.gp import pb2_bandit
from bgpbt.gp.history import History
from bgpbt.gp.in_turn import Situation
from bgpbt.gp.pb2_kernels import PB2Params
from bgpbt.space import Categorical, SearchSpace
from bgpbt.strategies.pb2_rounds import Bandit, strategy_of
from bgpbt.types import Array, Key, Source, Strategy


def pb2(
    space: SearchSpace,
    blocks: tuple[str, ...],
    *,
    quantile_fraction: float = 0.25,
    capacity: int = 200,
) -> Strategy:
    """A replaced member takes weights from one of the best and asks the bandit.

    It takes its architecture and categories too; the bandit chooses all other
    hyperparameters.

    Args:
      space: the search space, `D` dimensions. Whole numbers are searched as if
        continuous, categories are not.
      blocks: the blocks of weights, all inherited from one parent.
      quantile_fraction: share of the population replaced in a round, in (0, 0.5].
      capacity: rows that the bandit remembers, the newest.
    """
    searched = np.array(
        [
            d.group == "hyperparameter" and not isinstance(d, Categorical)
            for d in space.values()
        ],
        bool,
    )
    return strategy_of(
        Bandit(
            np.flatnonzero(searched),
            learn=partial(pb2_bandit.fit, PB2Params.start, ()),
            suggest=_suggest,
        ),
        space,
        len(blocks),
        quantile_fraction=quantile_fraction,
        capacity=capacity,
        needs=("continuous",),
    )


def _suggest(
    params: PB2Params, rows: History, key: Key, situation: Situation, member: Array
) -> tuple[Array, Array]:
    none = jnp.zeros(0, jnp.int32)
    numbers = pb2_bandit.suggest(key, params, (), rows, situation, member, none)
    return numbers, jnp.int32(Source.gp)
