"""From a round to the next one: the strategy is asked, members inherit."""

import jax
import numpy as np

from bgpbt import space as spaces
from bgpbt.contract import check_decision
from bgpbt.engine import Engine
from bgpbt.population import Purpose
from bgpbt.types import Decision, Outcome, Progress, RunState, Source, Task

# What programs are compiled for; a strategy may answer in other numbers.
KINDS = Decision(np.float32, np.int32, np.float32, np.float32, np.bool_, np.int32, np.bool_)


def inherit(engine: Engine, state: RunState, outcome: Outcome) -> tuple[RunState, Decision]:
    """Asks the strategy and carries out its decision."""
    progress = state.progress
    key = jax.random.PRNGKey(int(progress.seed))
    for part in (int(Purpose.decide), int(progress.round)):
        key = jax.random.fold_in(key, part)
    strategy, decision = engine.strategy.step(key, state.strategy, outcome)
    check_decision(f"round {progress.round}", decision, engine.task, len(outcome.fitness), engine.strategy.mutates)
    decision = Decision(*(np.asarray(x, kind) for x, kind in zip(decision, KINDS, strict=True)))
    decision = new_architectures_start_afresh(engine.task, progress, decision)
    programs, scalars = engine.programs[int(progress.sizes[0])], (np.uint32(int(progress.seed)), np.int32(progress.round))
    population = programs.inherit(*scalars, state.population[0], state.best, decision._replace(mutate=()))
    if engine.strategy.mutates:
        population = programs.mutate(*scalars, population, decision.mutate)
    first = decision.parents[:, 0]
    fresh = ((decision.shrink == 0) & (decision.perturb > 0)).all(axis=1)
    progress = progress._replace(
        config=decision.config,
        parents=np.append(np.arange(len(first)), progress.best_member)[decision.parents],
        source=decision.source.astype(np.int64),
        active=decision.active,
        age=np.where(fresh, 0, np.append(progress.age, progress.best_age)[first]),
    )
    return state._replace(progress=progress, population=(population,), strategy=strategy), decision


def new_architectures_start_afresh(task: Task, progress: Progress, decision: Decision) -> Decision:
    """A block whose architecture is not its parent's cannot use its weights: it starts from fresh ones."""
    configs = np.concatenate([progress.config, progress.best_config[None]])
    shrink, perturb = decision.shrink.copy(), decision.perturb.copy()
    for b, block in enumerate(task.blocks):
        genes = spaces.group_mask(task.space, block)
        changed = (decision.config[:, genes] != configs[decision.parents[:, b]][:, genes]).any(axis=1)
        shrink[changed, b], perturb[changed, b] = 0, 1
    return decision._replace(shrink=shrink, perturb=perturb)


def in_words(decision: Decision, size: int) -> list[str]:
    """The replacements of a decision, one phrase each."""
    words = []
    for member, parents in enumerate(decision.parents):
        source = Source(int(decision.source[member])).name
        names = ["the saved best" if p == size else f"member {p}" for p in dict.fromkeys(parents.tolist())]
        if (parents != member).any():
            words.append(f"member {member} <- {' and '.join(names)}, {source}")
        elif (decision.shrink[member] == 0).all() and (decision.perturb[member] > 0).any():
            words.append(f"member {member} starts afresh, {source}")
        elif (decision.perturb[member] > 0).any():
            words.append(f"member {member} is blended with fresh weights, {source}")
        elif decision.source[member] != Source.previous:
            words.append(f"member {member} takes a configuration, {source}")
    return words
