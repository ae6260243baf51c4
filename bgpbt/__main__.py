"""`bgpbt` and `python -m bgpbt`: the command."""

from collections.abc import Callable
from typing import NoReturn

from bgpbt.cli.signals import listen
from bgpbt.cli.streams import open_streams


def start() -> Callable[[], NoReturn]:
    """Listens to signals, then imports the command, which takes half a second."""
    open_streams()
    listen()
    from bgpbt.cli.command import run_command

    return run_command


def main() -> None:
    """Does what argv says, and ends the process."""
    start()()


if __name__ == "__main__":
    main()
