"""The rounds of a run on disk: checkpoints and records.

A checkpoint commits by a rename, before its records are appended. At resume the records
are cut to the checkpoint's round, and rows that a kill left out are taken from it.
"""

import contextlib
import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import pandas as pd

from bgpbt.config.errors import BadInput, NotSaved
from bgpbt.files import why, write
from bgpbt.storage import checkpoints, records_file
from bgpbt.storage.checkpoints import Unreadable
from bgpbt.storage.records_file import NOTHING, RECORDS, Records
from bgpbt.storage.run_folder import ENVIRONMENT, RunFolder
from bgpbt.types import PyTree

TRIES = 5  # to read what another process may remove
T = TypeVar("T")


class Restored(NamedTuple, Generic[T]):
    """What a run goes on from."""

    round: int
    state: T
    notices: list[str]  # which checkpoints are not used, and why


class RunStore(RunFolder):
    """The folder of one run (one seed), with its rounds."""

    def __init__(self, path: Path, keep: int = 2):
        """Reads nothing.

        Args:
          path: of the folder.
          keep: how many of the last checkpoints stay.
        """
        super().__init__(path)
        self._keep = keep
        self._written: records_file.Written | None = None  # None: not looked at yet

    def record_environment(self, environment: dict[str, Any]) -> list[str]:
        """Saves versions, devices and what else changes numbers.

        Returns:
          What has changed since a run to be resumed began, a line for each.
        """
        path = self.path / ENVIRONMENT
        before = self.read_json(ENVIRONMENT)
        if before is None:
            is_damaged = path.exists()
            self.write_json(ENVIRONMENT, environment)
            return [f"{path} is damaged: versions are not compared"] * is_damaged
        return [
            f"{name} was {before[name]} and is {now}: "
            "the run goes on, but not to the same bits"
            for name, now in environment.items()
            if before.get(name, now) != now
        ]

    def save(self, state: Any, rows: pd.DataFrame, layout: dict[str, Any]) -> None:
        """Commits a checkpoint, appends its records, drops older checkpoints.

        Args:
          state: all that the next round depends on.
          rows: the records since the last checkpoint.
          layout: what decides the shapes of the state, in JSON's words.

        Raises:
          NotSaved: the disk is full, or cannot be written.
        """
        self.check_still_there()
        round_ = int(state.progress.round)
        path = self.path / RECORDS
        try:
            addition = records_file.add(path, self._known(), rows)
        except (OSError, ValueError) as error:
            raise NotSaved(f"{path} is damaged: {why(error)}") from error
        words = layout | {"run": self.id(), **addition.after.words()}
        place = self.checkpoint(round_)
        try:
            checkpoints.write_checkpoint(place, state, rows, words, self.held)
        except NotSaved:
            self.check_still_there()
            raise
        records_file.append(path, addition)
        self._written = addition.after
        for old in [saved for saved in self.rounds() if saved <= round_][: -self._keep]:
            checkpoints.remove(self.checkpoint(old))

    def _known(self) -> records_file.Written:
        """What the records hold before the next rows."""
        if self._written is None:
            rounds = self.rounds()
            records = self._whole_records(rounds, rounds[-1]) if rounds else None
            self._written = records_file.written(records) if records else NOTHING
        return self._written

    def restore(self, read: Callable[[int], T]) -> Restored[T]:
        """Reads the last round whose checkpoint can be used; changes nothing.

        Args:
          read: reads the state of a round; raises Unreadable.

        Raises:
          BadInput: no checkpoint can be used.
        """
        faults: list[str] = []
        for _ in range(TRIES):
            faults = []
            for round_ in reversed(self.rounds()):
                place = self.checkpoint(round_)
                try:
                    checkpoints.check_usable(place, round_, self.id())
                    state = read(round_)
                except (Unreadable, OSError) as error:
                    faults.append(f"the checkpoint of round {round_} {error}")
                    if not place.exists():
                        break  # another process is at work: look again
                else:
                    notices = [f"{fault}: an earlier one is used" for fault in faults]
                    return Restored(round_, state, notices)
            else:
                break
        raise BadInput(
            f"{self.path}: {'; '.join(faults)}; nothing was removed: give another -n, "
            "or -exist overwrite",
            "existing_policy",
        )

    def go_on_after(self, round_: int) -> list[str]:
        """Sets later checkpoints aside and mends the records.

        Returns:
          What of the records is lost, in a line; no line where nothing is.
        """
        for later in self.rounds():
            if later > round_:
                path = self.checkpoint(later)
                aside = path.with_suffix(".damaged")
                shutil.rmtree(aside, ignore_errors=True)
                os.replace(path, aside)
        path = self.path / RECORDS
        records = self._whole_records(self.rounds(), round_)
        text = records.rows.to_csv(index=False)
        if not path.exists() or path.read_bytes() != text.encode():
            if records.lacks and path.exists():
                _keep_damaged(path)
            write(path, text)
        self._written = records_file.written(records)
        return _said(records)

    def records(self) -> tuple[pd.DataFrame, list[str]]:
        """The records so far; floats are read back to the bit.

        Returns:
          They, and what of them is lost, in a line; no line where nothing is.
        """
        rounds = self.rounds()
        last = max(rounds, default=None)  # it may be damaged, its rows are not
        records = self._whole_records(rounds, last)
        text = records.rows.to_csv(index=False)
        return pd.read_csv(io.StringIO(text)), _said(records)

    def _whole_records(self, rounds: list[int], last: int | None) -> Records:
        """The records up to a round.

        Args:
          rounds: whose checkpoints may put rows back.
          last: the round; None: the last that is there.
        """
        run = self.id()
        own = []
        for round_ in rounds:
            with contextlib.suppress(Unreadable):
                own.append(checkpoints.read_own(self.checkpoint(round_), round_, run))
        kept = [rows for rows, _ in own]
        layout = own[-1][1] if own else None
        return records_file.complete(self.path / RECORDS, kept, last, layout)

    def layout(self, round_: int) -> dict[str, Any]:
        """What decides the shapes of a round's state."""
        return checkpoints.read_layout(self.checkpoint(round_))

    def read(self, round_: int, template: PyTree) -> PyTree:
        """The state of a round, see `checkpoints.read_checkpoint`."""
        return checkpoints.read_checkpoint(self.checkpoint(round_), template)


def _keep_damaged(path: Path) -> None:
    """Copies what will be replaced: it stays in its place until then.

    The first one stays: later ones are what was made of it.
    """
    damaged = path.with_name(f"{path.name}.damaged")
    if damaged.exists():
        return
    write(damaged, path.read_bytes())


def _said(records: Records) -> list[str]:
    """What is wrong with the records, in a line; no line where nothing is."""
    if records.lacks:
        return [
            f"{RECORDS} lacks {records.lacks}: figures and lineages are without them"
        ]
    if records.changed:
        return [f"{RECORDS} was changed: figures and lineages are of what it says now"]
    return []
