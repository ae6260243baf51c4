"""What the saved best is worth on episodes that no selection has seen.

In the end, and where it is asked for, every so many rounds.
"""

from typing import Any

import numpy as np
import pandas as pd

from bgpbt.execution.devices import replicate
from bgpbt.execution.streams import Stream
from bgpbt.training.direction import flip_if_minimised
from bgpbt.training.engine import Engine
from bgpbt.training.evaluation import evaluate_group
from bgpbt.training.groups import first_configs, initialise, pick
from bgpbt.training.run_state import Best, RunState
from bgpbt.types import PyTree, TrainState


def make_report(engine: Engine, state: RunState) -> dict[str, Any]:
    """Returns of the saved best and of the best untrained member, in JSON's words.

    They are the task's own numbers. The episodes are deterministic and drawn from keys
    that no selection has seen; at least `report_episodes` of them, in whole calls.
    Where the task has test data, its parts are the episodes.
    """
    task = engine.task
    best = state.best
    seed = int(state.progress.seed)
    test_data = _test_data(engine)
    saved = best.state, best.config, int(best.padding)
    trained = _returns(engine, seed, *saved, test_data)
    untrained = _returns(engine, seed, *_best_untrained(engine, state), test_data)
    return {
        "seed": seed,
        "member": int(best.member),
        "round": int(best.round),
        "fitness": float(flip_if_minimised(task, best.fitness)),
        "mean": float(trained.mean()),
        "sd": _sd(trained),
        "episodes": len(trained),
        "unseen": test_data is not None,
        "untrained_mean": float(untrained.mean()),
        "untrained_sd": _sd(untrained),
        "timesteps": int(state.progress.timesteps.max()),
        "env_steps_total": int(state.progress.env_steps_total),
        "hyperparameters": _natural(engine, best),
    }


def _sd(returns: np.ndarray) -> float | None:
    """Their standard deviation; one return has none."""
    return float(returns.std(ddof=1)) if len(returns) > 1 else None


def _best_untrained(
    engine: Engine, state: RunState
) -> tuple[TrainState, np.ndarray, int]:
    """The candidate that was best before training, its configuration and padding."""
    seed = int(state.progress.seed)
    member = int(state.progress.untrained)
    candidates = first_configs(engine, seed)
    groups = initialise(engine, seed, 0, candidates.paddings, candidates.config)
    padding = int(candidates.paddings[member // engine.plan.pop_size])
    return pick(engine, groups, member), candidates.config[member], padding


def _natural(engine: Engine, best: Best) -> dict[str, float]:
    """The natural values of the saved best's configuration."""
    configs = np.tile(best.config, (engine.plan.pop_size, 1))
    values = engine.largest.hyperparams(configs)
    return {name: np.asarray(value)[0].item() for name, value in values.items()}


def with_interim_report(
    engine: Engine, state: RunState, rows: pd.DataFrame
) -> pd.DataFrame:
    """The records of a round with the saved best's mean return as column `report`.

    Where `report_every` says so, it plays a call's episodes that nothing else sees; of
    other rounds the column is NaN. Nothing is selected by it.
    """
    every = engine.plan.report_every
    if every is None:
        return rows
    round_ = int(state.progress.round)
    mean = np.nan
    if round_ % every == 0:
        best = state.best
        returns = _returns(
            engine,
            int(state.progress.seed),
            best.state,
            best.config,
            int(best.padding),
            _test_data(engine),
            stream=Stream.interim,
            first_call=round_,
            least=1,
        )
        mean = returns.mean()
    return rows.assign(report=mean)


def _test_data(engine: Engine) -> PyTree:
    """What takes the place of fresh episodes, on the devices; None: nothing does."""
    if engine.task.test_data is None:
        return None
    return replicate(engine.task.test_data(), engine.device_layout)


def _returns(
    engine: Engine,
    seed: int,
    member: TrainState,
    config: np.ndarray,
    padding: int,
    test_data: PyTree,
    *,
    stream: Stream = Stream.report,
    first_call: int = 0,
    least: int | None = None,
) -> np.ndarray:
    """Returns of one member on fresh episodes, or once on test data. Shape `[E]`.

    They are the task's own numbers, in whole calls of which each plays other episodes.

    Args:
      engine: the programs.
      seed: of the run.
      member: who plays.
      config: its configuration.
      padding: of its networks.
      test_data: what it is judged by in the place of episodes.
      stream: of the episodes' keys.
      first_call: its number, by which the keys of calls differ.
      least: episodes; None: as many as the final report asks for.
    """
    least = engine.plan.report_episodes if least is None else least
    pop_size = engine.plan.pop_size
    configs = np.tile(config, (pop_size, 1))
    groups = initialise(engine, seed, 0, np.array([padding]), configs)
    copies = engine.programs[padding].repeat(member, *groups)
    if test_data is not None:  # one copy suffices: the data are the same for all
        playing = np.arange(pop_size) == 0
        episodes = evaluate_group(
            engine, padding, seed, 0, playing, copies, configs, stream, test_data
        )
        return flip_if_minimised(engine.task, episodes.returns[playing].ravel())
    returns = np.array([])
    call = first_call
    everyone = np.ones(pop_size, bool)
    while len(returns) < least:
        episodes = evaluate_group(
            engine, padding, seed, call, everyone, copies, configs, stream
        )
        returns = np.append(returns, episodes.returns.ravel())
        call += 1
    return flip_if_minimised(engine.task, returns)
