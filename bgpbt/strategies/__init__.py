"""Strategies by name. A new one is one file and one line here.

Each entry takes (space, blocks, options) and returns a `Strategy`; `options` is read here and nowhere else.
"""

from collections.abc import Callable

from bgpbt.strategies.bgpbt import bgpbt
from bgpbt.strategies.frozen import frozen
from bgpbt.strategies.pbt import pbt
from bgpbt.strategies.random_search import random_search
from bgpbt.types import Strategy

STRATEGIES: dict[str, Callable[..., Strategy]] = {
    "pbt": lambda space, blocks, options: pbt(
        space,
        blocks,
        quantile_fraction=options.quantile_fraction,
        explore=options.explore,
        perturb_scale=options.perturb_scale,
    ),
    "bgpbt": lambda space, blocks, options: bgpbt(
        space,
        blocks,
        quantile_fraction=options.quantile_fraction,
        patience=options.patience,
        trust_region=options.trust_region,
        gp_time=options.gp_time,
        gp_context=options.gp_context,
        gp=options.gp,
    ),
    "random": lambda space, blocks, options: random_search(space, blocks),
}

__all__ = ["STRATEGIES", "bgpbt", "frozen", "pbt", "random_search"]
