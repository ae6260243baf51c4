"""The frozen control: is it the schedule, or the selection?

Weights are still copied, configurations never change.
"""

import jax.numpy as jnp

from bgpbt.types import Source, Strategy


def frozen(strategy: Strategy) -> Strategy:
    """Wraps a strategy: every slot keeps its configuration and only weights travel.

    Args:
      strategy: whose selection is used.
    """

    def step(key, state, outcome):
        state, decision = strategy.step(key, state, outcome)
        source = jnp.full_like(decision.source, Source.previous)
        return state, decision._replace(config=outcome.config, source=source)

    return strategy._replace(step=step)
