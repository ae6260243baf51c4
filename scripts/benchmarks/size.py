"""On an accelerator: what one optimizer step waits, and how far a population grows before it takes longer than a member.

Latency is the time of an update with its epochs less that of one without, divided by the optimizer steps that follow one
another: the number of minibatches of the whole vmapped population times its most epochs. Sizes: ant, 2,048 environments
each, equal defaults, the whole population vmapped; compiled before, in threads.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np

from bgpbt.api import make_task
from bgpbt.options import Options
from bgpbt.population import Arrangement, make_programs
from bgpbt.tasks import minibatches
from bgpbt.tasks.ppo import ROLLOUT_LENGTH
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
from scripts.benchmarks.figures import Bar, CannotMeasure, Figure, Result, interleave, median

REPEATS = 3
SIZES = (1, 2, 4, 8, 16, 32, 64)
GOAL = 8  # members that should take at most twice as long as one


def sequential_steps(options: Options, hyperparams: dict[str, np.ndarray]) -> int:
    """Optimizer steps of a rollout that follow one another where all members are vmapped."""
    transitions = ROLLOUT_LENGTH * options.num_envs
    rungs = jax.vmap(lambda b, u: minibatches.rung(transitions, b, u))(hyperparams["batch_size"], hyperparams["unroll_length"])
    common = jax.vmap(minibatches.common_rung, out_axes=None)(rungs)
    return minibatches.LADDER[int(common)] * int(np.max(hyperparams["num_update_epochs"]))


def latency(options: Options, repeats: int, updates: int, say: Callable) -> list[Figure]:
    """Milliseconds of one optimizer step, and how many of them a rollout waits for."""
    size, task = options.pop_size, without_learning(options)
    programs = make_programs(task, size, Arrangement(1, size))
    trainers = {
        "no epochs": Trainer(programs, task, equal_config(task, size, num_update_epochs=0)),
        "equal defaults": Trainer(programs, task, equal_config(task, size)),
        "slowest corner": Trainer(programs, task, slowest_config(task, size, options.num_envs)),
    }
    usual = make_task(options)
    real = make_programs(usual, size, Arrangement(1, size))
    for seed in DRAWS[:2]:
        drawn = random_trainer(real, usual, size, seed)
        natural = {name: np.asarray(v, np.float32) for name, v in real.hyperparams(drawn.config).items()}
        encoded = [equal_config(task, 1, **{name: v[i] for name, v in natural.items()})[0] for i in range(size)]
        trainers[f"random {seed}"] = Trainer(programs, task, np.stack(encoded))
    say(f"latency: compiling the program of {size} members")
    for t in trainers.values():
        t.train(1)
    found = interleave({name: lambda t=t: t.train(updates) / updates for name, t in trainers.items()}, repeats, say)
    figures = [median("update without learning", "ms", [1e3 * s for s in found["no epochs"]], note=f"{size} members")]
    for name, t in list(trainers.items())[1:]:
        hyperparams = {n: np.asarray(v) for n, v in programs.hyperparams(t.config).items()}
        steps = sequential_steps(options, hyperparams)
        seconds = [a - b for a, b in zip(found[name], found["no epochs"], strict=True)]
        figures.append(Figure(f"{name}: optimizer steps of a rollout", steps, "", note="one after the other"))
        figures.append(median(f"{name}: one optimizer step", "ms", [1e3 * s / steps for s in seconds]))
        figures.append(median(f"{name}: update", "ms", [1e3 * s for s in found[name]]))
    return figures


def populations(options: Options, sizes: Sequence[int], updates: int, repeats: int, say: Callable) -> list[Figure]:
    """Training and raw stepping of every size in turn."""
    task, cases = make_task(options), {}

    def compiled(size: int) -> int:
        ours = trainer(task, size, Arrangement(1, size))
        raw = raw_stepping(task.context[0], size, options.num_envs, Arrangement(1, size))
        cases[f"train {size}"] = lambda: ours.train(updates)
        cases[f"raw {size}"] = lambda: raw(updates * ROLLOUT_LENGTH)
        for name in (f"train {size}", f"raw {size}"):
            cases[name]()
        return size

    with ThreadPoolExecutor(max_workers=4) as workers:
        for size in workers.map(compiled, sizes):
            say(f"compiled {size} members")
    found = interleave(cases, repeats, say)
    return size_figures(found, sizes, updates * ROLLOUT_LENGTH * options.num_envs * options.action_repeat)


def size_figures(found: dict[str, list[float]], sizes: Sequence[int], steps: int) -> list[Figure]:
    """Rates, wall-clock against the smallest population, and share of raw stepping; `steps`: of one member in a call."""
    figures = []
    for size in sizes:
        seconds, raw, first = found[f"train {size}"], found[f"raw {size}"], found[f"train {sizes[0]}"]
        rates = [steps * size / s for s in seconds]
        bar = Bar("<=", 2) if size == GOAL and sizes[0] == 1 else None
        figures.append(median(f"{size} members", "steps/s", rates))
        slower = [a / b for a, b in zip(seconds, first, strict=True)]
        figures.append(median(f"{size} members: wall-clock against {sizes[0]}", "x", slower, bar))
        shares = [100 * a / b for a, b in zip(rates, raw, strict=True)]
        figures.append(median(f"{size} members: share of raw stepping", "%", shares))
    return figures


def run(quick: bool, repeats: int, say: Callable, members: Sequence[int] = SIZES) -> Result:
    """Measures latency at 8 members, then the sizes."""
    if jax.default_backend() == "cpu" and not quick:
        raise CannotMeasure("size needs an accelerator, and JAX found none; --quick shows that it works")
    options = small_options(True) if quick else Options()
    sizes, updates = ((1, 2), 1) if quick else (sorted(members), 8)
    figures = latency(options, repeats, updates, say) + populations(options, sizes, updates, repeats, say)
    settings = {"num_envs": options.num_envs, "env": options.env_name, "sizes": list(sizes), "updates": updates}
    return Result("size", settings | {"repeats": repeats}, figures, quick)
