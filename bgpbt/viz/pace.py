"""How fast a run goes, and how long it will take."""

from collections.abc import Callable
from typing import NamedTuple


class Spent(NamedTuple):
    """What some rounds took."""

    seconds: float = 0.0
    timesteps: int = 0

    def plus(self, seconds: float, timesteps: int) -> "Spent":
        """Adds one round."""
        return Spent(self.seconds + seconds, self.timesteps + timesteps)


class Pace:
    """Seconds per timestep of the rounds done so far.

    A round that had to wait, say for a compilation, counts only until there is a round
    that did not.
    """

    def __init__(self, clock: Callable[[], float]):
        """Starts the clock of the first round.

        Args:
          clock: returns the time in seconds.
        """
        self._clock = clock
        self._last = clock()
        # The round that goes on.
        self._seconds = 0.0
        self._waited = False
        # The rounds that ended.
        self._with_waiting = Spent()
        self._without_waiting = Spent()

    def spend(self, waiting: bool) -> float:
        """Counts the time since the last call.

        Args:
          waiting: the run waited in that time, which is not counted then.

        Returns:
          The time now, in seconds.
        """
        now = self._clock()
        if not waiting:
            self._seconds += now - self._last
        self._last = now
        self._waited = self._waited or waiting
        return now

    def add(self, timesteps: int) -> None:
        """Ends a round.

        Args:
          timesteps: that the round made. A round without any does not count.
        """
        if timesteps > 0 and self._waited:
            self._with_waiting = self._with_waiting.plus(self._seconds, timesteps)
        elif timesteps > 0:
            self._without_waiting = self._without_waiting.plus(self._seconds, timesteps)
        self._seconds = 0.0
        self._waited = False

    def seconds_for(self, timesteps: int) -> float | None:
        """Estimates the seconds for so many timesteps; None before the first round."""
        known = self._without_waiting
        if not known.timesteps:
            known = self._with_waiting
        if not known.seconds:
            return None
        return max(timesteps, 0) * known.seconds / known.timesteps
