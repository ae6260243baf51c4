"""The Python interface: `run`, `run_seeds`, `open_run`, `dry_run`.

The command line calls the same.
"""

import contextlib
import os
import warnings
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from bgpbt.assembly.environment_contract import check_environment
from bgpbt.assembly.parts import (
    Parts,
    as_asked,
    assemble,
    make_strategy,
    make_task,
    start_engine,
)
from bgpbt.config import versions
from bgpbt.config.errors import BadInput
from bgpbt.config.options import Options
from bgpbt.config.parsers import user_file
from bgpbt.execution.devices import DeviceLayout, layout_notices
from bgpbt.execution.memory import (
    device_memory,
    estimate_memory,
    out_of_memory,
    what_fits,
)
from bgpbt.forecast import describe, make_forecast
from bgpbt.registry import ENVIRONMENTS
from bgpbt.result import Result, title_of
from bgpbt.storage.places import run_folder
from bgpbt.storage.provenance import environment, identity, recorded_task
from bgpbt.storage.run_folder import EVENTS, GIF, REPORT
from bgpbt.storage.same_task import (
    changed_files,
    check_same_task,
    with_recorded_direction,
)
from bgpbt.storage.store import RunStore
from bgpbt.storage.taking import check, outlook, take
from bgpbt.training.engine import Engine
from bgpbt.training.loop import train_population
from bgpbt.training.observer import OnRound, Round
from bgpbt.training.origin import Origin, read_origin
from bgpbt.training.report import make_report
from bgpbt.training.run_state import RunState
from bgpbt.training.state import read_state
from bgpbt.training.stop import Stop
from bgpbt.types import Strategy, Task
from bgpbt.viz.display import Display
from bgpbt.viz.formatting import format_number

__all__ = [
    "Prepared",
    "Result",
    "dry_run",
    "make_strategy",
    "make_task",
    "open_run",
    "own_lengths",
    "prepare",
    "run",
    "run_prepared",
    "run_seeds",
]

OTHER_PLACE = "give the same, another -n, or -exist overwrite"  # where runs differ


class Prepared(NamedTuple):
    """A run whose settings, parts and folders have been checked."""

    options: Options
    parts: Parts
    stores: list[RunStore]  # one for each seed
    origins: list[Origin | None]  # what new runs begin with, one for each seed


def prepare(
    options: Options, task: Task | None = None, strategy: Strategy | None = None
) -> Prepared:
    """Checks all that can be checked before a run; writes nothing.

    It compiles nothing either, but a few steps in an environment of a user's file.

    Raises:
      BadInput: settings, folders or versions cannot be used.
    """
    versions.check()
    if options.tensorboard:
        versions.check_tensorboard()
    folders = [run_folder(options, seed) for seed in options.seed]
    stores = [RunStore(folder, options.keep) for folder in folders]
    for store in stores:
        check(store, options)
    if task is not None:
        task = as_asked(options, task)
    parts = assemble(options, task, strategy)
    playback = parts.task.playback
    if options.task == "ppo" and user_file(options.env_name) and playback:
        check_environment(options.env_name, playback.env)
    if options.existing_policy == "resume":
        for store in stores:
            check_same_task(store, parts.task, OTHER_PLACE)
    if parts.task.cache is not None:
        parts.task.cache.check()
    origins = [
        _origin(options, parts, store, seed)
        for seed, store in zip(options.seed, stores, strict=True)
    ]
    return Prepared(options, parts, stores, origins)


def _origin(
    options: Options, parts: Parts, store: RunStore, seed: int
) -> Origin | None:
    """What a run begins with; None where it is fresh weights, or goes on."""
    goes_on = options.existing_policy == "resume" and store.rounds()
    if options.init_from is None or goes_on:
        return None
    folder = Path(os.path.expanduser(options.init_from))
    own = folder / f"seed_{seed}"
    folder = own if own.is_dir() else folder
    if folder.resolve() == store.path.resolve():
        raise BadInput(
            f"init_from: {folder} is the run that would be overwritten, "
            "give another -n",
            "init_from",
        )
    return read_origin(
        folder,
        parts.task,
        options.pop_size,
        of_all=options.init_members == "all",
        moments=options.init_moments,
    )


def own_lengths(prepared: Prepared) -> dict[str, int]:
    """What the environment of a prepared run says itself, by setting."""
    playback = prepared.parts.task.playback
    if playback is None:
        return {}
    env = playback.env
    return {"episode_length": env.episode_length, "action_repeat": env.action_repeat}


def run(
    options: Options,
    task: Task | None = None,
    strategy: Strategy | None = None,
    on_round: OnRound | None = None,
) -> Result:
    """Trains one population and leaves a run folder.

    Args:
      options: the settings, with one seed.
      task: instead of the one that `options` describes.
      strategy: instead of the one that `options` names.
      on_round: called with a `Round` after each, before it is saved. What is played
        again after a kill is told again. What it raises ends the run, which the same
        call continues after its last checkpoint.

    Raises:
      BadInput: settings, folder or versions cannot be used, and nothing was changed; or
        a strategy of a user's file decides what cannot be done, and the last complete
        round stays saved.
      PopulationLost: all members failed in one round; the checkpoint before it is
        usable.
      NotSaved: a round could not be written; those before it are intact.
      OutOfMemory: the devices or the machine have too little memory.
    """
    if len(options.seed) > 1:
        raise BadInput(
            f"seed: {len(options.seed)} seeds, give one or call run_seeds", "seed"
        )
    return run_seeds(options, task, strategy, on_round)[0]


def run_seeds(
    options: Options,
    task: Task | None = None,
    strategy: Strategy | None = None,
    on_round: OnRound | None = None,
) -> list[Result]:
    """`run` for every seed in turn.

    Each seed has its own folder; all share one compilation.
    """
    return run_prepared(prepare(options, task, strategy), on_round=on_round)


def run_prepared(
    prepared: Prepared, stop: Stop | None = None, on_round: OnRound | None = None
) -> list[Result]:
    """Trains what was prepared, one seed after the other.

    Args:
      prepared: the runs.
      stop: by which another thread can end them after a round.
      on_round: see `run`.
    """
    stop = stop or Stop()
    options, parts, stores, origins = prepared
    finished = [store.finished(options) for store in stores]
    engine = start_engine(parts, background=not all(finished))
    return [
        _run_seed(
            engine,
            options.model_copy(update={"seed": (seed,)}),
            store,
            origin,
            stop,
            on_round,
        )
        for seed, store, origin in zip(options.seed, stores, origins, strict=True)
    ]


def dry_run(options: Options) -> str:
    """Says what a run would do; compiles and writes nothing.

    Raises:
      BadInput: as `run`.
    """
    return describe_prepared(prepare(options))


def describe_prepared(prepared: Prepared) -> str:
    """What a prepared run would do, in words."""
    options, parts, stores, _ = prepared
    forecast = make_forecast(parts.plan, parts.task, parts.device_layout)
    outlooks = [outlook(store, options) for store in stores]
    return describe(options, parts.task, forecast, parts.device_layout, outlooks)


def _run_seed(
    engine: Engine,
    options: Options,
    store: RunStore,
    origin: Origin | None,
    stop: Stop,
    on_round: OnRound | None,
) -> Result:
    (seed,) = options.seed
    title = title_of(options, f"seed {seed}")
    with Display(title, options.max_timesteps, options.verbose) as display:
        what = identity(options, engine.task)
        check_task = partial(check_same_task, store, engine.task, OTHER_PLACE)
        lines = take(store, options, what, check_task)
        for line in (*lines, *changed_files(store, what["files"])):
            display.notice(line)
        finished = store.finished(options)
        for line in store.faults().values() if finished else ():
            display.notice(f"{line}: its weights are lost")
        with out_of_memory(partial(_what_fits, engine)):
            if finished:
                load = partial(_load, store, options, engine)
                result = _result(store, options, engine.task, load, display.notice)
            else:
                with _event_files(options, store, engine) as writer:
                    told = _all_told(on_round, writer)
                    result = _train(engine, options, store, origin, display, stop, told)
            display.phase("drawing")
            pictures = result.draw()
            pictures += _film(result, new=not finished)
        lines = [f"  {path}" for path in pictures]
        display.done([*summary(result.report), *lines])
    return result


def _train(
    engine: Engine,
    options: Options,
    store: RunStore,
    origin: Origin | None,
    display: Display,
    stop: Stop,
    on_round: OnRound | None,
) -> Result:
    versions_and_devices = environment(options, engine.device_layout)
    changes = store.record_environment(versions_and_devices)
    asked = options.max_parallel, options.devices
    notices = layout_notices(engine.device_layout, options.pop_size, *asked)
    for line in (*changes, *notices):
        display.notice(line)
    if origin is not None:
        display.notice(f"the weights come from {origin.words}")
    seed = options.seed[0]
    state = train_population(engine, seed, store, display, stop, origin, on_round)
    display.phase("evaluating", "for the report")
    report = make_report(engine, state)
    store.write_json(REPORT, report)
    # What is lost of the records was said at the resume.
    return _result(store, options, engine.task, lambda: state, lambda line: None)


@contextlib.contextmanager
def _event_files(
    options: Options, store: RunStore, engine: Engine
) -> Generator[OnRound | None]:
    """What writes event files, where that is asked for."""
    if not options.tensorboard:
        yield None
        return
    from bgpbt.event_files import EventWriter

    writer = EventWriter(store.path / EVENTS, engine.task.space)
    with contextlib.closing(writer):
        yield writer


def _all_told(*callbacks: OnRound | None) -> OnRound | None:
    """One callback for several, of which some may be none."""
    given = [callback for callback in callbacks if callback is not None]

    def tell(round_: Round) -> None:
        for callback in given:
            callback(round_)

    return tell if given else None


def _what_fits(engine: Engine) -> str:
    """Advice where memory is not enough."""
    plan = engine.plan
    members = max(plan.pop_size, plan.candidates)

    def estimate(layout: DeviceLayout) -> int:
        return estimate_memory(plan.pop_size, engine.task, layout, members)

    return what_fits(estimate, engine.device_layout, device_memory())


def _film(result: Result, *, new: bool) -> list[Path]:
    """The moving picture, where there is one; that of a finished run stays."""
    if not (result.options.render and result.has_renderer):
        return []
    path = result.path / GIF
    return [result.render() if new or not path.exists() else path]


def summary(report: dict[str, Any] | None) -> list[str]:
    """The final report in words; nothing where there is none."""
    if report is None:
        return []
    kind = "parts of unseen data" if report.get("unseen") else "fresh episodes"
    trained, untrained = (
        _mean_and_sd(report[f"{prefix}mean"], report[f"{prefix}sd"])
        for prefix in ("", "untrained_")
    )
    return [
        f"best untrained member: {untrained} on {kind}",
        f"reported member {report['member']} of round {report['round']}: {trained} "
        f"on {report['episodes']} {kind}",
    ]


def _mean_and_sd(mean: float, sd: float | None) -> str:
    """A mean with its standard deviation, which one return does not have."""
    spread = "" if sd is None else f" (sd {format_number(sd)})"
    return format_number(mean) + spread


def _result(
    store: RunStore,
    options: Options,
    task: Task,
    load: Callable[[], RunState],
    tell: Callable[[str], None],
) -> Result:
    records, lost = store.records()
    for line in lost:
        tell(line)
    return Result(options, store.path, records, store.read_json(REPORT), task, load)


def open_run(
    path: str | Path,
    task: Task | None = None,
    strategy: Strategy | None = None,
    *,
    run_files: bool = False,
) -> Result:
    """Opens a run folder, finished or not; changes nothing there.

    A run may be a stranger's, and its settings may name any Python file. Records,
    report and figures open without it.

    Args:
      path: the folder of one seed.
      task: that of the run, where it was not the one that its settings describe.
      strategy: likewise.
      run_files: the files that its settings name may be run.

    Raises:
      BadInput: the folder holds no run, or one of a format that is not known here.
    """
    store = RunStore(Path(path))
    if not store.rounds():
        raise BadInput(
            f"{path} holds no run with a finished round, "
            "give a folder such as runs/.../seed_0"
        )
    store.check_schema()
    options = store.options()
    given = {"task", "env_name"} if task else set()
    given |= {"strategy"} if strategy else set()
    problem = "" if run_files else _names_files(store, options, given)
    if task is not None:
        task = as_asked(options, task)
    elif problem:
        task = _recorded_task(store, problem)
    else:
        task = _task_of(store, options)
    task = with_recorded_direction(store, task)

    def load() -> RunState:
        if problem:
            raise BadInput(problem)
        check_same_task(store, task, "its weights belong to what is there")
        parts = assemble(options, task, strategy)
        return _load(store, options, start_engine(parts, background=False))

    def tell(line: str) -> None:
        warnings.warn(f"{store.path}: {line}", stacklevel=4)

    return _result(store, options, task, load, tell)


def _names_files(store: RunStore, options: Options, given: set[str]) -> str:
    """Which files of a person's a run needs to be loaded, in words; "" for none."""
    needed = {"task", "strategy"} | ({"env_name"} if options.task == "ppo" else set())
    words = {name: getattr(options, name) for name in sorted(needed - given)}
    files = [f"{name} {word}" for name, word in words.items() if user_file(word)]
    if not files:
        return ""
    return (
        f"{store.path}: its settings name Python files ({', '.join(files)}); look at "
        "them, then have them run with --run_files, or run_files=True in Python"
    )


def _task_of(store: RunStore, options: Options) -> Task:
    """The task of a run; what the run itself knows of it where its file is gone."""
    try:
        return make_task(options)
    except BadInput as error:
        in_agents = options.task == "ppo"
        is_own = user_file(options.task) or (
            in_agents and options.env_name not in ENVIRONMENTS
        )
        if not is_own:
            raise
        task = _recorded_task(store, str(error))
        warnings.warn(
            f"{error}; records and figures open without it, weights do not",
            stacklevel=3,
        )
        return task


def _recorded_task(store: RunStore, problem: str) -> Task:
    """What a run itself knows of its task; raises BadInput where that is nothing."""
    content = store.identity()
    if content is None or content.get("space") is None:
        raise BadInput(problem)
    return recorded_task(content, problem)


def _load(store: RunStore, options: Options, engine: Engine) -> RunState:
    """The state of the last checkpoint that can be used."""
    (seed,) = options.seed
    restored = store.restore(partial(read_state, engine, seed, store))
    for line in restored.notices:
        warnings.warn(f"{store.path}: {line}", stacklevel=4)
    return restored.state
