"""Runs of two generations of the toy, whose networks have two padded sizes."""

from toy_runs import ROUND, run_options
from toys import SPACE, play, quadratic

from bgpbt.config.options import Options
from bgpbt.strategies.pbt import pbt

# A round of 10 candidates, two of training; then 10 students for 600 steps (rounds 4,
# 5) and 5 for 1,800 (6 to 9); then training.
STEPS = [0, 480, 960, 1440, 1920, 2040, 2520, 3000, 3480, 3840, 4320, 4800, 5280]
CANDIDATES = [10, 10, 4, 4, 10, 10, 5, 5, 5, 5, 4, 4, 4]
# One without a Gaussian process, which takes long to compile.
STRATEGY = pbt(SPACE, ("first", "second"), quantile_fraction=0.25)


def generation_options(folder=".", **changes) -> Options:
    settings = {
        "strategy": "bgpbt",
        "search_mode": "both",
        "n_init": 10,
        "max_timesteps": 11 * ROUND,
        "distill_every": 2 * ROUND,
        "t_distillation": 5 * ROUND,
        "max_distillation": 1,
        "arch_policy": "random",
    }
    return run_options(folder, **(settings | changes))


def play_generations(folder, **changes):
    return play(generation_options(folder, **changes), quadratic(4, (2,)), STRATEGY)
