"""The records of a round: a row for each member, or candidate of a halving."""

from typing import Any

import numpy as np
import pandas as pd

from bgpbt.training.direction import flip_if_minimised
from bgpbt.training.engine import Engine
from bgpbt.training.evaluation import Evaluation
from bgpbt.training.run_state import Progress, RunState, Trigger
from bgpbt.types import Searched, Source

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
    "report",
)
# Of the bandits, and of rows that are joined with those of their parents.
_TAKEN = ("trust_region", "reinitialised")
# Columns in units of the fitness, and what they are called with the other sign: what
# was one deviation below the median is then one above.
_MIRRORED = {
    "fitness": "fitness",
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
        **member_columns(engine.task.blocks, progress),
        "env_steps_total": int(progress.env_steps_total),
        "seconds": round(evaluation.seconds, 3),
        **evaluation.columns,
    }
    diagnostics = engine.strategy.diagnostics(state.strategy)
    if generation.candidates:  # the strategy waits
        diagnostics = dict.fromkeys(diagnostics, np.nan)
    natural = natural_values(engine, progress.config)
    rows = pd.DataFrame(in_own_numbers(engine.task, columns | natural | diagnostics))
    return rows[progress.active] if generation.candidates else rows


def in_own_numbers(searched: Searched, columns: dict[str, Any]) -> dict[str, Any]:
    """Columns whose fitnesses have the sign of the task's own numbers.

    Args:
      searched: what is minimised, or is not.
      columns: by name; inside, larger is better.
    """
    if not searched.minimise:
        return columns
    return {
        _MIRRORED.get(name, name): flip_if_minimised(searched, np.asarray(x))
        if name in _MIRRORED
        else x
        for name, x in columns.items()
    }


def member_columns(blocks: tuple[str, ...], progress: Progress) -> dict[str, Any]:
    """What became of each member in a round, by column.

    Args:
      blocks: of weights.
      progress: after the round's counters, before the next decision.
    """
    return {
        "member": np.arange(len(progress.config)),
        "parent": progress.parents[:, 0],
        **_further_parents(blocks, progress.parents),
        "source": [Source(int(s)).name for s in progress.source],
        "fitness": progress.fitness,
        "timesteps": progress.timesteps,
        "age": progress.age,
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
