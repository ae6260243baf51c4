"""On an accelerator: what one optimizer step waits, and how far a population grows.

A population should grow far before it takes longer than one member. Latency is the time
of an update with its epochs less that of one without, divided by the optimizer steps
that follow one another: the number of minibatches of the whole vmapped population times
its most epochs. Sizes: ant, 2,048 environments each, equal defaults, the whole
population vmapped; compiled before, in threads.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import jax
import numpy as np

from bgpbt.api import make_task
from bgpbt.config.options import Options
from bgpbt.execution.devices import DeviceLayout
from bgpbt.execution.programs import Programs, make_programs
from bgpbt.tasks.ppo import minibatches
from bgpbt.tasks.ppo.spaces import ROLLOUT_LENGTH
from bgpbt.types import Task
from scripts.benchmarks.cases import (
    DRAWS,
    Trainer,
    equal_config,
    random_trainer,
    raw_stepping,
    slowest_config,
    small_options,
    trainer,
    without_learning,
)
from scripts.benchmarks.figures import (
    CannotMeasure,
    Figure,
    Result,
    Target,
    interleave,
    median,
)

REPEATS = 3
SIZES = (1, 2, 4, 8, 16, 32, 64)
GOAL = 8  # members that should take at most twice as long as one


def run(
    quick: bool, repeats: int, say: Callable, members: Sequence[int] = SIZES
) -> Result:
    """Measures latency at 8 members, then the sizes."""
    if jax.default_backend() == "cpu" and not quick:
        raise CannotMeasure(
            "size needs an accelerator, and JAX found none; --quick shows that it works"
        )
    options = small_options(True) if quick else Options()
    sizes, updates = ((1, 2), 1) if quick else (sorted(members), 8)
    figures = [
        *latency(options, repeats, updates, say),
        *populations(options, sizes, updates, repeats, say),
    ]
    settings = {
        "num_envs": options.num_envs,
        "env": options.env_name,
        "sizes": list(sizes),
        "updates": updates,
        "repeats": repeats,
    }
    return Result("size", settings, figures, quick)


def sequential_steps(options: Options, hyperparams: dict[str, np.ndarray]) -> int:
    """Optimizer steps of a rollout that follow one another.

    Args:
      options: number of environments.
      hyperparams: of all members, which are vmapped; each `[P]`.
    """
    transitions = ROLLOUT_LENGTH * options.num_envs
    nearest = partial(
        minibatches.nearest_index, transitions, numbers=minibatches.NUM_MINIBATCHES
    )
    indices = jax.vmap(nearest)(hyperparams["batch_size"], hyperparams["unroll_length"])
    common = jax.vmap(minibatches.common_index, out_axes=None)(indices)
    epochs = int(np.max(hyperparams["num_update_epochs"]))
    return minibatches.NUM_MINIBATCHES[int(common)] * epochs


def latency(
    options: Options, repeats: int, updates: int, say: Callable
) -> list[Figure]:
    """Milliseconds of one optimizer step, and how many of them a rollout waits for."""
    size = options.pop_size
    task = without_learning(options)
    programs = make_programs(task, size, DeviceLayout(1, size))
    trainers = _latency_trainers(options, task, programs)
    say(f"latency: compiling the program of {size} members")
    for t in trainers.values():
        t.train(1)
    cases = {
        name: lambda t=t: t.train(updates) / updates for name, t in trainers.items()
    }
    seconds = interleave(cases, repeats, say)
    idle = seconds["no epochs"]
    idle_ms = [1e3 * s for s in idle]
    figures = [median("update without learning", "ms", idle_ms, note=f"{size} members")]
    for name, t in list(trainers.items())[1:]:
        natural = programs.hyperparams(t.config)
        hyperparams = {n: np.asarray(v) for n, v in natural.items()}
        steps = sequential_steps(options, hyperparams)
        learning = [a - b for a, b in zip(seconds[name], idle, strict=True)]
        step_ms = [1e3 * s / steps for s in learning]
        update_ms = [1e3 * s for s in seconds[name]]
        what = f"{name}: optimizer steps of a rollout"
        figures += [
            Figure(what, steps, "", note="one after the other"),
            median(f"{name}: one optimizer step", "ms", step_ms),
            median(f"{name}: update", "ms", update_ms),
        ]
    return figures


def _latency_trainers(
    options: Options, task: Task, programs: Programs
) -> dict[str, Trainer]:
    """Populations of one program, the first of which does not learn."""
    size = options.pop_size
    idle = equal_config(task, size, num_update_epochs=0)
    slowest = slowest_config(task, size, options.num_envs)
    trainers = {
        "no epochs": Trainer(programs, task, idle),
        "equal defaults": Trainer(programs, task, equal_config(task, size)),
        "slowest corner": Trainer(programs, task, slowest),
    }
    usual = make_task(options)
    usual_programs = make_programs(usual, size, DeviceLayout(1, size))
    for seed in DRAWS[:2]:
        drawn = random_trainer(usual_programs, usual, size, seed)
        natural = {
            name: np.asarray(v, np.float32)
            for name, v in usual_programs.hyperparams(drawn.config).items()
        }
        configs = [
            equal_config(task, 1, **{name: v[i] for name, v in natural.items()})[0]
            for i in range(size)
        ]
        trainers[f"random {seed}"] = Trainer(programs, task, np.stack(configs))
    return trainers


def populations(
    options: Options, sizes: Sequence[int], updates: int, repeats: int, say: Callable
) -> list[Figure]:
    """Training and raw stepping of every size in turn."""
    task = make_task(options)
    cases = {}

    def compiled(size: int) -> int:
        layout = DeviceLayout(1, size)
        ours = trainer(task, size, layout)
        raw = raw_stepping(task.playback.env, size, options.num_envs, layout)
        cases[f"train {size}"] = lambda: ours.train(updates)
        cases[f"raw {size}"] = lambda: raw(updates * ROLLOUT_LENGTH)
        for name in (f"train {size}", f"raw {size}"):
            cases[name]()
        return size

    with ThreadPoolExecutor(max_workers=4) as workers:
        for size in workers.map(compiled, sizes):
            say(f"compiled {size} members")
    measured = interleave(cases, repeats, say)
    steps = updates * ROLLOUT_LENGTH * options.num_envs * options.action_repeat
    return size_figures(measured, sizes, steps)


def size_figures(
    measured: dict[str, list[float]], sizes: Sequence[int], steps: int
) -> list[Figure]:
    """Rates, wall-clock against the smallest population, and share of raw stepping.

    Args:
      measured: seconds of training and rates of raw stepping, by case.
      sizes: members, ascending.
      steps: of one member in a call.
    """
    figures = []
    first = measured[f"train {sizes[0]}"]
    for size in sizes:
        seconds, raw = measured[f"train {size}"], measured[f"raw {size}"]
        rates = [steps * size / s for s in seconds]
        slower = [a / b for a, b in zip(seconds, first, strict=True)]
        shares = [100 * a / b for a, b in zip(rates, raw, strict=True)]
        target = Target("<=", 2) if size == GOAL and sizes[0] == 1 else None
        name = f"{size} members"
        figures += [
            median(name, "steps/s", rates),
            median(f"{name}: wall-clock against {sizes[0]}", "x", slower, target),
            median(f"{name}: share of raw stepping", "%", shares),
        ]
    return figures
