"""From a round to the next one: what was decided is carried out."""

import numpy as np

from bgpbt.training.decision import (
    Exchange,
    NewGeneration,
    NextStep,
    Promotion,
)
from bgpbt.training.engine import Engine
from bgpbt.training.evaluation import Evaluation
from bgpbt.training.observer import Observer
from bgpbt.training.progress import inherited, own_parents
from bgpbt.training.run_state import RunState
from bgpbt.training.transition import begin_generation, promote
from bgpbt.types import Source


def inherit(
    engine: Engine,
    state: RunState,
    step: NextStep,
    evaluation: Evaluation,
    observer: Observer,
) -> RunState:
    """Prepares the next round.

    Args:
      engine: the programs.
      state: after the round.
      step: what was decided.
      evaluation: of the round.
      observer: told what happens.
    """
    if isinstance(step, Exchange):
        return exchange(engine, state, step)
    if isinstance(step, Promotion):
        return promote(engine, state, step, evaluation, observer)
    if isinstance(step, NewGeneration):
        return begin_generation(engine, state, step.trigger, observer)
    return keep_all(state)


def exchange(engine: Engine, state: RunState, step: Exchange) -> RunState:
    """Members inherit weights and configurations."""
    progress = state.progress
    decision = step.decision
    programs = engine.programs[int(progress.paddings[0])]
    scalars = np.uint32(int(progress.seed)), np.int32(progress.round)
    population = programs.inherit(
        *scalars, state.population[0], state.best.state, decision._replace(mutate=())
    )
    if engine.strategy.mutates:
        population = programs.mutate(*scalars, population, decision.mutate)
    progress = inherited(progress, state.best, decision)
    return state._replace(
        progress=progress, population=(population,), strategy=step.strategy
    )


def keep_all(state: RunState) -> RunState:
    """Every member is its own parent in the round to come."""
    slots, blocks = state.progress.parents.shape
    progress = state.progress._replace(
        parents=own_parents(slots, blocks),
        source=np.full(slots, int(Source.previous)),
    )
    return state._replace(progress=progress)
