"""The original settings as one program, lowered and compiled here without being run.

8 members x 2,048 environments, policy 4x32, value 5x256, the whole population vmapped
on one device: seconds, memory by XLA's analysis beside the estimate of `--dry_run`, and
instructions per optimizer step: those of the optimised body of the loop over
minibatches (fusions count as one; parameters, constants, tuples and bitcasts do not
count).
"""

import time
from collections.abc import Callable

import jax
import numpy as np

from bgpbt.api import make_task
from bgpbt.config.options import Options
from bgpbt.execution.devices import DeviceLayout
from bgpbt.execution.memory import estimate_memory
from bgpbt.execution.programs import make_programs
from bgpbt.types import Task
from scripts.benchmarks import hlo
from scripts.benchmarks.cases import small_options
from scripts.benchmarks.figures import Figure, Result, Target

REPEATS = 1


def run(quick: bool, repeats: int, say: Callable) -> Result:
    """Compiles once; `repeats` is not used."""
    del repeats
    options = small_options(True) if quick else Options()
    size = options.pop_size
    device_layout = DeviceLayout(devices=1, chunk=size)
    task = make_task(options)
    say(f"lowering {size} members x {options.num_envs} environments")
    began = time.monotonic()
    lowered = lower(task, size, device_layout)
    traced = time.monotonic()
    say("compiling")
    # Also where the user's own variables name a cache.
    jax.config.update("jax_enable_compilation_cache", False)
    compiled = lowered.compile()
    done = time.monotonic()
    figures = [
        Figure("tracing and lowering", traced - began, "s"),
        Figure("compiling", done - traced, "s"),
        *memory_figures(
            compiled.memory_analysis(), estimate_memory(size, task, device_layout, size)
        ),
    ]
    for number, count in hlo.per_optimizer_step(compiled.as_text()).items():
        what = f"instructions per optimizer step, {number} minibatches"
        figures.append(Figure(what, count, ""))
    settings = {
        "members": size,
        "num_envs": options.num_envs,
        "env": options.env_name,
    }
    return Result("compile", settings | device_layout._asdict(), figures, quick)


def lower(task: Task, pop_size: int, device_layout: DeviceLayout):
    """The training program of a population, lowered from shapes alone."""
    programs = make_programs(task, pop_size, device_layout)
    members = np.arange(pop_size, dtype=np.int32)
    config = np.zeros((pop_size, len(task.space)), np.float32)
    active = np.ones(pop_size, bool)
    seed, scalar = np.uint32(0), np.int32(0)
    population = jax.eval_shape(programs.init, seed, scalar, members, config)
    return programs.train.lower(
        seed, scalar, scalar, members, active, population, config
    )


def held(analysis) -> int:
    """Bytes that a program holds at once, by XLA's analysis.

    They are arguments, results and temporaries; donated buffers count once.
    """
    total = (
        analysis.argument_size_in_bytes
        + analysis.output_size_in_bytes
        + analysis.temp_size_in_bytes
    )
    return total - analysis.alias_size_in_bytes


def memory_figures(analysis, estimate: int) -> list[Figure]:
    """Memory by XLA's analysis, and by our estimate in bytes."""
    actual = held(analysis)
    return [
        Figure(
            "memory by XLA's analysis",
            actual / 1e6,
            "MB",
            note="arguments, results and temporaries, donated ones once",
        ),
        Figure("  of it temporaries", analysis.temp_size_in_bytes / 1e6, "MB"),
        Figure("memory by --dry_run's estimate", estimate / 1e6, "MB"),
        Figure("estimate / XLA's analysis", estimate / actual, "x", Target("x", 2)),
    ]
