"""The original settings as one program, lowered and compiled here without being run.

8 members x 2,048 environments, policy 4x32, value 5x256, the whole population vmapped on one device: seconds, memory by
XLA's analysis beside the estimate of `--dry_run`, and instructions per optimizer step: those of the optimised body of
the loop over minibatches (fusions count as one; parameters, constants, tuples and bitcasts do not count).
"""

import time
from collections.abc import Callable

import jax
import numpy as np

from bgpbt.api import make_task
from bgpbt.options import Options
from bgpbt.plan import estimate_memory
from bgpbt.population import Arrangement, make_programs
from bgpbt.types import Task
from scripts.benchmarks import hlo
from scripts.benchmarks.cases import small_options
from scripts.benchmarks.figures import Bar, Figure, Result

REPEATS = 1


def lower(task: Task, pop_size: int, arrangement: Arrangement):
    """The training program of a population, lowered from shapes alone."""
    programs = make_programs(task, pop_size, arrangement)
    members = np.arange(pop_size, dtype=np.int32)
    config, active = np.zeros((pop_size, len(task.space)), np.float32), np.ones(pop_size, bool)
    population = jax.eval_shape(programs.init, np.uint32(0), np.int32(0), members, config)
    return programs.train.lower(np.uint32(0), np.int32(0), np.int32(0), members, active, population, config)


def held(analysis) -> int:
    """Bytes that a program holds at once: arguments, results and what it works in, donated buffers once."""
    sizes = (analysis.argument_size_in_bytes, analysis.output_size_in_bytes, analysis.temp_size_in_bytes)
    return sum(sizes) - analysis.alias_size_in_bytes


def run(quick: bool, repeats: int, say: Callable) -> Result:
    """Compiles once; `repeats` is not used."""
    del repeats
    options = small_options(True) if quick else Options()
    arrangement = Arrangement(devices=1, chunk=options.pop_size)
    task = make_task(options)
    say(f"lowering {options.pop_size} members x {options.num_envs} environments")
    began = time.monotonic()
    lowered = lower(task, options.pop_size, arrangement)
    traced = time.monotonic()
    say("compiling")
    jax.config.update("jax_enable_compilation_cache", False)  # also where the user's own variables name a cache
    compiled = lowered.compile()
    done = time.monotonic()
    analysis = compiled.memory_analysis()
    estimate, actual = estimate_memory(options, task, arrangement, options.pop_size), held(analysis)
    counts = hlo.per_optimizer_step(compiled.as_text())
    figures = [
        Figure("tracing and lowering", traced - began, "s"),
        Figure("compiling", done - traced, "s"),
        Figure("memory by XLA's analysis", actual / 1e6, "MB", note="arguments, results and temporaries, donated ones once"),
        Figure("  of it temporaries", analysis.temp_size_in_bytes / 1e6, "MB"),
        Figure("memory by --dry_run's estimate", estimate / 1e6, "MB"),
        Figure("estimate / XLA's analysis", estimate / actual, "x", Bar("x", 2)),
        *(Figure(f"instructions per optimizer step, {n} minibatches", c, "") for n, c in counts.items()),
    ]
    settings = {"members": options.pop_size, "num_envs": options.num_envs, "env": options.env_name}
    return Result("compile", settings | arrangement._asdict(), figures, quick)
