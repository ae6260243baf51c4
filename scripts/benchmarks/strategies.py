"""What every strategy takes to decide, and Ray Tune beside it.

Hyperparameters and architectures of agents are searched, a quarter of the population is replaced in a round where a strategy
takes that setting. Each has seen 200 members' rounds before, so that the models of `bgpbt` and `pb2` are full, and is compiled.
The rival is Ray Tune's PBT, and PB2 where what it needs (GPy) is installed: a generation of eight trials whose model is one
number, synchronous, the first one not counted. Beside it stands a whole round of ours with eight members of the quadratic toy,
training, evaluation, records and checkpoint, which theirs has, too.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

from bgpbt.lookup import chosen, load
from bgpbt.options import Options, load_options
from bgpbt.strategies import STRATEGIES
from bgpbt.tasks.ppo import architecture_space, hyperparameter_space
from bgpbt.types import Strategy
from scripts.benchmarks.bandit import Step
from scripts.benchmarks.control import timed_run
from scripts.benchmarks.figures import Figure, Result, interleave, median

SPACE = hyperparameter_space(64) | architecture_space()
BLOCKS = ("policy", "value")
POPULATIONS = (8, 64, 512)
ROWS = 200


def strategy_of(name: str, pop_size: int) -> Strategy:
    """With its usual settings."""
    options = Options(strategy=name, search_mode="both", pop_size=pop_size, quantile_fraction=0.25, frequencies=(1, 10))
    build = load("strategy", name, STRATEGIES)
    return build(SPACE, BLOCKS, **chosen(build, options))


def run(quick: bool, repeats: int, say: Callable) -> Result:
    """Interleaved repeats of decisions, then Ray Tune's generations."""
    sizes, cases = (8, 16) if quick else POPULATIONS, {}
    for name in STRATEGIES:
        say(f"{name}: {ROWS} members' rounds in populations of {sizes}")
        cases |= {f"{name}, {size}": Step(size, strategy_of(name, size), SPACE, ROWS) for size in sizes}
    found = interleave(cases, repeats, say)
    figures = []
    for name in STRATEGIES:
        figures += [median(f"{name}: a decision for {size} members", "s", found[f"{name}, {size}"]) for size in sizes]
    figures += rivals(quick, say)
    return Result("strategies", {"members": sizes, "dimensions": len(SPACE), "repeats": repeats}, figures, quick)


def rounds_of_the_toy(name: str, number: int) -> list[float]:
    """Seconds of whole rounds with eight members, once everything is compiled."""
    settings = {"task": "toy", "strategy": name, "pop_size": 8, "n_init": 8, "quantile_fraction": 0.25, "render": False}
    with tempfile.TemporaryDirectory() as folder:
        options = load_options(settings | {"t_ready": 4, "max_timesteps": 4 * (number + 4)})
        return [r["round"] for r in timed_run(options, Path(folder) / "run")[1:]]


def rivals(quick: bool, say: Callable) -> list[Figure]:
    """Ray Tune's seconds per generation, and how many of our rounds that is."""
    try:
        from scripts.benchmarks import ray_tune
    except ImportError:
        say("Ray Tune is not installed: the rival is left out")
        return []
    figures = []
    for name in ray_tune.SCHEDULERS:
        say(f"Ray Tune's {name}")
        try:
            seconds = ray_tune.generations(name, 3 if quick else 11)
        except ImportError as error:
            say(f"left out: {error}")
            continue
        theirs = median(f"Ray Tune's {name}: a generation of 8 trials", "s", seconds)
        ours = median(f"our {name}: a round of 8 members", "s", rounds_of_the_toy(name, len(seconds)))
        figures += [theirs, ours, Figure(f"Ray Tune's {name} / ours", theirs.value / ours.value, "x", note="of medians")]
    return figures
