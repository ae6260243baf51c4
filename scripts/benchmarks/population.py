"""Member-environment steps per second of training, beside Brax's own PPO and the bare environment.

8 members x 64 environments, ant on spring, 2x64 networks, unroll 15, batch ratio 2^-1, 4 epochs: 8 optimizer steps of 480
transitions for 960 environment steps on both sides. Everything is compiled before; no side evaluates.
"""

import contextlib
import os
from collections.abc import Callable, Iterator

from bgpbt.api import make_task
from bgpbt.population import arrange, make_programs, usable_cores
from bgpbt.tasks.ppo import ROLLOUT_LENGTH
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
from scripts.benchmarks.figures import Bar, Figure, Result, interleave, median, ratio

ROUND = 26  # updates of a call: a round of about 25,000 steps


@contextlib.contextmanager
def brax_processes(options, updates: int, cores: list[int], say: Callable) -> Iterator[tuple[list, list]]:
    """As many of Brax's processes as cores, left to the scheduler, and as many that have a core each."""
    stretch = updates * ROLLOUT_LENGTH * options.num_envs
    given = brax_ppo.settings(options)
    free = [brax_ppo.Worker(given, stretch) for _ in cores]
    pinned = [brax_ppo.Worker(given, stretch, core) for core in cores]
    try:
        say(f"compiling Brax's PPO in {len(free)} + {len(pinned)} processes")
        for worker in free + pinned:
            worker.wait()
        yield free, pinned
    finally:
        for worker in free + pinned:
            worker.close()


def our_cases(options, updates: int, say: Callable) -> dict[str, Callable[[], float]]:
    """What runs in this process, compiled. The corner and the draws use the program of the first case."""
    size, arrangement = options.pop_size, arrange(options.pop_size)
    task = make_task(options)
    programs = make_programs(task, size, arrangement)
    ours = Trainer(programs, task, equal_config(task, size, **FULL_UNROLL))
    evaluated = Trainer(programs, task, equal_config(task, size, **FULL_UNROLL))
    corner = Trainer(programs, task, slowest_config(task, size, options.num_envs))
    draws = [random_trainer(programs, task, size, seed) for seed in DRAWS]
    large = options.model_copy(update={"policy_layers": (32,) * 4, "value_layers": (256,) * 5})
    default = trainer(make_task(large), size, arrangement, **FULL_UNROLL)
    acting = trainer(without_learning(options), size, arrangement, **FULL_UNROLL, num_update_epochs=0)
    raw, few = raw_stepping(task.context[0], size, options.num_envs, arrangement), max(updates // 4, 1)
    cases = {
        "ours": lambda: ours.rate(updates),
        "raw": lambda: raw(updates * ROLLOUT_LENGTH),
        "acting": lambda: acting.rate(updates),
        "start states": lambda: acting.train(0),
        "with evaluation": lambda: evaluated.steps(updates) / (evaluated.train(updates) + evaluated.evaluate()[0]),
        "default networks": lambda: default.rate(few),
        "slowest corner": lambda: corner.rate(few),
    }
    cases |= {f"random {seed}": lambda draw=draw: draw.rate(updates) for seed, draw in zip(DRAWS, draws, strict=True)}
    say("compiling our programs")
    for warm in (lambda: ours.train(1), lambda: raw(1), lambda: acting.train(1), evaluated.evaluate, lambda: default.train(1)):
        warm()
    return cases


def compared(found: dict, cores: int) -> list[Figure]:
    """The figures that have bars."""
    ours, rate = found["ours"], "steps/s"
    together = [max(pair) for pair in zip(found["brax free"], found["brax pinned"], strict=True)]
    draws = [[found[f"random {seed}"][i] for seed in DRAWS] for i in range(len(ours))]
    mean_of_draws = [sum(values) / len(values) for values in draws]
    return [
        median("ours, equal configurations", rate, ours),
        median("Brax's PPO, one process", rate, found["brax one"]),
        ratio("ours / Brax's PPO, one process", ours, found["brax one"], Bar(">=", 1.5)),
        median(f"Brax's PPO, {cores} processes, left to the scheduler", rate, found["brax free"]),
        median(f"Brax's PPO, {cores} processes, a core each", rate, found["brax pinned"]),
        ratio(f"ours / Brax's PPO, {cores} processes", ours, together, Bar(">=", 0.9), "the faster of the two ways"),
        median("raw environment stepping", rate, found["raw"], note="same arrangement, random actions, no resets"),
        ratio("ours / raw environment stepping", ours, found["raw"], Bar(">=", 0.8)),
        median("eight random configurations", rate, mean_of_draws, note=f"mean of {len(DRAWS)} draws"),
        ratio("random configurations / ours", mean_of_draws, ours, Bar(">=", 0.6)),
    ]


def beside(found: dict, ours: list[float], steps: int) -> list[Figure]:
    """The figures without bars, and where the time of an equal population goes."""
    rate = "steps/s"
    seconds = {name: [steps / r for r in found[name]] for name in ("ours", "raw", "acting")}
    start = found["start states"]

    def share(name: str, parts: list[float], note: str) -> Figure:
        percent = [100 * part / whole for part, whole in zip(parts, seconds["ours"], strict=True)]
        return median(f"share: {name}", "%", percent, note=note)

    acting = [a - b - r for a, b, r in zip(seconds["acting"], start, seconds["raw"], strict=True)]
    learning = [a - b for a, b in zip(seconds["ours"], seconds["acting"], strict=True)]
    return [
        median("slowest corner", rate, found["slowest corner"], note="batch ratio 2^-5, unroll 5, 16 epochs"),
        median("default networks", rate, found["default networks"], note="policy 4x32, value 5x256"),
        median("training with evaluation", rate, found["with evaluation"], note="4 episodes of each member after every call"),
        share("physics", seconds["raw"], "as long as raw stepping takes"),
        share("acting and advantages", acting, "policy, sampling, ends of episodes, normaliser, GAE: epochs 0 less the rest"),
        share("start states", start, "a call without updates: resets for the round, finiteness checks"),
        share("learning", learning, "4 epochs less 0 epochs"),
    ]


def run(quick: bool, repeats: int, say: Callable) -> Result:
    """Measures everything in turn."""
    options, updates = small_options(quick), 2 if quick else ROUND
    cases = our_cases(options, updates, say)
    cores = sorted(os.sched_getaffinity(0))[: 1 if quick else usable_cores()]
    with brax_processes(options, updates * (1 if quick else 4), cores, say) as (free, pinned):
        cases |= {
            "brax one": lambda: brax_ppo.together(free[:1]),
            "brax free": lambda: brax_ppo.together(free),
            "brax pinned": lambda: brax_ppo.together(pinned),
        }
        found = interleave(cases, repeats, say)
    steps = updates * ROLLOUT_LENGTH * options.num_envs * options.pop_size
    figures = compared(found, len(cores)) + beside(found, found["ours"], steps)
    settings = {"members": options.pop_size, "num_envs": options.num_envs, "env": options.env_name, "updates": updates}
    return Result("population", settings | {"repeats": repeats}, figures, quick)
