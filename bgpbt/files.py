"""Files of a run: written beside their place and renamed, read with suspicion."""

import contextlib
import errno
import json
import os
import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from bgpbt.config.errors import NotSaved


def write(path: Path, content: str | bytes) -> None:
    """Writes a file beside its place and renames it: nobody ever reads half of it.

    Args:
      path: of the file, in a folder that exists.
      content: all of it.

    Raises:
      NotSaved: the disk is full, or cannot be written; what was there before stays.
    """
    partial = path.with_name(f"{path.name}.partial")
    data = content.encode() if isinstance(content, str) else content
    try:
        partial.unlink(missing_ok=True)
        with partial.open("xb") as file:  # a link of that name is not followed
            file.write(data)
        put_in_place(partial, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise NotSaved(f"{path} could not be written: {why(error)}") from error


def put_in_place(partial: Path, path: Path) -> None:
    """Renames a file or folder once all of it has reached the disk.

    Else a power cut could leave the new name and not what is in it.

    Raises:
      OSError: it cannot be written.
    """
    for written in [*partial.rglob("*"), partial]:
        sync(written)
    os.replace(partial, path)
    sync(path.parent)


def make_folder(path: Path) -> None:
    """Makes a folder and those above it, and has their names reach the disk.

    Raises:
      OSError: it cannot be made.
    """
    new = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in new:
        sync(folder.parent)


def sync(path: Path) -> None:
    """Waits until a file, or the names in a folder, have reached the disk.

    Raises:
      OSError: they cannot be written.
    """
    if path.is_dir() and os.name == "nt":
        return  # Windows cannot be asked for a folder
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some know no such thing
            raise
    finally:
        os.close(handle)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes a JSON file as `write` does."""
    write(path, json.dumps(content, indent=2) + "\n")


def why(error: BaseException) -> str:
    """What went wrong, in a line of at most 300 characters."""
    if code := re.search(r"os_error_code='(\d+)'", str(error)):  # of TensorStore
        return os.strerror(int(code[1]))
    said = getattr(error, "strerror", None) or str(error).strip()
    line = next(iter(said.splitlines()), "")[:300]
    return line if isinstance(error, OSError) else f"{type(error).__name__}: {line}"


def read_json(path: Path, form: type[BaseModel]) -> dict[str, Any] | None:
    """The content of a JSON file.

    Args:
      path: of the file.
      form: what must be in it; other things may be.

    Returns:
      The content, None where the file is missing, damaged or of another form.
    """
    try:
        content = json.loads(path.read_bytes())
        form.model_validate(content, strict=True)
    except (OSError, ValueError, RecursionError):
        return None
    return content
