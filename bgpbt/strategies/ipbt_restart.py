"""How IPBT begins again: old weights made plastic, hyperparameters from all restarts.

`N` slots, `P` = N / 2 members that worked, `D` hyperparameters.
"""

from typing import NamedTuple

import numpy as np

from bgpbt.gp.bandit import Bandit
from bgpbt.gp.history import History
from bgpbt.gp.in_turn import Situation
from bgpbt.gp.kernels import Params
from bgpbt.gp.trust_region import TrustRegion
from bgpbt.strategies.ipbt_draws import Draws
from bgpbt.strategies.ipbt_state import Lineages

# Of the weights that go on (Ash and Adams, 2020).
SHRINK = 0.2
PERTURB = 0.1


class Meta(NamedTuple):
    """The bandit over first configurations, and with what it begins."""

    bandit: Bandit
    raw: Params  # the centre of the prior
    region: TrustRegion


def donors_of(
    fitness: np.ndarray, slots: np.ndarray, count: int, draws: np.ndarray
) -> np.ndarray:
    """The slot from which each slot inherits.

    The best members go on, and all other slots copy one of them.

    Args:
      fitness: of the members, NaN = failed. Shape `[P]`.
      slots: of the members. Shape `[P]`.
      count: how many go on.
      draws: uniform in [0, 1). Shape `[N]`.

    Returns:
      Shape `[N]`.
    """
    order = np.argsort(-fitness, kind="stable")[:count]
    best = slots[order[~np.isnan(fitness[order])]]
    best = best if len(best) else slots[:1]  # all failed
    drawn = best[(draws * len(best)).astype(int)]
    everyone = np.arange(len(draws))
    return np.where(np.isin(everyone, best), everyone, drawn)


def first_configs(
    meta: Meta,
    past: History,
    lineages: Lineages,
    time: int,
    drawn: np.ndarray,
    draws: Draws,
) -> tuple[np.ndarray, np.ndarray]:
    """Hyperparameters for all slots: random ones for half of them.

    The others are suggested one after the other, near the first configuration of the
    lineage that came furthest in the last restart. What was drawn or suggested before
    is pending.

    Args:
      meta: the bandit.
      past: a row for each lineage of every restart, the last one's included.
      lineages: of the last restart.
      time: number of the restart to come.
      drawn: random hyperparameters. Shape `[N, D]`.
      draws: what chance decides.

    Returns:
      Shape `[N, D]`; and which are random, `[N]`, bool.
    """
    known = np.where(np.isfinite(lineages.start), lineages.best, np.nan)
    if np.isnan(known).all():
        return drawn, np.ones(len(drawn), bool)
    furthest = np.nanargmax(known)
    centre, start = lineages.config[furthest], lineages.start[furthest]
    raw, _ = meta.bandit.fit(draws.fit, meta.raw, past)
    config = np.where(draws.random[:, None], drawn, centre)
    starts = np.full(len(config), start, np.float32)
    situation = Situation(config, starts, draws.random, np.int32(time))
    suggested = meta.bandit.suggest(
        draws.suggest, raw, past, situation, ~draws.random, meta.region
    )
    return suggested, draws.random
