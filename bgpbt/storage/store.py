"""A run on disk.

    run.json              version of the format, identity of the run
    options.yaml          the settings, which `-c` repeats
    environment.json      versions and devices
    records.csv           one row per round and member, appended
    checkpoints/round_N   the state after round N, the last two complete ones
    report.json           the final evaluation on fresh episodes
    *.png, *.gif          pictures

A checkpoint commits by a rename, before its records are appended. At resume the records
are cut to the checkpoint's round, and rows that a kill left out are taken from it.
"""

import csv
import io
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pandas as pd

from bgpbt.config.errors import BadInput, NotSaved
from bgpbt.config.loading import load_options
from bgpbt.config.options import Options
from bgpbt.config.settings import base_name
from bgpbt.storage import checkpoints
from bgpbt.storage.checkpoints import is_undamaged, write_json
from bgpbt.storage.lock import lock
from bgpbt.storage.places import check_writable
from bgpbt.storage.provenance import file_hashes
from bgpbt.storage.schema import check_schema
from bgpbt.types import PyTree

KEPT = 2  # checkpoints
LOCK = ".lock"
OPTIONS = "options.yaml"
RUN = "run.json"
RECORDS = "records.csv"
REPORT = "report.json"
# Settings that may differ when a run is continued. `seed` lists all seeds of a command,
# of which the folder holds one; the others change no bit of a member. `devices` and
# `max_parallel` are not here: they change bits, by rounding.
MUTABLE_ON_RESUME = {
    "existing_policy",
    "verbose",
    "save_dir",
    "exp_name",
    "no_cache",
    "render",
    "seed",
    "report_episodes",
}


class RunStore:
    """The folder of one run (one seed)."""

    def __init__(self, path: Path):
        self.path = Path(path)
        self.checkpoints = self.path / "checkpoints"

    def check(self, options: Options) -> None:
        """Whether the folder can be used as asked; changes nothing.

        A folder to resume must hold the same settings, one to overwrite must be a run.
        Every folder must be writable, with some space left, and nobody else's at work.

        Raises:
          BadInput: it cannot.
        """
        check_writable(self.path)
        self.check_schema()
        if options.existing_policy == "overwrite":
            self._check_overwrite()
        elif (self.path / OPTIONS).exists():
            self._check_same(options)
        elif self.rounds():
            raise BadInput(
                f"{self.path} holds checkpoints but no options.yaml that says of what, "
                "give another -n",
                "existing_policy",
            )
        lock(self.path / LOCK, create=False)

    def check_schema(self) -> None:
        """Raises BadInput where the format of the folder is not known here."""
        run = self.read_json(RUN)
        if run is not None:
            check_schema(run.get("schema"), str(self.path / RUN))
        for round_ in self.rounds():
            checkpoints.check_format(self._checkpoint(round_))

    def _check_overwrite(self) -> None:
        if os.path.islink(self.path):
            raise BadInput(
                f"save_dir: {self.path} is a link, give the folder to overwrite",
                "save_dir",
            )
        has_settings = (self.path / OPTIONS).exists()
        if not has_settings and self.path.is_dir() and any(self.path.iterdir()):
            raise BadInput(
                f"{self.path} holds files but no run, nothing was removed; "
                "give another -n",
                "existing_policy",
            )

    def _check_same(self, options: Options) -> None:
        before = load_options({}, self.path / OPTIONS).with_absolute_paths()
        saved = before.model_dump()
        wanted = options.with_absolute_paths().model_dump()
        # A file that was moved, its text unchanged, is the same file.
        hashes = (self.read_json(RUN) or {}).get("files", {})
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
                f"{self.path} holds a run of other settings ({'; '.join(differ)}); "
                "give the same, another -n, or -exist overwrite",
                "existing_policy",
            )

    def finished(self, options: Options) -> bool:
        """Whether the run to resume has ended with as many episodes as are asked."""
        if options.existing_policy != "resume":
            return False
        report = self.read_json(REPORT)
        if report is None:
            return False
        enough = report["episodes"] >= options.report_episodes
        return enough or report.get("unseen", False)

    def outlook(self, options: Options) -> str:
        """What `open` does with the folder, in words."""
        rounds = self.rounds()
        reached = f"round {rounds[-1]}" if rounds else "no round finished"
        if self.path.exists() and options.existing_policy == "overwrite":
            return f"overwrite: the run in {self.path} ({reached}) is removed"
        if self.finished(options):
            return (
                f"finished: only the figures of the run in {self.path} ({reached}) "
                "are drawn again"
            )
        if rounds:
            return f"resume: the run in {self.path} ({reached})"
        nothing = "nothing to resume, " if options.existing_policy == "resume" else ""
        return f"{nothing}new run in {self.path}"

    def open(self, options: Options, identity: dict[str, Any]) -> str:
        """Creates or clears the folder and saves what a new run is.

        Args:
          options: the settings.
          identity: the content of `run.json`.

        Returns:
          What was done, in words: `outlook`.
        """
        lock(self.path / LOCK, create=False)  # others may have begun since `check`
        line = self.outlook(options)
        if self.path.exists() and options.existing_policy == "overwrite":
            shutil.rmtree(self.path)
        goes_on = bool(self.rounds())
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        lock(self.path / LOCK, create=True)
        if not goes_on:
            self.write_json(RUN, identity)
            # Whoever repeats the run with `-c` must ask again before anything is
            # removed.
            saved = options.model_copy(update={"existing_policy": "resume"})
            saved.with_absolute_paths().save(self.path / OPTIONS)
        return line

    def record_environment(self, environment: dict[str, Any]) -> list[str]:
        """Saves versions and devices.

        Returns:
          What has changed since a run to be resumed began, a line for each.
        """
        before = self.read_json("environment.json")
        if before is None:
            self.write_json("environment.json", environment)
            return []
        return [
            f"{name} was {before.get(name)} and is {now}: "
            "the run goes on, but not to the same bits"
            for name, now in environment.items()
            if before.get(name) != now
        ]

    def rounds(self) -> list[int]:
        """Rounds with a committed checkpoint, ascending."""
        if not self.checkpoints.is_dir():
            return []
        names = [
            p.name.removeprefix("round_") for p in self.checkpoints.glob("round_*")
        ]
        return sorted(int(name) for name in names if name.isdigit())

    def save(self, state: Any, rows: pd.DataFrame, layout: dict[str, Any]) -> None:
        """Commits a checkpoint, appends its records, drops all but the last two.

        Args:
          state: all that the next round depends on.
          rows: the records of the round.
          layout: what decides the shapes of the state, in JSON's words.

        Raises:
          NotSaved: the disk is full, or cannot be written.
        """
        path = self._checkpoint(int(state.progress.round))
        checkpoints.write_checkpoint(path, state, rows, layout)
        try:
            self._append_records(rows)
        except OSError as error:
            why = error.strerror or error
            raise NotSaved(
                f"{self.path / RECORDS} could not be written: {why}; the checkpoint "
                "of the round has its rows, and the same command goes on"
            ) from error
        for old in self.rounds()[:-KEPT]:
            shutil.rmtree(self._checkpoint(old))

    def discard_after(self, round_: int | None) -> None:
        """Removes checkpoints and records after a round; None: all of them."""
        for saved in self.rounds():
            if round_ is None or saved > round_:
                shutil.rmtree(self._checkpoint(saved))
        self._truncate_records(round_)

    def last_undamaged(self) -> tuple[int | None, list[int]]:
        """The last round with an undamaged checkpoint, and the later, damaged ones."""
        damaged = []
        for round_ in reversed(self.rounds()):
            if is_undamaged(self._checkpoint(round_)):
                return round_, damaged
            damaged.append(round_)
        return None, damaged

    def layout(self, round_: int) -> dict[str, Any]:
        """What decides the shapes of a round's state."""
        return checkpoints.read_layout(self._checkpoint(round_))

    def read(self, round_: int, template: PyTree) -> PyTree:
        """The state of a round, see `checkpoints.read_checkpoint`."""
        return checkpoints.read_checkpoint(self._checkpoint(round_), template)

    def _checkpoint(self, round_: int) -> Path:
        return self.checkpoints / f"round_{round_:06d}"

    def records(self) -> pd.DataFrame:
        """The records so far; floats are read back to the bit."""
        return pd.read_csv(self.path / RECORDS)

    def _truncate_records(self, round_: int | None) -> None:
        """Keeps the records before a checkpoint's and appends the checkpoint's own.

        Whatever a kill left there goes. As text: numbers stay spelt as they were.
        """
        path = self.path / RECORDS
        if round_ is None:
            path.unlink(missing_ok=True)
            return
        rows = _read_text(self._checkpoint(round_) / checkpoints.ROWS)
        text = path.read_text() if path.exists() else ""
        complete_lines = text.rpartition("\n")[0]
        if complete_lines:
            written = _read_text(io.StringIO(complete_lines))
            earlier = written["round"].astype(int) < int(rows["round"].iloc[0])
            rows = pd.concat([written[earlier], rows])
        _write_rows(path, rows)

    def _append_records(self, rows: pd.DataFrame) -> None:
        """Appends rows; columns that only one of both has stay empty in the other."""
        path = self.path / RECORDS
        if not path.exists():
            rows.to_csv(path, index=False)
            return
        with path.open() as file:
            present = next(csv.reader(file), [])
        wanted = [str(name) for name in rows]
        columns = [*wanted, *(name for name in present if name not in wanted)]
        if columns != present:
            _write_rows(path, _read_text(path).reindex(columns=columns))
        rows.reindex(columns=columns).to_csv(path, mode="a", header=False, index=False)

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        """Writes a file of the run, beside its place and renamed."""
        write_json(self.path / name, content)

    def read_json(self, name: str) -> dict[str, Any] | None:
        """The content, or None where the file does not exist or is damaged."""
        path = self.path / name
        try:
            return json.loads(path.read_text()) if path.exists() else None
        except ValueError:
            return None


def _read_text(file: Path | io.StringIO) -> pd.DataFrame:
    """Records as text: numbers stay spelt as they were."""
    return pd.read_csv(file, dtype=str, keep_default_na=False)


def _write_rows(path: Path, rows: pd.DataFrame) -> None:
    """Writes records beside their place and renames them."""
    partial_path = path.with_suffix(".partial")
    rows.to_csv(partial_path, index=False)
    os.replace(partial_path, path)
