"""One process at a time works in a run folder."""

import io
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
    if fcntl is None or not (create or path.exists()):
        return
    handle = open(path, "a")
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
