"""How a run is asked to end before its time."""

import contextlib
from collections.abc import Generator

from bgpbt.config.errors import CommandError


class Stopped(CommandError):
    """A run was asked to end, and has; its last round is saved."""

    def __init__(self, message: str, exit_code: int):
        super().__init__(message)
        self.exit_code = exit_code


class Stop:
    """Whoever wants a run to end assigns `exit_code`; it ends after its round."""

    def __init__(self):
        self.exit_code: int | None = None
        self.in_rounds = False  # else nothing is won by waiting
        self.advice = ""  # how to go on, for who is told that the run has ended

    @contextlib.contextmanager
    def rounds(self) -> Generator[None]:
        """Within it, rounds follow each other and `exit_code` is looked at."""
        self.in_rounds = True
        try:
            yield
        finally:
            self.in_rounds = False
