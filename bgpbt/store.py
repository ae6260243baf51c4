"""A run on disk: settings, records, the last two checkpoints, figures. The only module that knows Orbax.

    options.yaml          the settings, which `-c` repeats
    records.csv           one row per round and member, appended
    checkpoints/round_N   `RunState` after round N, its layout and the records of that round; the last two complete ones
    report.json           the final evaluation on fresh episodes
    *.png, *.gif          pictures

A checkpoint commits by a rename, before its records are appended; at resume the records are cut to the checkpoint's
round, and rows that a kill left out are taken from the checkpoint.
"""

import contextlib
import hashlib
import io
import json
import logging
import math
import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pandas as pd

from bgpbt.options import BadInput, Options, load_options, short
from bgpbt.types import RunState

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None

KEPT = 2
LOCK = ".lock"
_HELD: list[io.TextIOBase] = []
CHECKSUMS, LAYOUT = "checksums.json", "layout.json"
# Settings that may differ when a run is continued: they change no bit of a member (devices and chunk do, by rounding).
FREE = {"existing_policy", "verbose", "save_dir", "exp_name", "no_cache", "render", "seed", "report_episodes"}


def folder(options: Options, seed: int) -> Path:
    """Where a run lives: `save_dir/[exp_name/]env_backend_strategy_mode/seed_N`, of other tasks `task_problem_strategy_mode`."""
    backend = [options.backend] if options.task == "ppo" else []
    name = "_".join([options.subject, *backend, short(options.strategy), options.search_mode])
    if options.freeze:
        name += f"_frozen_{options.freeze}"
    parts = [options.exp_name] if options.exp_name else []
    try:
        base = Path(options.save_dir).expanduser()
    except RuntimeError as error:
        raise BadInput(f"save_dir: {options.save_dir}: {error}, give another folder", "save_dir") from None
    return base.joinpath(*parts, name, f"seed_{seed}")


class RunStore:
    """The folder of one run (one seed)."""

    def __init__(self, path: Path):
        self.path = Path(path)
        self.checkpoints = self.path / "checkpoints"

    def check(self, options: Options) -> None:
        """Raises BadInput where the folder cannot be used as asked; changes nothing.

        A folder to resume must hold the same settings, one to overwrite must be a run; every folder must be writable, with
        some space left, and nobody else's at work.
        """
        try:
            self.path.stat()
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            pass  # the nearest folder above answers
        except (OSError, ValueError) as error:  # too long a name, a loop of links, a null byte
            why = getattr(error, "strerror", None) or error
            raise BadInput(f"save_dir: {str(self.path)[:80]!r}: {why}, give another folder", "save_dir") from None
        if lost := [p for p in (self.path, *self.path.parents) if os.path.islink(p) and not os.path.exists(p)]:
            raise BadInput(f"save_dir: {lost[0]} is a link to nothing, give a folder", "save_dir")
        if os.path.islink(self.path) and options.existing_policy == "overwrite":
            raise BadInput(f"save_dir: {self.path} is a link, give the folder to overwrite", "save_dir")
        above = next(p for p in (self.path, *self.path.resolve().parents) if os.path.exists(p))
        if not above.is_dir():
            raise BadInput(f"save_dir: {above} is a file, give a folder", "save_dir")
        if not os.access(above, os.W_OK | os.X_OK):
            raise BadInput(f"save_dir: no permission to write in {above}, give another folder", "save_dir")
        if shutil.disk_usage(above).free < 50_000_000:
            raise BadInput(f"save_dir: less than 50 MB are free in {above}, give another folder", "save_dir")
        has_settings = (self.path / "options.yaml").exists()
        if options.existing_policy == "resume" and has_settings:
            self._check_same(options)
        elif options.existing_policy == "resume" and self.rounds():
            text = f"{self.path} holds checkpoints but no options.yaml that says of what, give another -n"
            raise BadInput(text, "existing_policy")
        elif options.existing_policy == "overwrite" and not has_settings and self.path.is_dir() and any(self.path.iterdir()):
            raise BadInput(f"{self.path} holds files but no run, nothing was removed; give another -n", "existing_policy")
        self._lock(create=False)

    def _lock(self, *, create: bool) -> None:
        """Takes the run for this process, which keeps it to its end, however that comes. Raises BadInput if another has it."""
        if fcntl is None or not (create or (self.path / LOCK).exists()):
            return
        handle = open(self.path / LOCK, "a")
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            handle.close()
            raise BadInput(f"another process is at work in {self.path}, wait for it or give another -n", "save_dir") from None
        except OSError:
            pass  # a file system without locks
        _HELD.append(handle)  # a closed file is no longer locked

    def _check_same(self, options: Options) -> None:
        saved = load_options({}, self.path / "options.yaml").model_dump()
        here = options.model_dump()
        differ = [
            f"{name} {saved[name]} there, {here[name]} here" for name in here if name not in FREE and saved[name] != here[name]
        ]
        if differ:
            advice = "give the same, another -n, or -exist overwrite"
            raise BadInput(f"{self.path} holds a run of other settings ({'; '.join(differ)}); {advice}", "existing_policy")

    def finished(self, options: Options) -> bool:
        """Whether the run to resume has come to its end, and its report has as many episodes as are asked for."""
        report = self.read_json("report.json") if options.existing_policy == "resume" else None
        return report is not None and (report["episodes"] >= options.report_episodes or report.get("unseen", False))

    def outlook(self, options: Options) -> str:
        """What `open` does with the folder, in words."""
        reached = f"round {self.rounds()[-1]}" if self.rounds() else "no round finished"
        if self.path.exists() and options.existing_policy == "overwrite":
            return f"overwrite: the run in {self.path} ({reached}) is removed"
        if self.finished(options):
            return f"finished: the run in {self.path} ({reached}) is only drawn again"
        if self.rounds():
            return f"resume: the run in {self.path} ({reached})"
        return f"{'nothing to resume, ' if options.existing_policy == 'resume' else ''}new run in {self.path}"

    def open(self, options: Options) -> str:
        """Creates or clears the folder and saves the settings. Returns `outlook`."""
        self._lock(create=False)  # again: others may have begun since `check`
        line = self.outlook(options)
        if self.path.exists() and options.existing_policy == "overwrite":
            shutil.rmtree(self.path)
        goes_on = bool(self.rounds())
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        self._lock(create=True)
        if not goes_on:  # whoever repeats the run with `-c` must ask again before anything is removed
            options.model_copy(update={"existing_policy": "resume"}).save(self.path / "options.yaml")
        return line

    def stamp(self, environment: dict) -> list[str]:
        """Saves versions and devices; says what has changed since a run to be resumed began."""
        before = self.read_json("environment.json")
        if before is None:
            self.write_json("environment.json", environment)
            return []
        return [
            f"{name} was {before.get(name)} and is {now}: the run goes on, but not to the same bits"
            for name, now in environment.items()
            if before.get(name) != now
        ]

    def rounds(self) -> list[int]:
        """Rounds with a committed checkpoint, ascending."""
        found = self.checkpoints.glob("round_*") if self.checkpoints.is_dir() else []
        return sorted(int(p.name[6:]) for p in found if p.name[6:].isdigit())

    def save(self, state: RunState, rows: pd.DataFrame, layout: dict) -> None:
        """Commits a checkpoint with the rows of its round, appends these, and drops all checkpoints but the last two.

        Args:
          state: all that the next round depends on.
          rows: the records of the round.
          layout: what decides the shapes of the state, in words of JSON.
        """
        final = self._checkpoint(int(state.progress.round))
        beside = final.with_suffix(".partial")
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir()
        rows.to_csv(beside / "rows.csv", index=False)
        _write_json(beside / LAYOUT, layout)
        with _quiet_orbax() as ocp:
            ocp.save((beside / "state").resolve(), _named(state))
        _write_json(beside / CHECKSUMS, _checksums(beside))
        os.replace(beside, final)
        rows.to_csv(self.path / "records.csv", mode="a", header=not (self.path / "records.csv").exists(), index=False)
        for old in self.rounds()[:-KEPT]:
            shutil.rmtree(self._checkpoint(old))

    def restore(self, like: Callable[[dict], RunState]) -> tuple[RunState | None, list[str]]:
        """The last undamaged checkpoint, or None; records and checkpoints after it are removed.

        Args:
          like: makes, from the layout of a checkpoint, the tree of arrays or shapes with shardings that it must fit.

        Returns:
          The state, and a line for every checkpoint that was damaged.
        """
        number, damaged = self.last_undamaged()
        said = [f"the checkpoint of round {bad} is damaged: the one before is used" for bad in damaged]
        state = None if number is None else self.read(number, like)
        for bad in damaged:
            shutil.rmtree(self._checkpoint(bad))
        self._cut(number)
        return state, said

    def last_undamaged(self) -> tuple[int | None, list[int]]:
        """The last round whose checkpoint is as it was written, and the later ones, which are not."""
        damaged = []
        for number in reversed(self.rounds()):
            if _undamaged(self._checkpoint(number)):
                return number, damaged
            damaged.append(number)
        return None, damaged

    def read(self, number: int, like: Callable[[dict], RunState]) -> RunState:
        """The checkpoint of a round. Raises what Orbax raises where what `like` makes does not fit it."""
        shapes = like(json.loads((self._checkpoint(number) / LAYOUT).read_text()))
        with _quiet_orbax() as ocp:
            return _put_back(shapes, ocp.load((self._checkpoint(number) / "state").resolve(), _named(shapes)))

    def _checkpoint(self, number: int) -> Path:
        return self.checkpoints / f"round_{number:06d}"

    def records(self) -> pd.DataFrame:
        """The records so far; floats are read back to the bit."""
        return pd.read_csv(self.path / "records.csv")

    def _cut(self, number: int | None) -> None:
        """Keeps the records before those of a checkpoint and appends the checkpoint's own, whatever a kill left there.

        As text: numbers stay spelt as they were.
        """
        path = self.path / "records.csv"
        if number is None:
            path.unlink(missing_ok=True)
            return
        as_text = partial(pd.read_csv, dtype=str, keep_default_na=False)
        rows = as_text(self._checkpoint(number) / "rows.csv")
        whole_lines = path.read_text().rpartition("\n")[0] if path.exists() else ""
        if whole_lines:
            written = as_text(io.StringIO(whole_lines))
            rows = pd.concat([written[written["round"].astype(int) < int(rows["round"].iloc[0])], rows])
        beside = path.with_suffix(".partial")
        rows.to_csv(beside, index=False)
        os.replace(beside, path)

    def write_json(self, name: str, content: dict) -> None:
        """Writes a file of the run, beside and renamed."""
        _write_json(self.path / name, content)

    def read_json(self, name: str) -> dict | None:
        """The content, or None where the file does not exist or is damaged."""
        path = self.path / name
        try:
            return json.loads(path.read_text()) if path.exists() else None
        except ValueError:
            return None


def _write_json(path: Path, content: dict) -> None:
    beside = path.with_name(f"{path.name}.partial")
    beside.write_text(json.dumps(content, indent=2) + "\n")
    os.replace(beside, path)


def _checksums(path: Path) -> dict[str, str]:
    files = (p for p in sorted(path.rglob("*")) if p.is_file() and p.name != CHECKSUMS)
    return {p.relative_to(path).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def _undamaged(path: Path) -> bool:
    """Whether a checkpoint is what was written: Orbax itself would not notice every wrong bit."""
    try:
        return json.loads((path / CHECKSUMS).read_text()) == _checksums(path)
    except (OSError, ValueError):
        return False


def _path_name(path) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")


def _named(tree) -> dict:
    """Leaves by path. Orbax saves no array of size zero and no NumPy scalar."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {_path_name(path): np.asarray(x) if isinstance(x, np.generic) else x for path, x in leaves if math.prod(x.shape)}


def _put_back(like, leaves: dict):
    """The inverse of `_named`; what has no values is taken from `like`."""
    return jax.tree_util.tree_map_with_path(lambda path, x: leaves.get(_path_name(path), x), like)


@contextlib.contextmanager
def _quiet_orbax() -> Iterator:
    """Orbax's V1 interface, which becomes the top level in 1.0; it logs every call, which is nobody's business here."""
    from orbax.checkpoint import v1 as ocp

    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield ocp
    finally:
        logger.setLevel(level)


def shapes_like(tree):
    """Shapes, dtypes and shardings of a tree of arrays, for `restore`; what is empty stays."""

    def shape(x):
        return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding) if isinstance(x, jax.Array) and x.size else x

    return jax.tree.map(shape, tree)
