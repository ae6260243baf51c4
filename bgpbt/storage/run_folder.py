"""The folder of a run: whose it is, what it says of itself, who may use it now.

    run.json              version of the format, identity of the run
    options.yaml          the settings, which `-c` repeats
    environment.json      versions, devices and what else changes numbers
    records.csv           one row per round and member, appended
    checkpoints/round_N   the state after round N, the last complete ones
    report.json           the final evaluation on fresh episodes
    *.png, *.gif          pictures

`store.py` reads and writes its rounds.
"""

import re
import shutil
from pathlib import Path
from typing import Any

from bgpbt.config.errors import BadInput, NotSaved
from bgpbt.config.loading import load_options, read_settings
from bgpbt.config.options import Options
from bgpbt.config.settings import base_name
from bgpbt.storage import checkpoints, forms
from bgpbt.storage.files import read_json, why, write, write_json
from bgpbt.storage.length import check_length, describe_length
from bgpbt.storage.lock import holds, lock
from bgpbt.storage.places import check_clock, check_readable, check_writable
from bgpbt.storage.provenance import file_hashes
from bgpbt.storage.records_file import RECORDS
from bgpbt.storage.schema import check_schema

RUN = "run.json"
OPTIONS = "options.yaml"
ENVIRONMENT = "environment.json"
REPORT = "report.json"
CURVE = "learning_curve.png"
SCHEDULE = "hyperparameter_schedule.png"
GIF = "policy.gif"
RESULTS = (RECORDS, REPORT, CURVE, SCHEDULE, GIF)
FILES = (RUN, OPTIONS, ENVIRONMENT, *RESULTS)
ENDINGS = ("", ".partial", ".damaged")  # of what stands beside a file
LOCK = ".lock"
_SHORTER = re.compile(r"report_\d+\.json")  # of a run that was made longer since
COPIED = (RUN, OPTIONS)  # into every checkpoint, which then says what it is of
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
    "max_timesteps",  # see length.py
    "save_every",
    "keep",
}


class RunFolder:
    """The folder of one run (one seed), without its rounds."""

    def __init__(self, path: Path):
        self.path = Path(path)
        self.checkpoints = self.path / "checkpoints"
        self._removed = self.path / "checkpoints.removed"  # while a run is overwritten
        self._opened = False

    def rounds(self) -> list[int]:
        """Rounds with a committed checkpoint, ascending."""
        paths = [path for path in self.checkpoints.glob("round_*") if path.is_dir()]
        names = [path.name.removeprefix("round_") for path in paths]
        rounds = [int(name) for name in names if re.fullmatch("[0-9]{6,9}", name)]
        return sorted(n for n in rounds if self.checkpoint(n) in paths)

    def checkpoint(self, round_: int) -> Path:
        """Where the checkpoint of a round lies."""
        return self.checkpoints / f"round_{round_:06d}"

    # May it be used?

    def check(self, options: Options) -> None:
        """Whether the folder can be used as asked; changes nothing.

        A folder to resume must hold the same settings, one to overwrite must be a run.
        Every folder must be writable, with some space left, and nobody else's at work.

        Raises:
          BadInput: it cannot.
        """
        check_clock()
        check_writable(self.path)
        check_readable(self.checkpoints)
        self._check_links()
        self.check_schema()
        if options.existing_policy == "overwrite":
            self._check_overwrite()
        elif self.rounds():
            self._check_same(options)
        elif not self._removed.exists():
            self._check_nothing_is_left()
        lock(self.path / LOCK, create=False)

    def _check_nothing_is_left(self) -> None:
        """Raises BadInput where there are results, which a new run would replace."""
        if left := [name for name in RESULTS if (self.path / name).exists()]:
            raise BadInput(
                f"{self.path} holds {', '.join(left)} but no checkpoint to go on from; "
                "nothing was removed: give another -n, or -exist overwrite",
                "existing_policy",
            )

    def check_schema(self) -> None:
        """Raises BadInput where the format of the folder is not known here."""
        run = read_json(self.path / RUN, forms.Run)
        if run is not None:
            check_schema(run.get("schema"), str(self.path / RUN))
        for round_ in self.rounds():
            checkpoints.check_format(self.checkpoint(round_))

    def _check_links(self) -> None:
        """Raises BadInput where a file of the run lies elsewhere."""
        names = (*FILES, LOCK, self.checkpoints.name, self._removed.name)
        files = [self.path / name for name in names]
        for path in [*files, *self.checkpoints.glob("round_*")]:
            if path.is_symlink():
                raise BadInput(
                    f"save_dir: {path} is a link, a run has all its files in its "
                    "folder; give another -n",
                    "save_dir",
                )

    def _check_overwrite(self) -> None:
        if self.path.is_symlink():
            raise BadInput(
                f"save_dir: {self.path} is a link, give the folder to overwrite",
                "save_dir",
            )
        of_a_run = (RUN, OPTIONS, self.checkpoints.name, self._removed.name)
        is_run = any((self.path / name).exists() for name in of_a_run)
        if not is_run and self.path.is_dir() and any(self.path.iterdir()):
            raise BadInput(
                f"{self.path} holds files but no run, nothing was removed; "
                "give another -n",
                "existing_policy",
            )

    def _check_same(self, options: Options) -> None:
        before = self.options()
        reached = max(map(self._timesteps, self.rounds()))
        check_length(self.path, before, options, reached)
        saved = before.with_absolute_paths().model_dump()
        wanted = options.with_absolute_paths().model_dump()
        # A file that was moved, its text unchanged, is the same file.
        hashes = (self.identity() or {}).get("files", {})
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

    # What does it say of itself?

    def finished(self, options: Options) -> bool:
        """Whether the run to resume has ended with as many episodes as are asked."""
        report = self.read_json(REPORT)
        if options.existing_policy != "resume" or report is None or not self.rounds():
            return False
        enough = report["episodes"] >= options.report_episodes
        is_long = report["timesteps"] >= options.max_timesteps
        return is_long and (enough or report.get("unseen", False))

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

    def identity(self) -> dict[str, Any] | None:
        """What `run.json` says, or its copy in a checkpoint; None: nothing says it."""
        contents = (read_json(path, forms.Run) for path in self._copies(RUN))
        return next((content for content in contents if content is not None), None)

    def options(self) -> Options:
        """The settings of the run, from a checkpoint's copy where the file is damaged.

        Raises:
          BadInput: none can be read.
        """
        places = self._copies(OPTIONS)
        readable = (path for path in places if _holds_settings(path))
        path = next(readable, places[0])
        if not path.exists():
            raise BadInput(
                f"{self.path} holds checkpoints but no {OPTIONS} that says of what, "
                "give another -n",
                "existing_policy",
            )
        return load_options({}, path)

    def _copies(self, name: str) -> list[Path]:
        """Where a small file of the run lies: at its place, and in checkpoints."""
        folders = [self.checkpoint(round_) for round_ in reversed(self.rounds())]
        return [folder / name for folder in (self.path, *folders)]

    def read_json(self, name: str) -> dict[str, Any] | None:
        """The content of a file, None where it is missing or damaged."""
        form = {ENVIRONMENT: forms.Environment, REPORT: forms.Report}[name]
        return read_json(self.path / name, form)

    # Use it

    def open(self, options: Options, what: dict[str, Any]) -> list[str]:
        """Takes the folder for this process; begins a run where none goes on.

        Args:
          options: the settings.
          what: the content of a new run's `run.json`.

        Returns:
          What was done, a line for each: `outlook`, and what was mended.

        Raises:
          BadInput: another process has taken it since `check`.
          NotSaved: the folder cannot be written.
        """
        lock(self.path / LOCK, create=False)
        lines = [self.outlook(options)]
        goes_on = options.existing_policy == "resume" and bool(self.rounds())
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock(self.path / LOCK, create=True)
            if goes_on:
                lines += [*self._mend(), *self._lengthen(options)]
            else:
                self._begin(options, what)
        except OSError as error:
            raise NotSaved(f"{self.path} could not be written: {why(error)}") from error
        self._opened = True
        return lines

    def _begin(self, options: Options, what: dict[str, Any]) -> None:
        """Removes what a run before has left, and says what the new one is.

        Wherever a kill ends this, the next call begins anew.
        """
        shutil.rmtree(self._removed, ignore_errors=True)
        if self.checkpoints.exists():
            self.checkpoints.rename(self._removed)
        shorter = [p.name for p in self.path.iterdir() if _SHORTER.fullmatch(p.name)]
        for name in (*FILES, *shorter):
            for end in ENDINGS:
                (self.path / f"{name}{end}").unlink(missing_ok=True)
        write_json(self.path / RUN, what)
        # Whoever repeats the run with `-c` must ask again before anything is removed.
        saved = options.model_copy(update={"existing_policy": "resume"})
        write(self.path / OPTIONS, saved.with_absolute_paths().to_yaml())
        self.checkpoints.mkdir()
        shutil.rmtree(self._removed, ignore_errors=True)

    def _mend(self) -> list[str]:
        """Puts copies in the place of what is damaged; says so, a line for each."""
        lines = []
        for name, is_whole in ((RUN, _holds_identity), (OPTIONS, _holds_settings)):
            place, *copies = self._copies(name)
            copy = next((path for path in copies if is_whole(path)), None)
            if is_whole(place):
                continue
            problem = "is damaged" if place.exists() else "is gone"
            if copy:
                write(place, copy.read_bytes())
                lines.append(f"{place} {problem}: that in {copy.parent} is used")
        return lines

    def _lengthen(self, options: Options) -> list[str]:
        """Has the run end at another time; says so, in a line.

        Wherever a kill ends this, the next call goes on with it, or without it.
        """
        before = self.options()
        usable = [r for r in reversed(self.rounds()) if self._is_usable(r)]
        is_same = options.max_timesteps == before.max_timesteps
        if is_same or not usable or self.finished(options):
            return []
        report = self.read_json(REPORT)
        if report is not None:
            kept = self.path / f"report_{report['timesteps']}.json"
            (self.path / REPORT).replace(kept)
        lines = [describe_length(before, options)]
        last, *earlier = usable
        shorter = min(before.max_timesteps, options.max_timesteps)
        if self._timesteps(last) >= shorter:
            # Nobody has decided what follows the last round.
            if earlier:
                checkpoints.remove(self.checkpoint(last))
            else:
                lines.append(f"nothing is decided after round {last}, its last so far")
        saved = before.model_copy(update={"max_timesteps": options.max_timesteps})
        write(self.path / OPTIONS, saved.to_yaml())
        return lines

    def _is_usable(self, round_: int) -> bool:
        run = (self.identity() or {}).get("id")
        try:
            checkpoints.check_usable(self.checkpoint(round_), round_, run)
        except checkpoints.Unreadable:
            return False
        return True

    def _timesteps(self, round_: int) -> int:
        """Timesteps of a member after a round; 0 where its checkpoint is not usable."""
        run = (self.identity() or {}).get("id")
        try:
            checkpoints.check_own(self.checkpoint(round_), round_, run)
        except checkpoints.Unreadable:
            return 0
        return max(
            map(int, checkpoints.read_rows(self.checkpoint(round_))["timesteps"])
        )

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        """Writes a file of the run, beside its place and renamed.

        Raises:
          NotSaved: the disk is full, or cannot be written.
        """
        self.check_still_there()
        write_json(self.path / name, content)

    def check_still_there(self) -> None:
        """Raises NotSaved where the folder that was opened is not in its place."""
        if self._opened and not holds(self.path / LOCK):
            raise NotSaved(
                f"{self.path} was removed or moved while the run went on; what it did "
                "since its last checkpoint is lost"
            )


def _holds_identity(path: Path) -> bool:
    return read_json(path, forms.Run) is not None


def _holds_settings(path: Path) -> bool:
    try:
        load_options({}, path)
        return bool(read_settings(path))  # an emptied file would be all defaults
    except BadInput:
        return False
