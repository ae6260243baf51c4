"""One checkpoint: a folder of arrays, their layout and the records of their round.

The only module that knows Orbax.
"""

import contextlib
import hashlib
import json
import logging
import math
import os
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd

from bgpbt.config.errors import BadInput, NotSaved
from bgpbt.files import put_in_place, read_json, sync, why, write, write_json
from bgpbt.storage import forms
from bgpbt.storage.packing import Words, pack, unpack
from bgpbt.storage.records_file import parse
from bgpbt.storage.schema import SCHEMA, check_schema, leaf_name, upgrade_layout
from bgpbt.types import PyTree

CHECKSUMS = "checksums.json"
LAYOUT = "layout.json"
ROWS = "rows.csv"
STATE = "state"
PACKED = "arrays"


class Unreadable(Exception):
    """A checkpoint's state does not fit what it is read into; says how."""


def write_checkpoint(
    path: Path,
    state: PyTree,
    rows: pd.DataFrame,
    layout: dict[str, Any],
    copied: dict[str, bytes] | None = None,
) -> None:
    """Writes a checkpoint beside its place and renames it, so that it is never half.

    Args:
      path: its folder.
      state: a tree of arrays.
      rows: the records of the round.
      layout: what decides the shapes of the state, in JSON's words.
      copied: small files of the run, by name.

    Raises:
      NotSaved: the disk is full, or cannot be written; nothing half-written stays.
    """
    partial = path.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    leaves = _by_name(jax.device_get(state), SCHEMA)
    try:
        _write(partial, leaves, rows, layout)
        for name, content in (copied or {}).items():
            write(partial / name, content)
        checksums = _checksums(partial)
        if None in checksums.values():
            raise OSError("what was written cannot be read back")
        write_json(partial / CHECKSUMS, checksums)
        put_in_place(partial, path)
    except Exception as error:  # Orbax has errors of its own for what a disk does
        shutil.rmtree(partial, ignore_errors=True)
        if isinstance(error, MemoryError):
            raise
        reason = why(error.__cause__ or error)
        raise NotSaved(
            f"{path} could not be written: {reason}; the same command goes on after "
            "the last complete one"
        ) from error


def _write(
    partial: Path, leaves: dict[str, Any], rows: pd.DataFrame, layout: dict[str, Any]
) -> None:
    partial.mkdir()
    rows.to_csv(partial / ROWS, index=False)
    packed, words = pack(leaves)
    write_json(partial / LAYOUT, {"schema": SCHEMA, **layout, "arrays": words})
    with _quiet_orbax() as ocp:
        ocp.save((partial / STATE).resolve(), {PACKED: packed})


def remove(path: Path) -> None:
    """Removes a checkpoint; wherever a kill ends it, no half one stays in its place."""
    partial = path.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    os.replace(path, partial)
    sync(path.parent)
    shutil.rmtree(partial, ignore_errors=True)


def check_format(path: Path) -> None:
    """Refuses a checkpoint of a later version of bgpbt; a damaged one passes.

    Raises:
      BadInput: its schema is not known here.
    """
    layout = read_json(path / LAYOUT, forms.Layout)
    if layout is None:
        return
    try:
        check_schema(layout.get("schema", 1), str(path / LAYOUT))
    except BadInput:
        if is_undamaged(path):
            raise


def read_layout(path: Path) -> dict[str, Any]:
    """What decides the shapes of a checkpoint, in today's words.

    Raises:
      BadInput: the checkpoint's schema is not known here.
    """
    layout = json.loads((path / LAYOUT).read_text())
    check_schema(layout.get("schema", 1), str(path / LAYOUT))
    return upgrade_layout(layout)


def read_checkpoint(path: Path, template: PyTree) -> PyTree:
    """The state of a checkpoint, also of an older schema.

    Args:
      path: its folder.
      template: an untrained state of the same shapes, types and placement. A leaf that
        the checkpoint's schema did not have comes from here.

    Raises:
      BadInput: the checkpoint's schema is not known here.
      Unreadable: the state does not fit the template.
    """
    schema = read_layout(path)["schema"]
    wanted = _by_name(template, schema)
    try:
        if schema < 3:
            leaves = _read_named(path, wanted)
        else:
            leaves = unpack(*read_packed(path), wanted)
    except (KeyError, TypeError, ValueError) as error:
        raise Unreadable(f"does not fit this run ({why(error)})") from error

    def read(key_path: tuple, x: Any) -> Any:
        name = _name(key_path, schema)
        return x if name is None else leaves.get(name, x)

    return jax.tree_util.tree_map_with_path(read, template)


def read_parts(path: Path, name: str, templates: dict[str, PyTree]) -> dict:
    """Parts of the state of a checkpoint, such as the weights of the saved best.

    Args:
      path: its folder.
      name: of what they are parts of, as in `best.state`.
      templates: of each part by name, as in `read_checkpoint`.

    Raises:
      BadInput: the checkpoint's schema is not known here.
      Unreadable: a part does not fit its template, or the checkpoint is an old one.
    """
    schema = read_layout(path)["schema"]
    if schema < 3:
        raise Unreadable("is of an older version, continue that run first")
    own = _by_name(templates, schema)
    wanted = {f"{name}.{part}": x for part, x in own.items()}
    prefixes = tuple(f"{name}.{part}" for part in templates)
    try:
        leaves = unpack(*read_packed(path), wanted, prefixes)
    except (KeyError, TypeError, ValueError) as error:
        raise Unreadable(f"does not fit this run ({why(error)})") from error
    return jax.tree_util.tree_map_with_path(
        lambda path, x: leaves.get(f"{name}.{_name(path, schema)}", x), templates
    )


def read_packed(path: Path) -> tuple[np.ndarray, Words]:
    """The bytes of all arrays of a checkpoint, and what they are; from schema 3 on."""
    with _quiet_orbax() as ocp:
        packed = ocp.load((path / STATE).resolve())[PACKED]
    return packed, read_layout(path)["arrays"]


def read_rows(path: Path) -> pd.DataFrame:
    """The records in an undamaged checkpoint, as text."""
    return parse((path / ROWS).read_text(encoding="utf-8"))


def read_own(
    path: Path, round_: int, run: str | None
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The small files of a checkpoint, if it is that of a round of a run.

    Args:
      path: its folder.
      round_: that its place stands for.
      run: identity of the run; None: not known.

    Returns:
      Its records, as text, and what decides the shapes of its state.

    Raises:
      Unreadable: it is of something else, damaged, or a running process has just
        removed it.
    """
    saved = read_json(path / CHECKSUMS, forms.Checksums)
    layout = read_json(path / LAYOUT, forms.Layout)
    small = (path / LAYOUT, path / ROWS)
    if not saved or not layout or any(saved.get(p.name) != _digest(p) for p in small):
        raise Unreadable("is damaged")
    try:
        rows = read_rows(path)
    except OSError as error:
        raise Unreadable(f"is gone ({why(error)})") from error
    of_round = int(rows["round"].iloc[-1])
    if of_round != round_:
        raise Unreadable(f"is that of round {of_round}")
    its_run = layout.get("run") or run  # older ones do not say
    if run is not None and its_run != run:
        raise Unreadable("is of another run")
    return rows, layout


def has_copy(path: Path, name: str) -> bool:
    """Whether a checkpoint has a small file of the run, as it was saved."""
    saved = (read_json(path / CHECKSUMS, forms.Checksums) or {}).get(name)
    return saved is not None and saved == _digest(path / name)


def check_usable(path: Path, round_: int, run: str | None) -> None:
    """Raises Unreadable as `read_own`, and where anything in it is damaged."""
    read_own(path, round_, run)
    if not is_undamaged(path):
        raise Unreadable("is damaged")


def is_undamaged(path: Path) -> bool:
    """Whether all that was written into a checkpoint is there; more may be.

    Orbax itself would not notice every wrong bit.
    """
    saved = read_json(path / CHECKSUMS, forms.Checksums)
    there = _checksums(path)
    return bool(saved) and all(there.get(name) == x for name, x in saved.items())


def _read_named(path: Path, templates: dict[str, Any]) -> dict[str, Any]:
    """The arrays of a checkpoint up to schema 2, in which each has a name."""

    def shape(x):
        if isinstance(x, jax.Array):
            return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding)
        return x

    wanted = {name: shape(x) for name, x in templates.items()}
    with _quiet_orbax() as ocp:
        return ocp.load((path / STATE).resolve(), wanted)


def _checksums(path: Path) -> dict[str, str | None]:
    files = (p for p in sorted(path.rglob("*")) if p.is_file() and p.name != CHECKSUMS)
    return {p.relative_to(path).as_posix(): _digest(p) for p in files}


def _digest(path: Path) -> str | None:
    """SHA-256 of a file, None where it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def _name(key_path: tuple, schema: int) -> str | None:
    path = jax.tree_util.keystr(key_path, simple=True, separator=".")
    return leaf_name(path, schema)


def _by_name(tree: PyTree, schema: int) -> dict[str, Any]:
    """The leaves that a schema has, by name; none of size zero, and no scalars."""
    named = (
        (_name(path, schema), x)
        for path, x in jax.tree_util.tree_leaves_with_path(tree)
    )
    return {
        name: np.asarray(x) if isinstance(x, np.generic) else x
        for name, x in named
        if name is not None and math.prod(x.shape)
    }


@contextlib.contextmanager
def _quiet_orbax() -> Generator[Any]:
    """Orbax's V1 interface, which becomes the top level in 1.0, without its log.

    It logs an error with its traceback, and raises it, too.
    """
    from orbax.checkpoint import v1 as ocp

    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield ocp
    finally:
        logger.setLevel(level)
