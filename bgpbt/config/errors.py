"""What can go wrong before and in a run, as exceptions whose message is one line."""

import difflib

LONGEST = 1000  # characters of a message


class CommandError(Exception):
    """What ends a command with one line, its message, and with `exit_code`."""

    exit_code: int


class BadInput(CommandError, ValueError):
    """A setting or file that cannot be used.

    The message is one line: what is wrong, where, and what would be right.
    """

    exit_code = 2

    def __init__(self, message: str, field: str | None = None):
        super().__init__(one_line(message))
        self.field = field


class NotSaved(CommandError, RuntimeError):
    """A round could not be written; the complete ones before it are intact."""

    exit_code = 4


class OutOfMemory(CommandError, RuntimeError):
    """The devices or the machine have too little memory; says what would fit."""

    exit_code = 5


class PopulationLost(CommandError, RuntimeError):
    """All members failed in the same round, so that nobody is left to inherit from."""

    exit_code = 3


def one_line(text: str) -> str:
    """A text as a line: no control characters, and at most so many characters.

    What is echoed may be a whole file. The advice stands at the end.
    """
    words = " ".join(text.split())
    line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in words)
    return line if len(line) <= LONGEST else f"{line[:700]} ... {line[-250:]}"


def nearest(name: str, known: tuple[str, ...], otherwise: str | None = None) -> str:
    """Words for an error message: which of the `known` names are close to `name`.

    Args:
      name: what was given.
      known: what would be right.
      otherwise: the words where no name is close; None: all known names.
    """
    close = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.5)
    if close:
        return f"nearest: {', '.join(close)}"
    return otherwise or f"known: {', '.join(known)}"
