"""What every strategy takes to decide, and Ray Tune beside it.

Hyperparameters and architectures of agents are searched, a quarter of the population is
replaced in a round where a strategy takes that setting. Each has seen 200 members'
rounds before, so that the models of `bgpbt` and `pb2` are full, and is compiled;
`firepbt` decides every round, `ipbt` no longer does once it has begun again. The rival
is Ray Tune's PBT, and PB2 where what it needs (GPy) is installed: a generation of eight
trials whose model is one number, synchronous, the first one not counted. Beside it
stands a whole round of ours with eight members of the quadratic toy, training,
evaluation, records and checkpoint, which theirs has, too.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

from bgpbt.config.loading import load_options
from bgpbt.config.lookup import kwargs_from, resolve
from bgpbt.config.options import Options
from bgpbt.registry import STRATEGIES
from bgpbt.tasks.ppo.actor_critic import BLOCKS
from bgpbt.tasks.ppo.spaces import architecture_space, hyperparameter_space
from bgpbt.types import Strategy
from scripts.benchmarks.bandit import Step
from scripts.benchmarks.control import timed_run
from scripts.benchmarks.figures import Figure, Result, interleave, median

SPACE = hyperparameter_space(64) | architecture_space()
POPULATIONS = (8, 64, 512)
ROWS = 200


def run(quick: bool, repeats: int, say: Callable) -> Result:
    """Interleaved repeats of decisions, then Ray Tune's generations."""
    sizes = (8, 16) if quick else POPULATIONS
    cases = {}
    for name in STRATEGIES:
        say(f"{name}: {ROWS} members' rounds in populations of {sizes}")
        for size in sizes:
            step = Step(size, strategy_of(name, size), SPACE, ROWS)
            cases[f"{name}, {size}"] = step
    seconds = interleave(cases, repeats, say)
    figures = []
    for name in STRATEGIES:
        for size in sizes:
            what = f"{name}: a decision for {size} members"
            figures.append(median(what, "s", seconds[f"{name}, {size}"]))
    figures += rivals(quick, say)
    settings = {"members": sizes, "dimensions": len(SPACE), "repeats": repeats}
    return Result("strategies", settings, figures, quick)


def strategy_of(name: str, pop_size: int) -> Strategy:
    """The strategy with its usual settings."""
    options = Options(
        strategy=name,
        search_mode="both",
        pop_size=pop_size,
        quantile_fraction=0.25,
        frequencies=(1, 10),
        interval=1,
    )
    build = resolve("strategy", name, STRATEGIES)
    return build(SPACE, BLOCKS, **kwargs_from(options, build))


def rounds_of_the_toy(name: str, number: int) -> list[float]:
    """Seconds of whole rounds with eight members, once everything is compiled."""
    options = load_options(
        {
            "task": "toy",
            "strategy": name,
            "pop_size": 8,
            "n_init": 8,
            "quantile_fraction": 0.25,
            "render": False,
            "t_ready": 4,
            "max_timesteps": 4 * (number + 4),
        }
    )
    with tempfile.TemporaryDirectory() as folder:
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
        rival = f"Ray Tune's {name}"
        theirs = median(f"{rival}: a generation of 8 trials", "s", seconds)
        own_seconds = rounds_of_the_toy(name, len(seconds))
        ours = median(f"our {name}: a round of 8 members", "s", own_seconds)
        times = theirs.value / ours.value
        ratio = Figure(f"{rival} / ours", times, "x", note="of medians")
        figures += [theirs, ours, ratio]
    return figures
