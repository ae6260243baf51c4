"""The final report: what the reported member is worth on episodes that no selection has seen."""

import numpy as np

from bgpbt.engine import Engine, evaluate, first_configs, initialise, pick
from bgpbt.population import Purpose, replicate
from bgpbt.types import PyTree, RunState, TrainState


def report(engine: Engine, state: RunState) -> dict:
    """Returns of the saved best and of the best untrained member on fresh deterministic episodes.

    The episodes are drawn from keys that no selection has seen; at least `report_episodes` of them, in whole calls. Where
    the task has unseen data, they are the episodes.
    """
    progress, size = state.progress, engine.options.pop_size
    seed, number = int(progress.seed), int(progress.untrained)
    configs, sizes, _ = first_configs(engine, seed)
    untrained = pick(engine, initialise(engine, seed, 0, sizes, configs), number)
    members = {
        "best": (state.best, progress.best_config, int(progress.best_size)),
        "untrained": (untrained, configs[number], int(sizes[number // size])),
    }
    unseen = replicate(engine.task.unseen(), engine.arrangement) if engine.task.unseen else None
    found = {name: _returns(engine, seed, *member, unseen) for name, member in members.items()}
    best, start = found["best"], found["untrained"]
    hyperparams = engine.programs[-1].hyperparams(np.tile(progress.best_config, (size, 1)))
    return {
        "seed": seed,
        "member": int(progress.best_member),
        "round": int(progress.best_round),
        "fitness": float(progress.best_fitness),
        "mean": float(best.mean()),
        "sd": float(best.std(ddof=1)),
        "episodes": len(best),
        "unseen": engine.task.unseen is not None,
        "untrained_mean": float(start.mean()),
        "untrained_sd": float(start.std(ddof=1)),
        "timesteps": int(progress.timesteps.max()),
        "env_steps_total": int(progress.env_steps_total),
        "hyperparameters": {name: np.asarray(value)[0].item() for name, value in hyperparams.items()},
    }


def _returns(engine: Engine, seed: int, member: TrainState, config: np.ndarray, size: int, unseen: PyTree) -> np.ndarray:
    """Of one member in the padded size `size`, on fresh episodes, or once on unseen data."""
    number, returns, call = engine.options.pop_size, np.array([]), 0
    configs, everyone = np.tile(config, (number, 1)), np.ones(number, bool)
    copies = engine.programs[size].repeat(member, *initialise(engine, seed, 0, np.array([size]), configs))
    playing = np.arange(number) == 0 if unseen is not None else everyone
    while not call or (len(returns) < engine.options.report_episodes and unseen is None):
        out, _, _ = evaluate(engine, size, seed, call, playing, copies, configs, Purpose.report, unseen)
        out = out[playing]
        returns, call = np.append(returns, out.ravel()), call + 1
    return returns
