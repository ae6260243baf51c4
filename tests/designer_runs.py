"""Short runs of designers, whose rewards come from a table."""

from pathlib import Path

import numpy as np

from bgpbt.config.options import Options
from bgpbt.networks.structure import side_after
from bgpbt.tasks.nas import table

DEPTH, SIDE = 3, 12
# Two members whose designs are trained on small images of digits.
TRAINED = {
    "task": "nas",
    "alg_name": "meta_a2c",
    "max_images": 120,
    "filters": 2,
    "dense_units": 8,
    "epochs": 2,
    "child_batch_size": 32,
    "child_learning_rate": 0.02,
    "pop_size": 2,
    "quantile_fraction": 0.5,
    "t_ready": 40,
    "max_timesteps": 80,
    "eval_episodes": 2,
}


def write_rewards(path: Path) -> Path:
    """A table in which convolutions of 3 are worth most, and windows of 5 least."""
    worths = np.full(table.chains(DEPTH), np.nan, np.float32)
    for number in range(len(worths)):
        side, worth = SIDE, 0.2
        for kind, kernel in table.layers_of(number):
            side = int(side_after(kind, kernel, side))
            worth += {3: 0.15, 5: -0.05}.get(kernel, 0.02) if kind == 1 else 0.0
        if side:
            worths[number] = worth
    table.write_all(path, {"made_up": worths}, {"side": SIDE, "depth": DEPTH})
    return path


def options(rewards: Path, folder: Path, **changes) -> Options:
    """Four short rounds of two members."""
    settings = {
        "task": "nas",
        "alg_name": "meta_a2c",
        "problem": "made_up",
        "reward_table": str(rewards),
        "pop_size": 2,
        "quantile_fraction": 0.5,
        "t_ready": 60,
        "max_timesteps": 240,
        "fitness": "training",
        "eval_episodes": 4,
        "report_episodes": 8,
        "devices": 1,
        "save_dir": str(folder),
    }
    return Options(**(settings | changes))
