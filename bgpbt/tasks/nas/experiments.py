"""What a run knows of designs: the database on disk, and as the programs read it."""

import json
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from bgpbt.config.errors import BadInput
from bgpbt.files import write_json
from bgpbt.networks.structure import Kind, digest, layer_name
from bgpbt.tasks.nas import database
from bgpbt.tasks.nas.database import Experiment
from bgpbt.tasks.nas.rewards import (
    NO_KEY,
    Known,
    RewardData,
    key_of,
    rows_of,
    words,
)
from bgpbt.types import Metrics

FILE = "experiments.csv"  # in the folder of a run


class Experiments:
    """A `Cache` of `bgpbt.types`: what designs are worth, whoever has found it out."""

    def __init__(
        self,
        data_set: str,
        depth: int,
        capacity: int,
        settings: dict[str, Any],
        path: Path | None = None,
    ):
        """Reads nothing.

        Args:
          data_set: on which designs are judged.
          depth: d, layers of a design at most.
          capacity: K, how many the programs can read.
          settings: of the networks; a file that was made with others is refused.
          path: of a file that several runs share; None: one in the run's folder.
        """
        self._data_set = data_set
        self._depth = depth
        self._capacity = capacity
        self._settings = settings
        self._shared = path
        self._path = path
        self._known: dict[str, Experiment] = {}
        self._began = time.monotonic()
        self._before = 0  # designs that were known when the run began
        self._asked = 0  # designs that members have asked for since

    def open(self, folder: Path) -> list[str]:
        """Reads what is known. Returns lines for the user.

        Raises:
          BadInput: the database cannot be read, or was made with other settings.
        """
        self._path = self._shared or folder / FILE
        self._check_settings()
        self._known |= database.read(self._path, self._data_set, self._depth)
        self._before, self._asked = len(self._known), 0
        if not self._before:
            return []
        return [f"{self._path}: designs known before: {self._before:,}"]

    def _check_settings(self) -> None:
        if self._shared is None:
            return  # the run's own settings are checked with its folder
        path = self._shared.with_suffix(".json")
        if not path.exists():
            write_json(path, self._settings)
        elif _read_json(path) != self._settings:
            raise BadInput(
                f"database: {path} has other settings of the networks, give another "
                "--database, or those settings",
                "database",
            )

    def fill(self, data: RewardData) -> RewardData:
        """The data of a task with what is known now."""
        self._began = time.monotonic()
        keys = np.full((self._capacity, words(self._depth)), NO_KEY, np.int32)
        worths = np.zeros(self._capacity, np.float32)
        found = list(self._known.values())[: self._capacity]
        if found:
            rows = np.stack([in_order(x.rows) for x in found])
            own = key_of(rows)
            order = np.lexsort(own.T[::-1])
            keys[: len(found)] = own[order]
            worths[: len(found)] = np.array([x.accuracy for x in found])[order]
        return data._replace(known=Known(keys, worths))

    def add(self, metrics: Metrics) -> None:
        """Adds what members have found, in their order, and saves it.

        Args:
          metrics: `found_keys` `[P, B, W]`, `found_worths` `[P, B]`, and `judged`
            `[P]`, the designs that were asked for.
        """
        self._asked += int(metrics["judged"].sum())
        keys = metrics["found_keys"].reshape(-1, words(self._depth))
        worths = metrics["found_worths"].reshape(-1)
        filled = keys[:, 0] != NO_KEY
        if not filled.any():
            return
        seconds = round((time.monotonic() - self._began) / int(filled.sum()))
        now = datetime.now().replace(microsecond=0)
        for rows, value in zip(
            rows_of(keys[filled], self._depth), worths[filled].tolist(), strict=True
        ):
            experiment = Experiment(
                rows=aligned(rows),
                reward=100 * value,
                accuracy=value,
                density=0,
                flops=0,
                timestamp=now,
                running_time=seconds,
                is_valid=True,
            )
            self._known.setdefault(digest(experiment.rows), experiment)
        self._save()

    def _save(self) -> None:
        path: Any = self._path
        # Another run may have added to it meanwhile.
        others = database.read(path, self._data_set, self._depth)
        self._known = others | self._known
        database.write_all(path, self._data_set, self._known.values())

    def summary(self) -> str:
        """What it was good for, in a line."""
        new = len(self._known) - self._before
        judged = (
            f"{self._path}: {self._asked:,} designs were judged, {new:,} of them for "
            "the first time"
        )
        if not self._known:
            return judged
        best = max(self._known.values(), key=lambda x: x.accuracy)
        layers = [layer_name(kind, kernel) for kind, kernel in _layers(best.rows)]
        name = " ".join(layers) or "the classifier alone"
        return f"{judged}; best: {name}, {best.accuracy:.3g}"


def _layers(rows: np.ndarray) -> list[tuple[int, int]]:
    """Type and kernel of each layer but the terminal one."""
    return [(kind, kernel) for _, kind, kernel, *_ in in_order(rows).tolist() if kind]


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
