"""What a run knows of designs: the database on disk, and as the programs read it."""

import json
import os
import time
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from bgpbt.config.errors import BadInput, NotSaved
from bgpbt.files import write_json
from bgpbt.lock import alone
from bgpbt.networks.structure import Kind, digest, in_words
from bgpbt.tasks.nas import database
from bgpbt.tasks.nas.cost import Cost, density, flops
from bgpbt.tasks.nas.database import Experiment, Form
from bgpbt.tasks.nas.rewards import (
    NO_KEY,
    Known,
    RewardData,
    key_of,
    rows_of,
    words,
)
from bgpbt.types import Metrics

BEFORE = {"designs": "chain", "norm": "affine"}  # settings that older files do not name
FILE = "experiments.csv"  # in the folder of a run


class Experiments:
    """A `Cache` of `bgpbt.types`: what designs are worth, whoever has found it out."""

    def __init__(
        self,
        data_set: str,
        form: Form,
        capacity: int,
        settings: dict[str, Any],
        path: Path | None = None,
        cost: Cost | None = None,
    ):
        """Reads nothing.

        Args:
          data_set: on which designs are judged.
          form: what designs must be.
          capacity: K, how many the programs can read.
          settings: all that a worth depends on beside the design; a file that was made
            with others is refused.
          path: of a file that several runs share; None: one in the run's folder.
          cost: terms of the rewards beside the accuracy, for the file; None: none.
        """
        self._data_set = data_set
        self._form = form
        self._depth = form.depth
        self._capacity = capacity
        self._settings = settings
        self._shared = path
        self._path = path
        self._cost = cost
        self._known: dict[str, Experiment] = {}
        self._arrays: Known | None = None  # of what is known; None: of less
        self._began = time.monotonic()
        self._before = 0  # designs that were known when the run began
        self._asked = 0  # designs that members have asked for since
        self._new = 0  # of which nobody knew

    def check(self) -> None:
        """Refuses a shared file that cannot be used; writes nothing.

        Raises:
          BadInput: it is damaged, or was made with other settings.
        """
        path = self._shared
        if path is None:
            return
        if path.suffix != ".csv" or not path.parent.is_dir():
            _refuse(f"{path} is no file in a folder, give a name such as all.csv")
        if not os.access(path.parent, os.W_OK):
            _refuse(f"nothing can be written into {path.parent}, give another folder")
        self._check_settings(path)
        database.read(path, self._data_set, self._form)

    def _check_settings(self, path: Path) -> None:
        """Refuses a shared database that was made with other networks or images."""
        try:
            differ = self._other_settings(path)
        except OSError as error:
            _refuse(f"{str(path)[:80]} cannot be looked into: {error.strerror}")
        if differ is None:
            _refuse(
                f"{_beside(path)} is damaged; remove it only if all designs are of "
                "these networks and images, or give another --database"
            )
        if differ:
            _refuse(
                f"{_beside(path)} is of other networks or images ({differ}), give "
                "another --database"
            )

    def _other_settings(self, path: Path) -> str | None:
        """Where a database was made with other settings, in words; None: damaged."""
        beside = _beside(path)
        if not beside.exists():
            return ""
        there = _read_json(beside)
        if not isinstance(there, dict):
            return None
        there = BEFORE | there
        differ = (
            f"{name} {str(there.get(name))[:40]} there, {here} here"
            for name, here in self._settings.items()
            if there.get(name) != here
        )
        return "; ".join(differ)

    def open(self, folder: Path) -> list[str]:
        """Reads what is known. Returns lines for the user.

        Raises:
          BadInput: the database cannot be read, or was made with other settings.
        """
        self._path = path = self._shared or folder / FILE
        beside = _beside(path)
        lines = []
        if self._shared is not None:
            self._check_settings(path)
        elif differ := self._other_settings(path):
            raise BadInput(
                f"{folder} holds a run whose designs were judged by other networks, "
                f"images or tables ({differ}); give another -n, or -exist overwrite",
                "existing_policy",
            )
        try:
            self._known = database.read(path, self._data_set, self._form)
        except BadInput as error:
            if self._shared is not None:
                raise
            # No result depends on it.
            path.replace(path.with_name(f"{path.name}.damaged"))
            self._known = {}
            lines.append(f"{error}; it stays as {path.name}.damaged, and is not used")
        if self._known and not beside.exists():
            lines.append(
                f"{beside} is missing: {path.name} is taken to be of these networks "
                "and images"
            )
        write_json(beside, self._settings)
        self._arrays = None
        self._before, self._asked, self._new = len(self._known), 0, 0
        if self._before:
            lines.append(f"{path}: designs known before: {self._before:,}")
        return lines

    def fill(self, data: RewardData) -> RewardData:
        """The data of a task with what is known now, the latest if that is too much."""
        self._began = time.monotonic()
        if self._arrays is None:
            self._arrays = self._sorted()
        return data._replace(known=self._arrays)

    def _sorted(self) -> Known:
        keys = np.full((self._capacity, words(self._depth)), NO_KEY, np.int32)
        worths = np.zeros(self._capacity, np.float32)
        found = [x for x in self._known.values() if x.is_valid][-self._capacity :]
        if found:
            own = key_of(np.stack([in_order(x.rows) for x in found]))
            order = np.lexsort(own.T[::-1])
            keys[: len(found)] = own[order]
            worths[: len(found)] = np.array([x.accuracy for x in found])[order]
        return Known(keys, worths)

    def add(self, metrics: Metrics) -> None:
        """Adds what members have found, in their order, and saves it.

        Args:
          metrics: `found_keys` `[P, B, W]` and `found_worths` `[P, B]`, of which
            `found` `[P]` are filled; `judged` `[P]`, the designs that were asked for.
            All are zero for a member that idled.
        """
        self._asked += int(metrics["judged"].sum())
        keys, worths = metrics["found_keys"], metrics["found_worths"]
        filled = np.arange(keys.shape[1]) < metrics["found"][:, None]
        if not filled.any():
            return
        # What a single one took is not known: they were judged inside a program.
        seconds = round((time.monotonic() - self._began) / int(filled.sum()))
        now = datetime.now().replace(microsecond=0)
        for rows, worth in zip(
            rows_of(keys[filled], self._depth), worths[filled].tolist(), strict=True
        ):
            experiment = experiment_of(rows, worth, now, seconds, self._cost)
            key = digest(experiment.rows)
            self._new += key not in self._known
            self._known.setdefault(key, experiment)
        self._arrays = None
        self._save()

    def _save(self) -> None:
        path: Any = self._path
        if self._shared is None:
            database.write_all(path, self._data_set, self._known.values())
            return
        with alone(path.with_suffix(".lock")):
            try:  # another run may have added to it meanwhile
                others = database.read(path, self._data_set, self._form)
            except BadInput as error:
                raise NotSaved(
                    f"{error}: mend or remove it, and give the same command; the "
                    "run's checkpoints are intact"
                ) from None
            self._known = others | self._known
            database.write_all(path, self._data_set, self._known.values())

    def summary(self) -> str:
        """What it was good for, in a line."""
        judged = (
            f"{self._path}: {self._asked:,} designs were judged, {self._new:,} of them "
            "for the first time"
        )
        if not self._known:
            return judged
        best = max(self._known.values(), key=lambda x: x.accuracy)
        return f"{judged}; best: {in_words(best.rows.tolist())}, {best.accuracy:.3g}"


def experiment_of(
    rows: np.ndarray,
    accuracy: float,
    timestamp: datetime,
    seconds: int,
    cost: Cost | None = None,
) -> Experiment:
    """What is known of a design that was trained.

    Args:
      rows: in the order of its layers, `[d, 5]`.
      accuracy: in [0, 1].
      timestamp: when.
      seconds: for how long.
      cost: terms of its reward beside the accuracy; None: none.
    """
    penalty = float(cost.penalty(rows)) if cost else 0.0
    return Experiment(
        rows=aligned(rows),
        reward=100 * (accuracy - penalty),
        accuracy=accuracy,
        density=float(density(rows)) if cost else 0,
        flops=float(flops(cost.sizes, rows)) if cost else 0,
        timestamp=timestamp,
        running_time=seconds,
        is_valid=True,
    )


def _refuse(problem: str) -> NoReturn:
    raise BadInput(f"database: {problem}", "database")


def _beside(path: Path) -> Path:
    """Where the settings of a database stand."""
    return path.with_suffix(".json")


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


def in_order(rows: np.ndarray) -> np.ndarray:
    """Rows of a database in the order of the layers, `[d, 5]`; no terminal layer."""
    filled = rows[(rows[:, 0] > 0) & (rows[:, 1] != Kind.terminal)]
    return np.concatenate([filled, np.zeros_like(rows)])[: len(rows)]


def aligned(rows: np.ndarray) -> np.ndarray:
    """Rows as databases have them: empty ones first, `[d, 5]`."""
    return np.roll(rows, len(rows) - np.count_nonzero(rows[:, 0]), axis=0)
