"""Ctrl-C, SIGTERM and SIGHUP end a run after its round, or within ten seconds.

It imports nothing heavy, so that signals count from the first instruction on. Python
runs a handler of its own only when the main thread is back from the device, which may
take as long as a round. So a thread waits for signals and ends the process itself.
Every file is written beside its place, so nothing complete is lost whenever that is.
"""

import contextlib
import os
import signal
import socket
import sys
import threading
from typing import NoReturn

from bgpbt.cli.program import program
from bgpbt.training.stop import Stop

STOP = Stop()
PATIENCE = 10.0  # seconds that a round has to end
NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
_SHOW_CURSOR = b"\x1b[?25h\n"  # a live display hides it


def listen() -> None:
    """Takes the signals of this process from now on; once, in the main thread."""
    numbers = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
    # `nohup` and a shell's `&` have some ignored, and they stay so.
    taken = [n for n in numbers if signal.getsignal(n) != signal.SIG_IGN]
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    for number in taken:
        signal.signal(number, lambda *_: None)
    if hasattr(os, "register_at_fork"):
        _leave_children_alone(taken)
    arguments = (receiver, sender, frozenset(taken))  # the sender must stay open
    threading.Thread(target=_wait, args=arguments, daemon=True).start()


def _leave_children_alone(numbers: list[int]) -> None:
    """A forked child shares the socket, and must not speak for its parent.

    A signal that comes while it is made waits until it has its own handlers.
    """

    def change(how: int) -> None:
        signal.pthread_sigmask(how, numbers)

    def forget() -> None:
        signal.set_wakeup_fd(-1)
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)
        change(signal.SIG_UNBLOCK)

    os.register_at_fork(
        before=lambda: change(signal.SIG_BLOCK),
        after_in_parent=lambda: change(signal.SIG_UNBLOCK),
        after_in_child=forget,
    )


def _wait(receiver: socket.socket, _: socket.socket, taken: frozenset[int]) -> NoReturn:
    number = _next_of(receiver, taken)
    STOP.exit_code = 128 + number
    if STOP.in_rounds:
        _say(f"stopping after this round, in {PATIENCE:.0f} s at the latest")
        receiver.settimeout(PATIENCE)
        with contextlib.suppress(TimeoutError):
            _next_of(receiver, taken)  # whoever asks again does not want to wait
    _say(f"stopped{STOP.advice}")
    end(STOP.exit_code)


def _next_of(receiver: socket.socket, taken: frozenset[int]) -> int:
    """The next of these signals; others belong to somebody else's handlers."""
    while True:
        number = receiver.recv(1)[0]
        if number in taken:
            return number


def end(exit_code: int) -> NoReturn:
    """Ends the process at once: compilations in other threads cannot be stopped."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    os._exit(exit_code)


def _say(line: str) -> None:
    """Prints a line past the live display, which replaces Python's streams."""
    with contextlib.suppress(OSError):
        if os.isatty(1):
            os.write(1, _SHOW_CURSOR)
        os.write(2, f"{program()}: {line}\n".encode())
