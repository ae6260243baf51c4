"""The calls by which the training loop reports its progress."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, Protocol

import pandas as pd


class Round(NamedTuple):
    """What a callback gets after a round."""

    path: Path  # the run's folder
    seed: int
    number: int
    records: pd.DataFrame  # a row for each member, as in `records.csv`


OnRound = Callable[[Round], None]


class Observer(Protocol):
    """Sees a run go on, such as `bgpbt.viz.display.Display`.

    Nothing that it does changes what a run computes. Fitnesses are the task's own
    numbers.
    """

    def start(self, timesteps: int) -> None:
        """Called once, with where this process begins.

        Args:
          timesteps: of one member, done before.
        """
        ...

    def notice(self, text: str) -> None:
        """Called with one line for the user."""
        ...

    def phase(self, name: str, note: str = "") -> None:
        """Called when a phase begins, which ends the one before.

        Args:
          name: such as compiling, training, evaluating, saving, resuming.
          note: what is done in it.
        """
        ...

    def untrained(self, best: float, median: float) -> None:
        """Called with the fitness of the best and of the median untrained member."""
        ...

    def round(
        self,
        round: int,
        timesteps: int,
        steps_per_second: float | None,
        best: float | None,
        median: float | None,
        best_so_far: float | None,
        replacements: Iterable[str] = (),
        failures: Iterable[str] = (),
    ) -> None:
        """Called with the figures of a round that just ended.

        Args:
          round: its number.
          timesteps: of one member so far.
          steps_per_second: of the whole population, while it trained.
          best: fitness of the round's best member.
          median: fitness of the round's median member.
          best_so_far: best fitness of the run.
          replacements: who was replaced by whom, in words.
          failures: who failed, in words.
        """
        ...
