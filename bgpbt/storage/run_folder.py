"""The folder of a run: what lies in it, and what it says of itself.

    run.json              version of the format, identity of the run
    options.yaml          the settings, which `-c` repeats
    environment.json      versions, devices and what else changes numbers
    records.csv           one row per round and member, appended
    checkpoints/round_N   the state after round N, the last complete ones
    report.json           the final evaluation on fresh episodes
    experiments.csv       what designed networks are worth
    *.png, *.gif          pictures
    *.html                pages, where they are asked for
    tensorboard/          event files, where they are asked for

`taking.py` says whether a process may use it, and prepares it. `store.py` reads and
writes its rounds.
"""

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bgpbt.config.errors import BadInput, NotSaved
from bgpbt.config.loading import load_options, read_settings
from bgpbt.config.options import Options
from bgpbt.files import read_json, write_json
from bgpbt.lock import holds
from bgpbt.registry import FIGURES
from bgpbt.storage import checkpoints, forms
from bgpbt.storage.records_file import RECORDS
from bgpbt.storage.schema import check_schema

RUN = "run.json"
OPTIONS = "options.yaml"
ENVIRONMENT = "environment.json"
REPORT = "report.json"
CURVE = "learning_curve.png"
SCHEDULE = "hyperparameter_schedule.png"
GIF = "policy.gif"
PAGE = "report.html"
VIEWER = "policy.html"
EXPERIMENTS = "experiments.csv"
EVENTS = "tensorboard"  # a folder of event files
OF_EXPERIMENTS = "experiments.json"  # which networks and images they are of
PICTURES = (CURVE, SCHEDULE, GIF, PAGE, VIEWER, *(f"{name}.png" for name in FIGURES))
RESULTS = (RECORDS, REPORT, *PICTURES, EXPERIMENTS, OF_EXPERIMENTS)
FILES = (RUN, OPTIONS, ENVIRONMENT, *RESULTS)
LOCK = ".lock"
# Settings that may differ when a run is continued. `seed` lists all seeds of a command,
# of which the folder holds one; the others change no bit of a member. `devices` and
# `max_parallel` are not here: they change bits, by rounding.
MUTABLE_ON_RESUME = {
    "existing_policy",
    "verbose",
    "tensorboard",
    "save_dir",
    "exp_name",
    "no_cache",
    "render",
    "seed",
    "report_episodes",
    "max_timesteps",  # see length.py
    "save_every",
    "keep",
    "database",  # changes how long a round takes, and no result
}


class RunFolder:
    """The folder of one run (one seed), without its rounds."""

    def __init__(self, path: Path):
        self.path = Path(path)
        self.checkpoints = self.path / "checkpoints"
        self.removed = self.path / "checkpoints.removed"  # while a run is overwritten
        # `run.json` and `options.yaml`, once this process has taken the folder. Every
        # checkpoint has a copy: what becomes of the files meanwhile does not reach it.
        self.held: dict[str, bytes] | None = None

    def rounds(self) -> list[int]:
        """Rounds with a committed checkpoint, ascending."""
        paths = [path for path in self.checkpoints.glob("round_*") if path.is_dir()]
        names = [path.name.removeprefix("round_") for path in paths]
        rounds = [int(name) for name in names if re.fullmatch("[0-9]{6,9}", name)]
        return sorted(n for n in rounds if self.checkpoint(n) in paths)

    def checkpoint(self, round_: int) -> Path:
        """Where the checkpoint of a round lies."""
        return self.checkpoints / f"round_{round_:06d}"

    def usable(self) -> list[int]:
        """Rounds whose checkpoints are undamaged and of this run, ascending."""
        faults = self.faults()
        return [round_ for round_ in self.rounds() if round_ not in faults]

    def faults(self) -> dict[int, str]:
        """Why checkpoints cannot be used, by their rounds, ascending."""
        faults = {}
        for round_ in self.rounds():
            try:
                checkpoints.check_usable(self.checkpoint(round_), round_, self.id())
            except checkpoints.Unreadable as error:
                faults[round_] = f"the checkpoint of round {round_} {error}"
        return faults

    def timesteps(self, round_: int) -> int:
        """Timesteps of a member after a round; 0 where its checkpoint is not usable."""
        try:
            path = self.checkpoint(round_)
            rows, _ = checkpoints.read_own(path, round_, self.id())
        except checkpoints.Unreadable:
            return 0
        return max(map(int, rows["timesteps"]))

    # What does it say of itself?

    def check_schema(self) -> None:
        """Raises BadInput where the format of the folder is not known here."""
        run = read_json(self.path / RUN, forms.Run)
        if run is not None:
            check_schema(run.get("schema"), str(self.path / RUN))
        for round_ in self.rounds():
            checkpoints.check_format(self.checkpoint(round_))

    def id(self) -> str | None:
        """Which run it is, as its first checkpoint says where `run.json` is damaged.

        None: it does not say.
        """
        run = self._held_identity() or read_json(self.path / RUN, forms.Run)
        if run is not None:
            return run.get("id")
        for round_ in self.rounds():
            with contextlib.suppress(checkpoints.Unreadable):
                _, layout = checkpoints.read_own(self.checkpoint(round_), round_, None)
                return layout.get("run")
        return None

    def identity(self) -> dict[str, Any] | None:
        """What `run.json` says, or its copy in a checkpoint; None: nothing says it."""
        if held := self._held_identity():
            return held
        paths = (self.path / RUN, *self.copies(RUN))
        contents = (read_json(path, forms.Run) for path in paths)
        return next((content for content in contents if content is not None), None)

    def _held_identity(self) -> dict[str, Any] | None:
        content = (self.held or {}).get(RUN)
        return None if content is None else json.loads(content)

    def options(self) -> Options:
        """The settings with which the last round was decided.

        They stand in its checkpoint; older versions have them only in the folder.

        Raises:
          BadInput: none can be read.
        """
        path = next(self.copies(OPTIONS), self.path / OPTIONS)
        if not path.exists():
            raise BadInput(
                f"{self.path} holds checkpoints but no {OPTIONS} that says of what, "
                "give another -n",
                "existing_policy",
            )
        try:
            return load_options({}, path, with_usual=False)
        except BadInput as error:
            raise BadInput(
                f"{error}; nothing was removed: give another -n, or -exist overwrite",
                "existing_policy",
            ) from None

    def whole_options(self) -> Path | None:
        """Where the settings stand undamaged; None: nowhere.

        What is left of a file that was cut short can be read, too: so the file must
        say as much as the copy in the last checkpoint.
        """
        place = self.path / OPTIONS
        copy = next(self.copies(OPTIONS), None)
        return place if _is_whole(place, copy) else copy

    def copies(self, name: str) -> Iterator[Path]:
        """The undamaged copies of a small file in the run's checkpoints, last first."""
        run = self.id()
        for round_ in reversed(self.rounds()):
            place = self.checkpoint(round_)
            with contextlib.suppress(checkpoints.Unreadable):
                checkpoints.read_own(place, round_, run)
                if checkpoints.has_copy(place, name):
                    yield place / name

    def read_json(self, name: str) -> dict[str, Any] | None:
        """The content of a file, None where it is missing or damaged."""
        form = {ENVIRONMENT: forms.Environment, REPORT: forms.Report}[name]
        return read_json(self.path / name, form)

    def finished(self, options: Options) -> bool:
        """Whether the run to resume has ended with as many episodes as are asked."""
        report = self.read_json(REPORT)
        if options.existing_policy != "resume" or report is None or not self.rounds():
            return False
        enough = report["episodes"] >= options.report_episodes
        is_long = report["timesteps"] >= options.max_timesteps
        return is_long and (enough or report.get("unseen", False))

    # Write into it

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        """Writes a file of the run, beside its place and renamed.

        Raises:
          NotSaved: the disk is full, or cannot be written.
        """
        self.check_still_there()
        write_json(self.path / name, content)

    def check_still_there(self) -> None:
        """Raises NotSaved where the folder that was taken is not in its place."""
        if self.held is not None and not holds(self.path / LOCK):
            raise NotSaved(
                f"{self.path} was removed or moved while the run went on; what it did "
                "since its last checkpoint is lost"
            )


def _settings(path: Path) -> dict[str, Any]:
    """The settings in a file, all of them; none where it is damaged or empty."""
    try:
        if read_settings(path):
            return load_options({}, path, with_usual=False).model_dump()
    except BadInput:
        pass
    return {}


def _is_whole(path: Path, copy: Path | None) -> bool:
    """Whether a file of settings says all that its copy says.

    Only what may change in a run may differ.
    """
    settings = _settings(path)
    if copy is None or not settings:
        return bool(settings)
    ends = path.read_bytes().endswith(b"\n")
    names_all = set(read_settings(path)) >= set(read_settings(copy))
    before = _settings(copy)
    fixed = set(before) - MUTABLE_ON_RESUME
    return ends and names_all and all(settings[n] == before[n] for n in fixed)
