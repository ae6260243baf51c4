"""Fifteen networks on MNIST in one program, and the same one after the other.

The networks, hyperparameters and minibatches of `pbt_vs_random_mnist.py`. The training
is compiled once on both sides; the rival is what a person writes for one
(`one_network.py`): Flax's layers and a jitted step of a minibatch, called in a loop.
Fifteen is no multiple of two: on two cores the population is one program on one device
there, too.

Then from the command to the result, an epoch of all training images, every process with
an empty cache and measured once: `main.py` with fifteen members, report and figures; a
process that trains and tests one, taken fifteen times, as a tuner would start them; and
one process that trains and tests fifteen, one after the other.
"""

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

from bgpbt.api import make_task
from bgpbt.config.errors import BadInput
from bgpbt.config.loading import load_options
from bgpbt.config.options import Options
from bgpbt.execution.devices import choose_layout
from bgpbt.execution.programs import make_programs
from bgpbt.tasks.vision.learner import BATCH_SIZE
from bgpbt.types import Task
from scripts.benchmarks import commands
from scripts.benchmarks.cases import random_trainer
from scripts.benchmarks.figures import (
    CannotMeasure,
    Figure,
    Result,
    Target,
    interleave,
    median,
    ratio,
)
from scripts.benchmarks.one_network import Alone

MEMBERS = 15
FOLDER = "BGPBT_DATA_DIR"  # the variable that names the folder of the images


def run(quick: bool, repeats: int, say: Callable) -> Result:
    """Interleaved repeats of the training, then the commands."""
    options = options_of(quick)
    try:
        task = make_task(options)
    except BadInput as error:
        raise CannotMeasure(
            f"classification needs MNIST, name its folder in {FOLDER}: {error}"
        ) from None
    updates = 4 if quick else 75
    epoch = 4 if quick else int(np.prod(task.data["orders"].shape[1:])) // BATCH_SIZE
    figures = [
        *_training_figures(task, options.pop_size, updates, repeats, say),
        *_command_figures(options, epoch),
    ]
    settings = {
        "problem": options.problem,
        "members": options.pop_size,
        "minibatches": updates,
        "epoch": epoch,
        "repeats": repeats,
    }
    return Result("classification", settings, figures, quick)


def options_of(quick: bool) -> Options:
    """MNIST in the folder that the environment names, or digits."""
    mnist = {"problem": "mnist", "data_dir": os.environ.get(FOLDER)}
    data = {"problem": "digits"} if quick else mnist
    members = {"pop_size": 3 if quick else MEMBERS}
    return load_options(
        {"task": "classification", "strategy": "random"} | members | data
    )


def _training_figures(
    task: Task, number: int, updates: int, repeats: int, say: Callable
) -> list[Figure]:
    programs = make_programs(task, number, choose_layout(number))
    population = random_trainer(programs, task, number, 0)
    alone = Alone(task, population.config)
    say(f"compiling {number} members, and one")
    cases = {
        "population": lambda: population.train(updates),
        "alone": lambda: alone.train(updates),
    }
    for case in cases.values():
        case()
    seconds = interleave(cases, repeats, say)
    figures = [
        median(f"{name}: {number} x {updates} minibatches", "s", seconds[name])
        for name in cases
    ]
    target = Target(">=", 1 if jax.default_backend() == "cpu" else 8)
    what = "one after the other / in one program"
    together = seconds["population"]
    figures.append(ratio(what, seconds["alone"], together, target, "compiled"))
    return figures


def _command_figures(options: Options, updates: int) -> list[Figure]:
    """From the command to the result, with so many minibatches."""
    number = options.pop_size
    together = _population_command(options, updates)
    single = _process_command(options, updates, 1)
    in_turn = _process_command(options, updates, number)
    note = "nothing compiled before"
    times = number * single / together
    command = f"the command, {number} members, {updates} minibatches"
    return [
        Figure(command, together, "s"),
        Figure("a process with one member", single, "s"),
        Figure(f"a process with {number}, one after the other", in_turn, "s"),
        Figure("the same / the command", in_turn / together, "x"),
        Figure(
            f"{number} processes with one / the command",
            times,
            "x",
            Target(">=", 3),
            note,
        ),
    ]


def _population_command(options: Options, updates: int) -> float:
    """Seconds of the whole population's command."""
    data = ["--data_dir", options.data_dir] if options.data_dir else []
    task = ["-t", "classification", "--problem", options.problem, *data]
    population = ["-o", "random", "-ps", str(options.pop_size)]
    length = ["-mt", str(updates), "-tr", str(updates)]
    place = ["--save_dir", "FOLDER/runs"]
    return _cold("main.py", *task, *population, *length, *place)


def _process_command(options: Options, updates: int, members: int) -> float:
    """Seconds of a process that trains members one after the other."""
    call = {
        "problem": options.problem,
        "data_dir": options.data_dir,
        "updates": updates,
        "members": members,
    }
    return _cold("-m", "scripts.benchmarks.one_network", json.dumps(call))


def _cold(*flags: str) -> float:
    """Seconds of a process, nothing compiled before."""
    with tempfile.TemporaryDirectory() as folder:
        words = [flag.replace("FOLDER", folder) for flag in flags]
        command = [*commands.PYTHON, *words]
        return commands.run(command, Path(folder) / "cache").seconds
