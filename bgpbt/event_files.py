"""Rounds as event files of TensorBoard's: a run for each member, one for all.

https://www.tensorflow.org/tensorboard
"""

import math
import time
from pathlib import Path

import numpy as np
import pandas as pd
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.summary import scalar

from bgpbt.space import SearchSpace
from bgpbt.training.observer import Round

POPULATION = "population"


class EventWriter:
    """Called after every round; a run that goes on writes further files.

    Curves are against the timesteps of a member. What a process before had written of
    rounds that are played again is hidden, as TensorBoard does for restarts.
    """

    def __init__(self, folder: Path, space: SearchSpace):
        """Writes nothing yet.

        Args:
          folder: of the files.
          space: whose values are shown.
        """
        self._folder = folder
        self._space = space
        # Not `SummaryWriter`: it has a thread each, and loses what a kill finds there.
        self._writers: dict[str, EventsWriter] = {}
        self._begins: int | None = None

    def __call__(self, round_: Round) -> None:
        """Writes one round."""
        rows = round_.records
        step = int(rows["timesteps"].max())
        if self._begins is None:
            self._begins = step
        for name, value in self._of_all(rows).items():
            self._add(POPULATION, name, value, step)
        beliefs = _beliefs(rows)
        for row in rows.to_dict("records"):
            kind = "member" if row["phase"] == "training" else "candidate"
            who = f"{kind}_{row['member']:02d}"
            self._add(who, "fitness", row["fitness"], step)
            for name in self._space:
                self._add(who, f"hyperparameters/{name}", row.get(name), step)
            for name, is_shared in beliefs.items():
                if not is_shared:
                    self._add(who, f"bandit/{name}", row[name], step)
        for writer in self._writers.values():
            writer.flush()

    def close(self) -> None:
        """Closes the files."""
        for writer in self._writers.values():
            writer.close()

    def _of_all(self, rows: pd.DataFrame) -> dict[str, object]:
        """What is one number for the population."""
        one = {
            "fitness": rows["fitness"].median(),
            "fitness/lowest": rows["fitness"].min(),
            "fitness/highest": rows["fitness"].max(),
            "seconds": rows["seconds"].iloc[0],
            "replaced": (rows["parent"] != rows["member"]).sum(),
        }
        if "report" in rows:
            one["report"] = rows["report"].iloc[0]
        shared = [name for name, is_shared in _beliefs(rows).items() if is_shared]
        return one | {f"bandit/{name}": rows[name].iloc[0] for name in shared}

    def _add(self, who: str, name: str, value: object, step: int) -> None:
        """Adds a point; what is no number is left out."""
        is_number = isinstance(value, int | float | np.number | np.bool_)
        if not is_number or not math.isfinite(float(value)):
            return
        if who not in self._writers:
            self._writers[who] = self._opened(self._folder / who)
        summary = scalar(name, float(value))
        self._write(self._writers[who], Event(step=step, summary=summary))

    def _opened(self, folder: Path) -> EventsWriter:
        """A new file, which hides what older ones have of this step and later ones."""
        folder.mkdir(parents=True, exist_ok=True)
        writer = EventsWriter(str(folder / "events"), f".{time.time_ns()}")
        begins = SessionLog(status=SessionLog.START)
        self._write(writer, Event(step=self._begins, session_log=begins))
        return writer

    @staticmethod
    def _write(writer: EventsWriter, event: Event) -> None:
        event.wall_time = time.time()
        writer.write_event(event)


def _beliefs(rows: pd.DataFrame) -> dict[str, bool]:
    """The columns of a bandit, and whether all members share their values."""
    names = [
        name for name in map(str, rows) if name.startswith(("gp_", "trust_region"))
    ]
    return {name: rows[name].nunique(dropna=False) == 1 for name in names}
