"""The final report: what the saved best is worth on episodes no selection has seen."""

from typing import Any

import numpy as np

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
    test_data = None
    if task.test_data is not None:
        test_data = replicate(task.test_data(), engine.device_layout)
    trained = _returns(
        engine, seed, best.state, best.config, int(best.padding), test_data
    )
    untrained = _returns(
        engine, seed, *_best_untrained(engine, state), test_data=test_data
    )
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


def _returns(
    engine: Engine,
    seed: int,
    member: TrainState,
    config: np.ndarray,
    padding: int,
    test_data: PyTree,
) -> np.ndarray:
    """Returns of one member on fresh episodes, or once on test data. Shape `[E]`.

    They are the task's own numbers.
    """
    pop_size = engine.plan.pop_size
    configs = np.tile(config, (pop_size, 1))
    groups = initialise(engine, seed, 0, np.array([padding]), configs)
    copies = engine.programs[padding].repeat(member, *groups)
    if test_data is not None:  # one copy suffices: the data are the same for all
        playing = np.arange(pop_size) == 0
        episodes = evaluate_group(
            engine, padding, seed, 0, playing, copies, configs, Stream.report, test_data
        )
        return flip_if_minimised(engine.task, episodes.returns[playing].ravel())
    returns = np.array([])
    call = 0
    everyone = np.ones(pop_size, bool)
    while len(returns) < engine.plan.report_episodes:
        episodes = evaluate_group(
            engine, padding, seed, call, everyone, copies, configs, Stream.report
        )
        returns = np.append(returns, episodes.returns.ravel())
        call += 1
    return flip_if_minimised(engine.task, returns)
