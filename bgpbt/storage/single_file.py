"""Words and arrays in one file: never half-written, and read back to the same bits.

The first line says the kind of file, its version and the SHA-256 of the rest, which is
NumPy's archive. Nothing of it is run when it is read.
"""

import hashlib
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from bgpbt.config.errors import BadInput, NotSaved
from bgpbt.files import why, write

_WORDS = "words"


def write_file(
    path: Path, kind: str, version: int, words: dict[str, Any], arrays: list[Any]
) -> None:
    """Writes a file beside its place and renames it.

    Args:
      path: of the file; a missing folder is made.
      kind: what it is, in a word.
      version: of its content.
      words: in JSON's terms.
      arrays: on the host.

    Raises:
      NotSaved: the disk is full, or cannot be written; what was there before stays.
    """
    if not path.name:
        raise NotSaved(f"{path} is no file, give a path such as tuner.bgpbt")
    named = {str(i): np.asarray(x) for i, x in enumerate(arrays)}
    named[_WORDS] = np.frombuffer(json.dumps(words).encode(), np.uint8)
    archive = io.BytesIO()
    np.savez(archive, allow_pickle=False, **named)
    body = archive.getvalue()
    first_line = f"{kind} {version} {hashlib.sha256(body).hexdigest()}\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NotSaved(f"{path} could not be written: {why(error)}") from error
    write(path, first_line.encode() + body)


def read_file(
    path: Path, kind: str, version: int
) -> tuple[dict[str, Any], list[np.ndarray]]:
    """The words and arrays of a file.

    Types that NumPy does not know, such as bfloat16, come back as plain bytes.

    Raises:
      BadInput: there is no such file, it is of another kind or version, or damaged.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: not readable: {error.strerror}") from None
    first_line, _, body = content.partition(b"\n")
    match = re.fullmatch(rf"{kind} (\d+) ([0-9a-f]{{64}})".encode(), first_line)
    if match is None:
        raise BadInput(f"{path}: is no saved {kind}, or its beginning is damaged")
    if int(match[1]) != version:
        raise BadInput(
            f"{path}: version {int(match[1])} is not known here ({version} is), "
            "use the version of bgpbt that wrote it"
        )
    if hashlib.sha256(body).hexdigest().encode() != match[2]:
        raise BadInput(f"{path}: is damaged, give an earlier copy")
    with np.load(io.BytesIO(body), allow_pickle=False) as archive:
        words = json.loads(archive[_WORDS].tobytes())
        return words, [archive[str(i)] for i in range(len(archive.files) - 1)]
