"""The records of a round: a row for each member, or candidate of a halving."""

import numpy as np
import pandas as pd

from bgpbt.training.direction import flip_if_minimised
from bgpbt.training.engine import Engine
from bgpbt.training.evaluation import Evaluation
from bgpbt.training.run_state import RunState, Trigger
from bgpbt.types import Array, Source, Task

# Columns that are not hyperparameters, beside `parent_...` and a strategy's own.
COLUMNS = (
    "round",
    "generation",
    "why",
    "phase",
    "member",
    "parent",
    "source",
    "fitness",
    "timesteps",
    "age",
    "env_steps_total",
    "seconds",
)
# Of the bandits, and of rows that are joined with those of their parents.
_TAKEN = ("trust_region", "reinitialised")
# Diagnostics in units of the fitness, and what they are called with the other sign:
# what was one deviation below the median is then one above.
_MIRRORED = {
    "gp_fitness": "gp_fitness",
    "gp_fitness_low": "gp_fitness_high",
    "gp_fitness_high": "gp_fitness_low",
}


def is_reserved(name: str) -> bool:
    """Whether records use a name for something else than a hyperparameter."""
    prefixed = name.startswith(("parent_", "gp_")) or name.endswith("_before")
    return prefixed or name in COLUMNS or name in _TAKEN


def round_records(
    engine: Engine, state: RunState, evaluation: Evaluation
) -> pd.DataFrame:
    """The configurations of a round, and where they and the weights came from.

    Args:
      engine: the programs.
      state: after the round's counters, before the next decision.
      evaluation: of the round.
    """
    progress = state.progress
    generation = state.generation
    columns = {
        "round": int(progress.round),
        "generation": int(generation.number),
        "why": Trigger(int(generation.trigger)).name,
        "phase": _phase(state),
        "member": np.arange(len(progress.config)),
        "parent": progress.parents[:, 0],
        **_further_parents(engine.task.blocks, progress.parents),
        "source": [Source(int(s)).name for s in progress.source],
        "fitness": flip_if_minimised(engine.task, evaluation.fitness),
        "timesteps": progress.timesteps,
        "age": progress.age,
        "env_steps_total": int(progress.env_steps_total),
        "seconds": round(evaluation.seconds, 3),
    }
    diagnostics = engine.strategy.diagnostics(state.strategy)
    diagnostics = _in_task_numbers(engine.task, diagnostics)
    if generation.candidates:  # the strategy waits
        diagnostics = dict.fromkeys(diagnostics, np.nan)
    natural = natural_values(engine, progress.config)
    rows = pd.DataFrame(columns | natural | diagnostics)
    return rows[progress.active] if generation.candidates else rows


def _in_task_numbers(task: Task, diagnostics: dict[str, Array]) -> dict[str, Array]:
    """Diagnostics whose fitnesses have the sign of the task's own numbers."""
    if not task.minimise:
        return diagnostics
    return {
        _MIRRORED.get(name, name): flip_if_minimised(task, np.asarray(x))
        if name in _MIRRORED
        else x
        for name, x in diagnostics.items()
    }


def _further_parents(
    blocks: tuple[str, ...], parents: np.ndarray
) -> dict[str, np.ndarray]:
    """The parents of the blocks behind the first, by column. `parents`: `[M, B]`."""
    return {f"parent_{block}": parents[:, b] for b, block in enumerate(blocks) if b}


def _phase(state: RunState) -> str:
    if not state.generation.candidates:
        return "training"
    return "distillation" if state.generation.number else "candidates"


def natural_values(engine: Engine, config: np.ndarray) -> dict[str, np.ndarray]:
    """The natural values of configurations `[M, D]` by name, each `[M]`."""
    groups = np.split(config, len(config) // engine.plan.pop_size)
    values = [engine.largest.hyperparams(group) for group in groups]
    return {
        name: np.concatenate([np.asarray(group[name]) for group in values])
        for name in engine.task.space
    }
