"""A process takes the folder of a run: whether it may, and what it does then."""

import re
import shutil
from collections.abc import Callable
from typing import Any

from bgpbt.config.errors import BadInput, NotSaved
from bgpbt.config.options import Options
from bgpbt.config.settings import base_name
from bgpbt.files import make_folder, read_json, why, write, write_json
from bgpbt.lock import check_free, lock
from bgpbt.storage import forms
from bgpbt.storage.length import change_length, check_length
from bgpbt.storage.places import (
    check_clock,
    check_handles,
    check_readable,
    check_writable,
)
from bgpbt.storage.provenance import file_hashes
from bgpbt.storage.run_folder import (
    EVENTS,
    EXPERIMENTS,
    FILES,
    LOCK,
    MUTABLE_ON_RESUME,
    OF_EXPERIMENTS,
    OPTIONS,
    RESULTS,
    RUN,
    RunFolder,
)

_ENDINGS = ("", ".partial", ".damaged")  # of what stands beside a file
_SHORTER = re.compile(r"report_\d+\.json")  # of a run that was made longer since


def check(folder: RunFolder, options: Options) -> None:
    """Whether a folder can be used as asked; changes nothing.

    A folder to resume must hold the same settings, one to overwrite must be a run.
    Every folder must be writable, with some space left, and nobody else's at work.

    Raises:
      BadInput: it cannot.
    """
    check_clock()
    check_handles()
    check_writable(folder.path)
    check_readable(folder.checkpoints)
    _check_files(folder)
    folder.check_schema()
    if options.existing_policy == "overwrite":
        _check_overwrite(folder)
    elif folder.rounds():
        _check_same(folder, options)
    elif not folder.removed.exists():
        _check_nothing_is_left(folder)
    check_free(folder.path / LOCK)


def _check_files(folder: RunFolder) -> None:
    """Raises BadInput where a file of the run lies elsewhere, or is none."""
    names = (*FILES, LOCK, folder.checkpoints.name, folder.removed.name)
    files = [folder.path / f"{name}{end}" for name in names for end in _ENDINGS]
    for path in [*files, *folder.checkpoints.glob("round_*")]:
        if path.is_symlink():
            raise BadInput(
                f"save_dir: {path} is a link, a run has all its files in its "
                "folder; give another -n",
                "save_dir",
            )
    for path in (folder.path / name for name in FILES):
        if path.exists() and not path.is_file():
            raise BadInput(
                f"save_dir: {path} is no file, move it away or give another -n",
                "save_dir",
            )


def _check_overwrite(folder: RunFolder) -> None:
    """Raises BadInput where the folder is none of a run."""
    if folder.path.is_symlink():
        raise BadInput(
            f"save_dir: {folder.path} is a link, give the folder to overwrite",
            "save_dir",
        )
    files = folder.path.glob("*")
    if not _is_run(folder) and any(path.name != LOCK for path in files):
        raise BadInput(
            f"{folder.path} holds files but no run, nothing was removed; "
            "give another -n",
            "existing_policy",
        )


def _is_run(folder: RunFolder) -> bool:
    """Whether there is a run, or what is left of one."""
    names = (RUN, OPTIONS, folder.checkpoints.name, folder.removed.name)
    return any((folder.path / name).exists() for name in names)


def _check_same(folder: RunFolder, options: Options) -> None:
    """Raises BadInput where the run has other settings."""
    before = folder.options()
    reached = max(map(folder.timesteps, folder.rounds()))
    check_length(folder.path, before, options, reached)
    saved = before.with_absolute_paths().model_dump()
    wanted = options.with_absolute_paths().model_dump()
    # A file that was moved, its text unchanged, is the same file.
    hashes = (folder.identity() or {}).get("files", {})
    for name, digest in file_hashes(options).items():
        same_function = base_name(saved[name]) == base_name(wanted[name])
        if same_function and hashes.get(name) == digest:
            saved[name] = wanted[name]
    differ = [
        f"{name} {saved[name]} there, {wanted[name]} here"
        for name in wanted
        if name not in MUTABLE_ON_RESUME and saved[name] != wanted[name]
    ]
    if differ:
        raise BadInput(
            f"{folder.path} holds a run of other settings ({'; '.join(differ)}); "
            "give the same, another -n, or -exist overwrite",
            "existing_policy",
        )


def _check_nothing_is_left(folder: RunFolder) -> None:
    """Raises BadInput where there are results, which a new run would replace.

    What networks are worth is none where a run has begun there: it ended before its
    first round was saved, and begins anew.
    """
    own = (EXPERIMENTS, OF_EXPERIMENTS) if (folder.path / RUN).exists() else ()
    names = [name for name in RESULTS if name not in own]
    if left := [name for name in names if (folder.path / name).exists()]:
        raise BadInput(
            f"{folder.path} holds {', '.join(left)} but no checkpoint to go on from; "
            "nothing was removed: give another -n, or -exist overwrite",
            "existing_policy",
        )


def outlook(folder: RunFolder, options: Options) -> str:
    """What `take` does with a folder, in words."""
    rounds = folder.rounds()
    reached = f"round {rounds[-1]}" if rounds else "no round finished"
    if _is_run(folder) and options.existing_policy == "overwrite":
        return f"overwrite: the run in {folder.path} ({reached}) is removed"
    if folder.finished(options):
        return (
            f"finished: only the figures of the run in {folder.path} ({reached}) "
            "are drawn again"
        )
    if rounds:
        return f"resume: the run in {folder.path} ({reached})"
    nothing = "nothing to resume, " if options.existing_policy == "resume" else ""
    return f"{nothing}new run in {folder.path}"


def take(
    folder: RunFolder,
    options: Options,
    what: dict[str, Any],
    check_task: Callable[[], None] = lambda: None,
) -> list[str]:
    """Takes a folder for this process; begins a run where none goes on.

    Another process may have made a run there since `check`, so it is checked again.

    Args:
      folder: that of the run.
      options: the settings.
      what: the content of a new run's `run.json`.
      check_task: raises BadInput where a run there is of another task.

    Returns:
      What was done, a line for each: `outlook`, and what was mended.

    Raises:
      BadInput: it cannot be used, see `check`.
      NotSaved: the folder cannot be written.
    """
    try:
        make_folder(folder.path)
        lock(folder.path / LOCK)
        check(folder, options)
        lines = [outlook(folder, options)]
        if options.existing_policy == "resume" and folder.rounds():
            check_task()
            lines += [*_mend(folder), *change_length(folder, options)]
        else:
            _begin(folder, options, what)
        folder.held = _whole_files(folder)
    except OSError as error:
        raise NotSaved(f"{folder.path} could not be written: {why(error)}") from error
    return lines


def _whole_files(folder: RunFolder) -> dict[str, bytes]:
    """The small files of the run; `run.json` only where it is undamaged."""
    is_whole = read_json(folder.path / RUN, forms.Run) is not None
    names = [*([RUN] if is_whole else []), OPTIONS]
    return {name: (folder.path / name).read_bytes() for name in names}


def _begin(folder: RunFolder, options: Options, what: dict[str, Any]) -> None:
    """Removes what a run before has left, and says what the new one is.

    Wherever a kill ends this, the next call begins anew.
    """
    shutil.rmtree(folder.removed, ignore_errors=True)
    if folder.checkpoints.exists():
        folder.checkpoints.rename(folder.removed)
    shorter = [p.name for p in folder.path.iterdir() if _SHORTER.fullmatch(p.name)]
    for name in (*FILES, *shorter):
        for end in _ENDINGS:
            (folder.path / f"{name}{end}").unlink(missing_ok=True)
    shutil.rmtree(folder.path / EVENTS, ignore_errors=True)
    write_json(folder.path / RUN, what)
    # Whoever repeats the run with `-c` must ask again before anything is removed.
    saved = options.model_copy(update={"existing_policy": "resume"})
    write(folder.path / OPTIONS, saved.with_absolute_paths().to_yaml())
    make_folder(folder.checkpoints)
    shutil.rmtree(folder.removed, ignore_errors=True)


def _mend(folder: RunFolder) -> list[str]:
    """Removes what a kill left half-written, and puts copies in damaged files' places.

    Returns:
      Which files were damaged, a line for each.
    """
    for partial in folder.checkpoints.glob("round_*.partial"):
        shutil.rmtree(partial, ignore_errors=True)
    run = folder.path / RUN
    is_whole = read_json(run, forms.Run) is not None
    of_run = run if is_whole else next(folder.copies(RUN), None)
    wholes = {RUN: of_run, OPTIONS: folder.whole_options()}
    lines = []
    for name, whole in wholes.items():
        place = folder.path / name
        if whole == place:
            continue
        problem = "is damaged" if place.exists() else "is gone"
        if whole is None:
            lines.append(f"{place} {problem}, and no checkpoint has a copy")
            continue
        write(place, whole.read_bytes())
        lines.append(f"{place} {problem}: that in {whole.parent} is used")
    return lines
