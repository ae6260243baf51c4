"""One process at a time works in a run folder."""

import io
import os
from pathlib import Path

from bgpbt.config.errors import BadInput

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None

_HELD: list[io.TextIOBase] = []  # a file that is closed is no longer locked


def lock(path: Path, *, create: bool) -> None:
    """Takes a run for this process, which keeps it to its end, however that comes.

    Args:
      path: the lock's file.
      create: False: a run without the file is not locked.

    Raises:
      BadInput: another process has it.
    """
    if fcntl is None or not (create or path.exists()) or holds(path):
        return
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
    _HELD.append(handle)


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
