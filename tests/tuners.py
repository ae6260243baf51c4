"""Small Tuners and strategies for the tests of `bgpbt.Tuner`."""

import numpy as np

import bgpbt
from bgpbt.space import Float
from bgpbt.types import Decision, Source, Strategy

SMALL = {"rate": Float(1e-3, 1.0, 0.1, log=True)}


def small(**changes) -> bgpbt.Tuner:
    """Four members that search one number by PBT; None: not given."""
    settings = {"strategy": "pbt", "pop_size": 4, "quantile_fraction": 0.25}
    settings = {k: v for k, v in (settings | changes).items() if v is not None}
    return bgpbt.Tuner(SMALL, **settings)


def idle_then_best(space, blocks):
    """Member 0 rests after the first round, member 1 then takes the saved best."""

    def step(key, state, outcome):
        size = len(outcome.fitness)
        parents = np.tile(np.arange(size)[:, None], (1, len(blocks)))
        if state:
            parents[1] = size
        decision = Decision(
            config=outcome.config,
            parents=parents,
            shrink=np.ones(parents.shape),
            perturb=np.zeros(parents.shape),
            active=np.arange(size) > 0,
            source=np.full(size, int(Source.previous)),
        )
        return np.int32(state + 1), decision

    return Strategy(init=lambda key, outcome: np.int32(0), step=step)


def answers_of(tuner, rounds=3, start=0):
    """Tells rounds with made-up fitnesses; the answers of all of them."""
    random = np.random.default_rng(0)
    fitness = random.random((start + rounds, len(tuner.configs)))[start:]
    steps = [0 if start + i == 0 else 10 for i in range(rounds)]
    return [tuner.tell(f, s) for f, s in zip(fitness, steps, strict=True)]
