"""A task and a strategy of a user's file that keep the contract; changes break them."""

import jax.numpy as jnp
import numpy as np

from bgpbt.space import Float
from bgpbt.strategies.operators import inherit_all
from bgpbt.types import Source, Strategy, Task, TrainState

WORD = "own.py:f"


def task(**changes) -> Task:
    """One weight; `changes` break it."""
    return Task(
        name="own",
        space={"rate": Float(1e-3, 1.0, 0.1, log=True)},
        blocks=("w",),
        timesteps_per_update=1,
        init=lambda key, h: TrainState(
            {"w": jnp.zeros(2)}, {"w": jnp.zeros(2)}, (), ()
        ),
        train=lambda key, state, h, updates, teaching: (
            state,
            {"loss": h["rate"], "env_steps": 4 * updates},
        ),
        evaluate=lambda key, state, h: (jnp.ones(8) * h["rate"], jnp.int32(8)),
    )._replace(**changes)


def strategy(**changes) -> Strategy:
    """Every member goes on as it is; `changes` break the decision."""

    def step(key, state, outcome):
        size = len(outcome.fitness)
        decision = inherit_all(
            outcome,
            outcome.config,
            np.arange(size),
            1,
            np.full(size, int(Source.previous)),
        )
        return state, decision._replace(
            **{name: change(size) for name, change in changes.items()}
        )

    return Strategy(init=lambda key, outcome: jnp.int32(0), step=step)
