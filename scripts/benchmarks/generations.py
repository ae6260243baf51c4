"""What generations cost, and where the time of a whole run goes.

A round of distillation stands beside an ordinary one. Students and ordinary members
have the same configurations and networks, the latter once with their own epochs of 2 to
16 and once with a student's 4, so that what the teacher costs shows by itself. The
candidates of a generation are drawn from the whole architecture space, and train once
in groups sorted by size, each in the smallest padding that holds it, and once all in
the largest padding. The whole run is `-sm both` with one new generation in the small
space.
"""

import contextlib
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import numpy as np

from bgpbt import space as spaces
from bgpbt.assembly.parts import assemble, start_engine
from bgpbt.config.options import Options
from bgpbt.storage.provenance import identity
from bgpbt.storage.store import RunStore
from bgpbt.storage.taking import take
from bgpbt.tasks.distillation import HYPERPARAMS
from bgpbt.training import loop, transition
from bgpbt.training.engine import Engine
from bgpbt.training.groups import (
    draw_configs,
    each_group,
    group_by_padding,
    initialise,
    pick,
    with_padding,
)
from bgpbt.training.stop import Stop
from bgpbt.types import Distillation
from bgpbt.viz.display import Display
from scripts.benchmarks.cases import small_options
from scripts.benchmarks.control import waits_like
from scripts.benchmarks.figures import Figure, Result, interleave, median, ratio

REPEATS = 3
SETTINGS = {"strategy": "bgpbt", "search_mode": "both"}
PARTS = ("train", "evaluate", "control", "compile", "save")
# Fields of `Programs`, and the part that each belongs to.
PROGRAMS = {"train": "train", "distil": "train", "evaluate": "evaluate"}


def run(quick: bool, repeats: int, say: Callable) -> Result:
    """Measures distilling, grouping, and a whole run."""
    space = {"arch_space": "small"} if quick else {}
    options = small_options(quick, **SETTINGS, **space)
    number = 3 * options.pop_size
    updates = 2 if quick else 8
    figures = [
        *distillation_figures(options, number, updates, repeats, say),
        *whole_run_figures(quick, say),
    ]
    settings = {
        "members": options.pop_size,
        "candidates": number,
        "updates": updates,
        "repeats": repeats,
    }
    return Result("generations", settings, figures, quick)


class Candidates:
    """Candidates in groups that train together, with or without a teacher."""

    def __init__(self, engine: Engine, config: np.ndarray, *, sort: bool):
        """Draws their weights.

        Args:
          engine: the programs.
          config: shape `[m, D]`.
          sort: each group has the smallest padding that holds it; False: the largest.
        """
        self.engine = engine
        self.round = 0
        largest = len(engine.tasks) - 1
        grouped = group_by_padding(engine, config)
        self.config = grouped.config
        self.active = grouped.active
        paddings = grouped.paddings
        self.paddings = paddings if sort else np.full(len(paddings), largest)
        self.groups = initialise(engine, 0, 0, self.paddings, self.config)
        teacher = with_padding(engine, pick(engine, self.groups, 0), largest)
        self.teaching = Distillation(
            teacher, self.config[0], np.float32(0), np.float32(1e9)
        )

    def train(
        self, updates: int, *, distils: bool, config: np.ndarray | None = None
    ) -> float:
        """Environment steps of training per second.

        Args:
          updates: of each candidate.
          distils: with the teacher.
          config: instead of the candidates' own. Shape `[M, D]`.
        """
        self.round += 1
        config = self.config if config is None else config
        scalars = np.uint32(0), np.int32(self.round), np.int32(updates)
        began = time.monotonic()
        trained = []
        for padding, slots, group in each_group(
            self.engine, self.paddings, self.groups
        ):
            programs = self.engine.programs[padding]
            members = slots.astype(np.int32), self.active[slots]
            arguments = (*scalars, *members, group, config[slots], ())
            if distils:
                group, _ = programs.distil(*arguments, self.teaching)
            else:
                group, _ = programs.train(*arguments)
            trained.append(group)
        self.groups = tuple(jax.block_until_ready(trained))
        steps = updates * self.engine.task.timesteps_per_update
        return int(self.active.sum()) * steps / (time.monotonic() - began)


def with_epochs_of_a_student(candidates: Candidates) -> np.ndarray:
    """The candidates' configurations with a student's epochs and learning rate."""
    space = candidates.engine.task.space
    config = candidates.config.copy()
    for name, value in HYPERPARAMS.items():
        column = list(space).index(name)
        config[:, column] = spaces.encode_dimension(space[name], value)
    return config


def distillation_figures(
    options: Options, number: int, updates: int, repeats: int, say: Callable
) -> list[Figure]:
    """Training beside distilling, and groups by size beside the largest padding."""
    engine = start_engine(assemble(options), background=False)
    config = draw_configs(engine, 0, number)
    say(f"{number} candidates: compiling a program for each size")
    by_size = Candidates(engine, config, sort=True)
    in_largest = Candidates(engine, config, sort=False)
    cases = {
        "training": lambda: by_size.train(updates, distils=False),
        "with a student's epochs": lambda: by_size.train(
            updates, distils=False, config=with_epochs_of_a_student(by_size)
        ),
        "distilling": lambda: by_size.train(updates, distils=True),
        "in the largest size": lambda: in_largest.train(updates, distils=False),
    }
    for case in cases.values():
        case()
    rates = interleave(cases, repeats, say)
    training, alike, distilling, largest = (rates[name] for name in cases)
    costs, rate = "a step of distillation costs", "steps/s"
    teacher = "what the teacher costs"
    return [
        median("training, groups sorted by size", rate, training),
        median("the same with a student's epochs", rate, alike),
        median("distilling, the same", rate, distilling),
        ratio(costs, training, distilling, note="steps of training"),
        ratio("the same, epochs alike", alike, distilling, note=teacher),
        median("training, all in the largest size", rate, largest),
        ratio("sorted by size / all in the largest", training, largest),
    ]


def whole_run_figures(quick: bool, say: Callable) -> list[Figure]:
    """Seconds of each part of a run with one new generation."""
    steps = 3_000 if quick else 100_000
    options = small_options(
        quick,
        **SETTINGS,
        arch_space="small",
        max_distillation=1,
        t_ready=steps // 3,
        max_timesteps=3 * steps,
        distill_every=steps,
        t_distillation=steps,
    )
    say(f"a whole run with one new generation, {3 * steps:,} steps of a member")
    with tempfile.TemporaryDirectory() as folder:
        spent = whole_run(options, Path(folder) / "run")
    total = sum(spent.values())
    return [
        median(
            f"whole run: {name}",
            "s",
            [spent[name]],
            note=f"{100 * spent[name] / total:.0f} %",
        )
        for name in PARTS
    ]


def whole_run(options: Options, folder: Path) -> Counter:
    """Seconds of a run by part, see `PARTS`."""
    spent = Counter()
    engine = start_engine(assemble(options))
    programs = tuple(
        p._replace(
            **{
                field: _timed(spent, name, getattr(p, field))
                for field, name in PROGRAMS.items()
            }
        )
        for p in engine.programs
    )
    engine = engine._replace(programs=programs)
    store = RunStore(folder)
    take(store, options, identity(options, engine.task))
    store.save = _timed(spent, "save", store.save)
    began = time.monotonic()
    with _timed_compilation(spent):
        with Display("generations", options.max_timesteps) as display:
            loop.train_population(engine, 0, store, display, Stop())
    spent["control"] = time.monotonic() - began - sum(spent.values())
    return spent


def _timed(spent: Counter, name: str, f: Callable) -> Callable:
    def call(*args, **kwargs):
        began = time.monotonic()
        out = jax.block_until_ready(f(*args, **kwargs))
        spent[name] += time.monotonic() - began
        return out

    return waits_like(call, f)


@contextlib.contextmanager
def _timed_compilation(spent: Counter) -> Iterator[None]:
    """Counts what the loop waits for programs."""
    compile_for = loop.compile_for
    timed = _timed(spent, "compile", compile_for)
    loop.compile_for = transition.compile_for = timed
    try:
        yield
    finally:
        loop.compile_for = transition.compile_for = compile_for
