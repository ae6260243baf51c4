"""Fifteen networks on MNIST in one program, beside the same fifteen one after the other.

The networks, hyperparameters and minibatches of `pbt_vs_random_mnist.py`. The training is compiled once on both sides; the rival
is what a person writes for one (`one_network.py`): Flax's layers and a jitted step of a minibatch, called in a loop. Fifteen is
no multiple of two: on two cores the population is one program on one device there, too. Then from the command to the result, an
epoch of all training images, every process with an empty cache and measured once: `main.py` with fifteen members, report and
figures; a process that trains and tests one, taken fifteen times, as a tuner would start them; and one process that trains and
tests fifteen, one after the other.
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

from bgpbt.api import make_task
from bgpbt.options import BadInput, Options, load_options
from bgpbt.population import arrange, make_programs
from bgpbt.tasks.classification import BATCH
from scripts.benchmarks import commands
from scripts.benchmarks.cases import random_trainer
from scripts.benchmarks.figures import Bar, CannotMeasure, Figure, Result, interleave, median, ratio
from scripts.benchmarks.one_network import Alone

MEMBERS, FOLDER = 15, "BGPBT_DATA_DIR"


def options_of(quick: bool) -> Options:
    """MNIST in the folder that the environment names, or digits."""
    data = {"problem": "digits"} if quick else {"problem": "mnist", "data_dir": os.environ.get(FOLDER)}
    return load_options({"task": "classification", "strategy": "random", "pop_size": 3 if quick else MEMBERS} | data)


def cold(*flags: str) -> float:
    """Seconds of a process, nothing compiled before."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-W", "ignore", *(flag.replace("FOLDER", folder) for flag in flags)]
        return commands.run(command, Path(folder) / "cache").seconds


def from_the_command(options: Options, updates: int) -> tuple[float, float, float]:
    """Seconds of the whole population's command, of a process with one member, and of one with as many, one after the other."""
    data = ["--data_dir", options.data_dir] if options.data_dir else []
    flags = ["-t", "classification", "--problem", options.problem, *data, "-o", "random", "-ps", str(options.pop_size)]
    together = cold("main.py", *flags, "-mt", str(updates), "-tr", str(updates), "--save_dir", "FOLDER/runs")
    given = {"problem": options.problem, "data_dir": options.data_dir, "updates": updates}
    alone = [json.dumps(given | {"members": members}) for members in (1, options.pop_size)]
    return together, *(cold("-m", "scripts.benchmarks.one_network", words) for words in alone)


def run(quick: bool, repeats: int, say: Callable) -> Result:
    """Interleaved repeats of the training, then the commands."""
    options = options_of(quick)
    try:
        task = make_task(options)
    except BadInput as error:
        raise CannotMeasure(f"classification needs MNIST, name its folder in {FOLDER}: {error}") from None
    number, updates = options.pop_size, 4 if quick else 75
    epoch = 4 if quick else int(np.prod(task.data["orders"].shape[1:])) // BATCH
    population = random_trainer(make_programs(task, number, arrange(number)), task, number, 0)
    alone = Alone(task, population.config)
    say(f"compiling {number} members, and one")
    cases = {"population": lambda: population.train(updates), "alone": lambda: alone.train(updates)}
    for case in cases.values():
        case()
    found = interleave(cases, repeats, say)
    bar = Bar(">=", 1 if jax.default_backend() == "cpu" else 8)
    figures = [
        *(median(f"{name}: {number} x {updates} minibatches", "s", found[name]) for name in cases),
        ratio("one after the other / in one program", found["alone"], found["population"], bar, "compiled"),
    ]
    together, one, in_turn = from_the_command(options, epoch)
    figures += [
        Figure(f"the command, {number} members, {epoch} minibatches", together, "s"),
        Figure("a process with one member", one, "s"),
        Figure(f"a process with {number}, one after the other", in_turn, "s"),
        Figure("the same / the command", in_turn / together, "x"),
        Figure(
            f"{number} processes with one / the command", number * one / together, "x", Bar(">=", 3), "nothing compiled before"
        ),
    ]
    settings = {"problem": options.problem, "members": number, "minibatches": updates, "epoch": epoch, "repeats": repeats}
    return Result("classification", settings, figures, quick)
