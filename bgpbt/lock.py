"""One process at a time works in a run folder."""

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path

from bgpbt.config.errors import BadInput

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None

_HELD: list[io.TextIOBase] = []  # a file that is closed is no longer locked


def lock(path: Path) -> None:
    """Takes a run for this process, which keeps it to its end, however that comes.

    Args:
      path: the lock's file; made where it is missing.

    Raises:
      BadInput: another process has it.
    """
    if fcntl is not None and not holds(path):
        _HELD.append(_locked(path))


def check_free(path: Path) -> None:
    """Raises BadInput where another process has taken a run; changes nothing."""
    if fcntl is not None and path.exists() and not holds(path):
        _locked(path).close()  # which frees it


def is_taken(path: Path) -> bool:
    """Whether another process is at work in a run; changes nothing."""
    try:
        check_free(path)
    except BadInput:
        return True
    return False


def _locked(path: Path) -> io.TextIOBase:
    assert fcntl is not None
    try:
        handle = open(path, "a")
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}, give another -n") from None
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        handle.close()
        raise BadInput(
            f"another process is at work in {path.parent}, "
            "wait for it or give another -n",
            "save_dir",
        ) from None
    except OSError:
        pass  # a file system without locks
    return handle


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Waits until no other process is between here and the end of the block.

    Args:
      path: the lock's file; made where it is missing.
    """
    if fcntl is None:
        yield
        return
    with open(path, "a") as handle:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.lockf(handle, fcntl.LOCK_EX)
        yield


def holds(path: Path) -> bool:
    """Whether a file of that place is one that this process has locked."""
    if fcntl is None:
        return True
    try:
        there = path.stat()
    except OSError:
        return False
    held = (os.fstat(handle.fileno()) for handle in _HELD)
    return any(os.path.samestat(there, mine) for mine in held)
