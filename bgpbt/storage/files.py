"""Files of a run: written beside their place and renamed, read with suspicion."""

import contextlib
import json
import os
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
        partial.write_bytes(data)
        os.replace(partial, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise NotSaved(f"{path} could not be written: {why(error)}") from error


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes a JSON file as `write` does."""
    write(path, json.dumps(content, indent=2) + "\n")


def why(error: BaseException) -> str:
    """What went wrong, in a line of at most 300 characters."""
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
