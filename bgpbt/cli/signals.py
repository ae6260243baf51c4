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
_SHOW_CURSOR = "\x1b[?25h\n"  # a live display hides it


def listen() -> None:
    """Takes the signals of this process from now on; once, in the main thread."""
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        # `nohup` and a shell's `&` have some ignored, and they stay so.
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
    ends = (receiver, sender)  # a collected sender would be closed
    threading.Thread(target=_wait, args=ends, daemon=True).start()


def _wait(receiver: socket.socket, _: socket.socket) -> NoReturn:
    STOP.exit_code = 128 + receiver.recv(1)[0]
    if STOP.in_rounds:
        _say(f"stopping after this round, in {PATIENCE:.0f} s at the latest")
        receiver.settimeout(PATIENCE)
        with contextlib.suppress(TimeoutError):
            receiver.recv(1)  # whoever asks again does not want to wait
    _say(f"stopped{STOP.advice}")
    end(STOP.exit_code)


def end(exit_code: int) -> NoReturn:
    """Ends the process at once: compilations in other threads cannot be stopped."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    os._exit(exit_code)


def _say(line: str) -> None:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        below_display = _SHOW_CURSOR if sys.stderr.isatty() else ""
        sys.stderr.write(f"{below_display}{program()}: {line}\n")
        sys.stderr.flush()
