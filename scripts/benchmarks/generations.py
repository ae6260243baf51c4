"""What generations cost: a round of distillation beside an ordinary one, grouping by size, a whole run part by part.

Students and ordinary members have the same configurations and networks, the latter once with their own epochs of 2 to 16 and
once with a student's 4, so that what the teacher costs shows by itself. The candidates of a generation are drawn from the
whole architecture space, and train once in groups sorted by size, each in the smallest padding that holds it, and once all
in the largest padding. The whole run is `-sm both` with one new generation in the small space.
"""

import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

from bgpbt import controller, succession
from bgpbt import space as spaces
from bgpbt.api import make_strategy, make_task
from bgpbt.controller import train_population
from bgpbt.display import Display
from bgpbt.engine import draw_configs, in_size, initialise, into_groups, make_engine
from bgpbt.population import arrange
from bgpbt.store import RunStore
from bgpbt.tasks.distillation import HYPERPARAMS
from bgpbt.types import Lesson
from scripts.benchmarks.cases import small_options
from scripts.benchmarks.figures import Result, interleave, median, ratio

REPEATS = 3


class Candidates:
    """Candidates in groups that train together, with or without a teacher."""

    def __init__(self, engine, config: np.ndarray, *, sort: bool):
        self.engine, self.round = engine, 0
        order, sizes, self.active = into_groups(engine, config)
        self.config, self.sizes = config[order], sizes if sort else np.full(len(sizes), len(engine.tasks) - 1)
        self.groups = list(initialise(engine, 0, 0, self.sizes, self.config))
        teacher = in_size(engine, engine.programs[0].pick(self.groups[0], np.int32(0)), len(engine.tasks) - 1)
        self.lesson = Lesson(teacher, self.config[0], np.float32(0), np.float32(1e9))

    def train(self, updates: int, *, taught: bool, config: np.ndarray | None = None) -> float:
        """Environment steps of training per second; with `config` in place of the candidates' own."""
        self.round, config = self.round + 1, self.config if config is None else config
        began = time.monotonic()
        for g, (size, slots) in enumerate(zip(self.sizes, np.split(np.arange(len(self.config)), len(self.sizes)), strict=True)):
            programs = self.engine.programs[size]
            head = (np.uint32(0), np.int32(self.round), np.int32(updates), slots.astype(np.int32), self.active[slots])
            arguments = (*head, self.groups[g], config[slots], ())
            self.groups[g], _ = programs.distil(*arguments, self.lesson) if taught else programs.train(*arguments)
        jax.block_until_ready(self.groups)
        return int(self.active.sum()) * updates * self.engine.task.timesteps_per_update / (time.monotonic() - began)


def with_epochs_of_a_student(candidates: Candidates) -> np.ndarray:
    """The candidates' configurations, but for the epochs and the learning rate, which are a student's."""
    space, config = candidates.engine.task.space, candidates.config.copy()
    for name, value in HYPERPARAMS.items():
        config[:, list(space).index(name)] = spaces.encode_dimension(space[name], value)
    return config


def whole_run(options, folder: Path) -> Counter:
    """Seconds of a run by part: train, evaluate, control, compile, save."""
    spent, task = Counter(), make_task(options)
    engine = make_engine(options, task, make_strategy(options, task), arrange(options.pop_size))

    def timed(name: str, f: Callable) -> Callable:
        def call(*args, **kwargs):
            began = time.monotonic()
            out = jax.block_until_ready(f(*args, **kwargs))
            spent[name] += time.monotonic() - began
            return out

        for attribute in ("begin", "wait", "ready"):
            setattr(call, attribute, getattr(f, attribute, None))
        return call

    names = {"train": "train", "distil": "train", "evaluate": "evaluate"}
    programs = tuple(
        p._replace(**{field: timed(name, getattr(p, field)) for field, name in names.items()}) for p in engine.programs
    )
    store = RunStore(folder)
    store.open(options)
    store.save = timed("save", store.save)
    compile_for = controller.compile_for
    controller.compile_for = succession.compile_for = timed("compile", compile_for)
    began = time.monotonic()
    try:
        with Display("generations", options.max_timesteps) as display:
            train_population(engine._replace(programs=programs), 0, store, display)
    finally:
        controller.compile_for = succession.compile_for = compile_for
    spent["control"] = time.monotonic() - began - sum(spent.values())
    return spent


def run(quick: bool, repeats: int, say: Callable) -> Result:
    """Measures distilling, grouping, and a whole run."""
    updates, both = 2 if quick else 8, {"strategy": "bgpbt", "search_mode": "both"}
    options = small_options(quick, **both)
    number = 3 * options.pop_size
    task = make_task(options)
    engine = make_engine(options, task, make_strategy(options, task), arrange(options.pop_size), ahead=False)
    config = draw_configs(engine, 0, number)
    say(f"{number} candidates: compiling a program for each size")
    by_size, at_most = (Candidates(engine, config, sort=sort) for sort in (True, False))
    cases = {
        "training": lambda: by_size.train(updates, taught=False),
        "with a student's epochs": lambda: by_size.train(updates, taught=False, config=with_epochs_of_a_student(by_size)),
        "distilling": lambda: by_size.train(updates, taught=True),
        "in the largest size": lambda: at_most.train(updates, taught=False),
    }
    for case in cases.values():
        case()
    found = interleave(cases, repeats, say)
    steps = 3_000 if quick else 100_000
    plan = {"arch_space": "small", "max_distillation": 1, "t_ready": steps // 3}
    plan |= {"max_timesteps": 3 * steps, "distill_every": steps, "t_distillation": steps}
    say(f"a whole run with one new generation, {3 * steps:,} steps of a member")
    with tempfile.TemporaryDirectory() as folder:
        whole = small_options(quick, **both, **plan)
        spent = whole_run(whole, Path(folder) / "run")
    total = sum(spent.values())
    figures = [
        median("training, groups sorted by size", "steps/s", found["training"]),
        median("the same with a student's epochs", "steps/s", found["with a student's epochs"]),
        median("distilling, the same", "steps/s", found["distilling"]),
        ratio("a step of distillation costs", found["training"], found["distilling"], note="steps of training"),
        ratio("the same, epochs alike", found["with a student's epochs"], found["distilling"], note="what the teacher costs"),
        median("training, all in the largest size", "steps/s", found["in the largest size"]),
        ratio("sorted by size / all in the largest", found["training"], found["in the largest size"]),
        *(
            median(f"whole run: {name}", "s", [spent[name]], note=f"{100 * spent[name] / total:.0f} %")
            for name in ("train", "evaluate", "control", "compile", "save")
        ),
    ]
    settings = {"members": options.pop_size, "candidates": number, "updates": updates, "repeats": repeats}
    return Result("generations", settings, figures, quick)
