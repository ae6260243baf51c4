"""Standard streams, which may be closed."""

import os
import sys


def open_streams() -> None:
    """Puts the null device in the place of closed ones, before any file is opened.

    A file would take the number of a closed stream, and get what is printed.
    """
    for number, name, mode in (
        (0, "stdin", "r"),
        (1, "stdout", "w"),
        (2, "stderr", "w"),
    ):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it gets the lowest number that is free
            setattr(sys, name, open(number, mode, closefd=False))
