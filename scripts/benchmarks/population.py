"""Training speed beside Brax's own PPO and the bare environment.

8 members x 64 environments, ant on spring, 2x64 networks, unroll 15, batch ratio 2^-1,
4 epochs: 8 optimizer steps of 480 transitions for 960 environment steps on both sides.
Rates are environment steps of all members per second. Everything is compiled before; no
side evaluates.
"""

import contextlib
import os
from collections.abc import Callable, Iterator

from bgpbt.api import make_task
from bgpbt.config.options import Options
from bgpbt.execution.devices import choose_layout, usable_cores
from bgpbt.execution.programs import make_programs
from bgpbt.tasks.ppo.spaces import ROLLOUT_LENGTH
from bgpbt.types import Task
from scripts.benchmarks import brax_ppo
from scripts.benchmarks.cases import (
    DRAWS,
    FULL_UNROLL,
    Trainer,
    equal_config,
    random_trainer,
    raw_stepping,
    slowest_config,
    small_options,
    trainer,
    without_learning,
)
from scripts.benchmarks.figures import Figure, Result, Target, interleave, median, ratio

ROUND = 26  # updates of a call: a round of about 25,000 steps
RATE = "steps/s"
Cases = dict[str, Callable[[], float]]
Measured = dict[str, list[float]]
Workers = list[brax_ppo.Worker]


def run(quick: bool, repeats: int, say: Callable) -> Result:
    """Measures everything in turn."""
    options = small_options(quick)
    updates = 2 if quick else ROUND
    cases = our_cases(options, updates, say)
    cores = sorted(os.sched_getaffinity(0))[: 1 if quick else usable_cores()]
    stretch = updates * (1 if quick else 4)
    with brax_processes(options, stretch, cores, say) as (free, pinned):
        cases |= {
            "brax one": lambda: brax_ppo.together(free[:1]),
            "brax free": lambda: brax_ppo.together(free),
            "brax pinned": lambda: brax_ppo.together(pinned),
        }
        measured = interleave(cases, repeats, say)
    steps = updates * ROLLOUT_LENGTH * options.num_envs * options.pop_size
    figures = [
        *beside_brax(measured, len(cores)),
        *beside_environment(measured),
        *without_targets(measured),
        *shares_of_time(measured, steps),
    ]
    settings = {
        "members": options.pop_size,
        "num_envs": options.num_envs,
        "env": options.env_name,
        "updates": updates,
        "repeats": repeats,
    }
    return Result("population", settings, figures, quick)


@contextlib.contextmanager
def brax_processes(
    options: Options, updates: int, cores: list[int], say: Callable
) -> Iterator[tuple[Workers, Workers]]:
    """As many of Brax's processes as cores, twice.

    The first ones are left to the scheduler, the second ones have a core each.
    """
    stretch = updates * ROLLOUT_LENGTH * options.num_envs
    settings = brax_ppo.settings(options)
    free = [brax_ppo.Worker(settings, stretch) for _ in cores]
    pinned = [brax_ppo.Worker(settings, stretch, core) for core in cores]
    try:
        say(f"compiling Brax's PPO in {len(free)} + {len(pinned)} processes")
        for worker in free + pinned:
            worker.wait()
        yield free, pinned
    finally:
        for worker in free + pinned:
            worker.close()


def our_cases(options: Options, updates: int, say: Callable) -> Cases:
    """What runs in this process, compiled, in the order in which it is measured."""
    size = options.pop_size
    device_layout = choose_layout(size)
    task = make_task(options)
    few = max(updates // 4, 1)
    shared = OneProgram(options, task)
    large = {"policy_layers": (32,) * 4, "value_layers": (256,) * 5}
    default_task = make_task(options.model_copy(update=large))
    default = trainer(default_task, size, device_layout, **FULL_UNROLL)
    no_epochs = FULL_UNROLL | {"num_update_epochs": 0}
    acting = trainer(without_learning(options), size, device_layout, **no_epochs)
    raw = raw_stepping(task.playback.env, size, options.num_envs, device_layout)
    say("compiling our programs")
    shared.ours.train(1)
    raw(1)
    acting.train(1)
    shared.evaluated.evaluate()
    default.train(1)
    cases = {
        "ours": lambda: shared.ours.rate(updates),
        "raw": lambda: raw(updates * ROLLOUT_LENGTH),
        "acting": lambda: acting.rate(updates),
        "start states": lambda: acting.train(0),
        "with evaluation": lambda: shared.rate_with_evaluation(updates),
        "default networks": lambda: default.rate(few),
        "slowest corner": lambda: shared.corner.rate(few),
    }
    for seed, draw in shared.draws.items():
        cases[f"random {seed}"] = lambda draw=draw: draw.rate(updates)
    return cases


class OneProgram:
    """Populations of other configurations that one program trains."""

    def __init__(self, options: Options, task: Task):
        size = options.pop_size
        programs = make_programs(task, size, choose_layout(size))
        config = equal_config(task, size, **FULL_UNROLL)
        slowest = slowest_config(task, size, options.num_envs)
        self.ours = Trainer(programs, task, config)
        self.evaluated = Trainer(programs, task, config)
        self.corner = Trainer(programs, task, slowest)
        self.draws = {
            seed: random_trainer(programs, task, size, seed) for seed in DRAWS
        }

    def rate_with_evaluation(self, updates: int) -> float:
        """Steps of training per second of training and evaluation."""
        seconds = self.evaluated.train(updates) + self.evaluated.evaluate()[0]
        return self.evaluated.steps(updates) / seconds


def beside_brax(measured: Measured, cores: int) -> list[Figure]:
    """The figures of Brax's PPO, with targets."""
    ours = measured["ours"]
    pairs = zip(measured["brax free"], measured["brax pinned"], strict=True)
    fastest = [max(pair) for pair in pairs]
    alone = "Brax's PPO, one process"
    several = f"Brax's PPO, {cores} processes"
    target = Target(">=", 0.9)
    return [
        median("ours, equal configurations", RATE, ours),
        median(alone, RATE, measured["brax one"]),
        ratio(f"ours / {alone}", ours, measured["brax one"], Target(">=", 1.5)),
        median(f"{several}, left to the scheduler", RATE, measured["brax free"]),
        median(f"{several}, a core each", RATE, measured["brax pinned"]),
        ratio(f"ours / {several}", ours, fastest, target, "the faster of the two ways"),
    ]


def beside_environment(measured: Measured) -> list[Figure]:
    """The figures of bare environments and of random configurations, with targets."""
    ours = measured["ours"]
    draws = zip(*(measured[f"random {seed}"] for seed in DRAWS), strict=True)
    drawn = [sum(rates) / len(rates) for rates in draws]
    raw = "raw environment stepping"
    how = "same arrangement, random actions, no resets"
    return [
        median(raw, RATE, measured["raw"], note=how),
        ratio(f"ours / {raw}", ours, measured["raw"], Target(">=", 0.8)),
        median(
            "eight random configurations",
            RATE,
            drawn,
            note=f"mean of {len(DRAWS)} draws",
        ),
        ratio("random configurations / ours", drawn, ours, Target(">=", 0.6)),
    ]


def without_targets(measured: Measured) -> list[Figure]:
    """The figures of other populations."""
    notes = {
        "slowest corner": "batch ratio 2^-5, unroll 5, 16 epochs",
        "default networks": "policy 4x32, value 5x256",
        "with evaluation": "4 episodes of each member after every call",
    }
    words = {"with evaluation": "training with evaluation"}
    return [
        median(words.get(name, name), RATE, measured[name], note=note)
        for name, note in notes.items()
    ]


def shares_of_time(measured: Measured, steps: int) -> list[Figure]:
    """Where the time of an equal population goes; `steps` of a call."""
    ours, raw, acting = (
        [steps / rate for rate in measured[name]] for name in ("ours", "raw", "acting")
    )
    start = measured["start states"]
    acting_alone = [a - b - r for a, b, r in zip(acting, start, raw, strict=True)]
    learning = [a - b for a, b in zip(ours, acting, strict=True)]

    def share(name: str, seconds: list[float], note: str) -> Figure:
        pairs = zip(seconds, ours, strict=True)
        percent = [100 * part / total for part, total in pairs]
        return median(f"share: {name}", "%", percent, note=note)

    return [
        share("physics", raw, "as long as raw stepping takes"),
        share(
            "acting and advantages",
            acting_alone,
            "policy, sampling, ends of episodes, normaliser, GAE: epochs 0 less the "
            "rest",
        ),
        share(
            "start states",
            start,
            "a call without updates: resets for the round, finiteness checks",
        ),
        share("learning", learning, "4 epochs less 0 epochs"),
    ]
