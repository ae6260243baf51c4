"""What follows a round: the strategy decides, a rung ends, or a generation begins."""

from typing import Any, NamedTuple

import numpy as np

from bgpbt import space as spaces
from bgpbt.execution.streams import Stream, fold
from bgpbt.successive_halving import select_survivors
from bgpbt.training.decision_check import check_decision
from bgpbt.training.engine import Engine
from bgpbt.training.evaluation import Evaluation
from bgpbt.training.generations import halving_rungs, should_start
from bgpbt.training.progress import outcome_of
from bgpbt.training.run_state import Best, Progress, RunState, Trigger
from bgpbt.types import Decision, PyTree, Searched, Source, Strategy

# The types that programs are compiled for; a strategy may answer in others.
DTYPES = Decision(
    config=np.float32,
    parents=np.int32,
    shrink=np.float32,
    perturb=np.float32,
    active=np.bool_,
    source=np.int32,
    mutate=np.bool_,
)


class KeepAll(NamedTuple):
    """Everyone goes on as it is: within a rung, and at the end."""


class Exchange(NamedTuple):
    """Members inherit as the strategy decided."""

    decision: Decision
    strategy: PyTree  # its state after the decision


class Promotion(NamedTuple):
    """A rung has ended."""

    survivors: np.ndarray  # slots, ascending
    candidates: int  # how many trained
    last: bool  # the successive halving has ended


class NewGeneration(NamedTuple):
    """The best member becomes a teacher of new networks."""

    trigger: Trigger


NextStep = KeepAll | Exchange | Promotion | NewGeneration


def decide(engine: Engine, state: RunState, evaluation: Evaluation) -> NextStep:
    """Decides what follows a round.

    Args:
      engine: strategy and rules.
      state: after the round's counters.
      evaluation: of the round.
    """
    if state.generation.candidates:
        return _end_of_rung(engine, state)
    timesteps = int(state.progress.timesteps.max())
    if trigger := should_start(engine.plan, state.generation, timesteps):
        return NewGeneration(trigger)
    if finished(engine, state):
        return KeepAll()
    return ask_strategy(
        engine.strategy,
        engine.task,
        state.progress,
        state.best,
        state.strategy,
        evaluation,
    )


def finished(engine: Engine, state: RunState) -> bool:
    """Whether every member has trained `max_timesteps`."""
    trained = state.progress.timesteps >= engine.plan.schedule.max_timesteps
    return bool(np.all(trained)) and not state.generation.candidates


def _end_of_rung(engine: Engine, state: RunState) -> NextStep:
    rungs = halving_rungs(engine.plan, state.generation)
    done = int(state.generation.updates)
    ended = 0
    for index, rung in enumerate(rungs):
        ended += rung.updates
        if done == ended:
            progress = state.progress
            survivors = select_survivors(
                progress.fitness, progress.active, rung.survivors
            )
            return Promotion(survivors, rung.candidates, index == len(rungs) - 1)
    return KeepAll()


def ask_strategy(
    strategy: Strategy,
    searched: Searched,
    progress: Progress,
    best: Best,
    state: PyTree,
    evaluation: Evaluation,
) -> Exchange:
    """Has a strategy decide, and checks what it decided.

    Args:
      strategy: decides.
      searched: the space and the blocks that it was built for.
      progress: after the round's counters.
      best: the saved best, which a decision may name.
      state: of the strategy.
      evaluation: of the round.

    Raises:
      BadInput: members cannot be made from the decision.
    """
    key = fold(int(progress.seed), int(Stream.decide), int(progress.round))
    outcome = outcome_of(progress, evaluation)
    state, decision = strategy.step(key, state, outcome)
    check_decision(
        f"round {progress.round}",
        decision,
        searched,
        len(outcome.fitness),
        strategy.mutates,
    )
    fields: dict[str, Any] = DTYPES._asdict()
    for name, dtype in fields.items():
        fields[name] = np.asarray(getattr(decision, name), dtype)
    decision = Decision(**fields)
    decision = reinitialise_changed(searched, progress, best, decision)
    return Exchange(decision, state)


def reinitialise_changed(
    searched: Searched, progress: Progress, best: Best, decision: Decision
) -> Decision:
    """A block whose architecture is not its parent's cannot use its weights.

    It starts from fresh ones, whatever the strategy says.
    """
    configs = np.concatenate([progress.config, best.config[None]])
    shrink = decision.shrink.copy()
    perturb = decision.perturb.copy()
    for b, block in enumerate(searched.blocks):
        mask = spaces.group_mask(searched.space, block)
        inherited = configs[decision.parents[:, b]]
        changed = (decision.config[:, mask] != inherited[:, mask]).any(axis=1)
        shrink[changed, b] = 0
        perturb[changed, b] = 1
    return decision._replace(shrink=shrink, perturb=perturb)


def describe_changes(step: NextStep) -> list[str]:
    """What follows a round, one phrase for each change."""
    if isinstance(step, Promotion):
        return [f"{len(step.survivors)} of {step.candidates} candidates go on"]
    if not isinstance(step, Exchange):
        return []
    members = range(len(step.decision.parents))
    phrases = (_describe_member(step.decision, member) for member in members)
    return [phrase for phrase in phrases if phrase]


def _describe_member(decision: Decision, member: int) -> str:
    parents = decision.parents[member]
    saved_best = len(decision.parents)
    source = Source(int(decision.source[member]))
    fresh_part = bool((decision.perturb[member] > 0).any())
    if (parents != member).any():
        names = [
            "the saved best" if parent == saved_best else f"member {parent}"
            for parent in dict.fromkeys(parents.tolist())
        ]
        return f"member {member} <- {' and '.join(names)}, {source.name}"
    if fresh_part and (decision.shrink[member] == 0).all():
        return f"member {member} starts afresh, {source.name}"
    if fresh_part:
        return f"member {member} is blended with fresh weights, {source.name}"
    if source != Source.previous:
        return f"member {member} takes a configuration, {source.name}"
    return ""
