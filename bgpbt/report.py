"""The final report: what the reported member is worth on episodes that no selection has seen."""

import numpy as np

from bgpbt.engine import Engine, evaluate, first_configs, initialise
from bgpbt.population import Purpose
from bgpbt.types import RunState


def report(engine: Engine, state: RunState) -> dict:
    """Returns of the saved best and of the best untrained member on fresh deterministic episodes.

    The episodes are drawn from keys that no selection has seen; at least `report_episodes` of them, in whole calls.
    """
    progress, programs, size = state.progress, engine.programs, engine.options.pop_size
    seed, number = int(progress.seed), int(progress.untrained)
    configs = first_configs(engine, seed)
    group, slot = divmod(number, size)
    untrained_population = initialise(engine, seed, group, configs[group * size : (group + 1) * size])
    untrained = programs.pick(untrained_population, np.int32(slot))
    found = {}
    for name, member, config in (("best", state.best, progress.best_config), ("untrained", untrained, configs[number])):
        copies = programs.repeat(member, untrained_population)
        returns = np.array([])
        call = 0
        while len(returns) < engine.options.report_episodes:
            everyone = np.ones(size, bool)
            out, _, _ = evaluate(engine, seed, call, everyone, copies, np.tile(config, (size, 1)), Purpose.report)
            returns, call = np.append(returns, out.ravel()), call + 1
        found[name] = returns
    best, start = found["best"], found["untrained"]
    hyperparams = engine.programs.hyperparams(np.tile(progress.best_config, (size, 1)))
    return {
        "seed": seed,
        "member": int(progress.best_member),
        "round": int(progress.best_round),
        "fitness": float(progress.best_fitness),
        "mean": float(best.mean()),
        "sd": float(best.std(ddof=1)),
        "episodes": len(best),
        "untrained_mean": float(start.mean()),
        "untrained_sd": float(start.std(ddof=1)),
        "timesteps": int(progress.timesteps.max()),
        "env_steps_total": int(progress.env_steps_total),
        "hyperparameters": {name: np.asarray(value)[0].item() for name, value in hyperparams.items()},
    }
