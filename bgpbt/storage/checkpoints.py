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
from bgpbt.storage.schema import SCHEMA, check_schema, leaf_name, upgrade_layout
from bgpbt.types import PyTree

CHECKSUMS = "checksums.json"
LAYOUT = "layout.json"
ROWS = "rows.csv"
STATE = "state"


def write_checkpoint(
    path: Path, state: PyTree, rows: pd.DataFrame, layout: dict[str, Any]
) -> None:
    """Writes a checkpoint beside its place and renames it, so that it is never half.

    Args:
      path: its folder.
      state: a tree of arrays.
      rows: the records of the round.
      layout: what decides the shapes of the state, in JSON's words.

    Raises:
      NotSaved: the disk is full, or cannot be written; nothing half-written stays.
    """
    partial = path.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    # Orbax writes the host's arrays in half the time of those of several devices.
    leaves = _by_name(jax.device_get(state), SCHEMA)
    try:
        _write(partial, leaves, rows, layout)
        os.replace(partial, path)
    except Exception as error:  # Orbax has errors of its own for what a disk does
        shutil.rmtree(partial, ignore_errors=True)
        why = next(iter(str(error).strip().splitlines()), "")
        raise NotSaved(
            f"{path} could not be written: {type(error).__name__}: {why[:300]}; the "
            "rounds before it are intact, and the same command goes on after them"
        ) from error


def _write(
    partial: Path, leaves: dict[str, Any], rows: pd.DataFrame, layout: dict[str, Any]
) -> None:
    partial.mkdir()
    rows.to_csv(partial / ROWS, index=False)
    write_json(partial / LAYOUT, {"schema": SCHEMA} | layout)
    with _quiet_orbax() as ocp:
        ocp.save((partial / STATE).resolve(), leaves)
    write_json(partial / CHECKSUMS, _checksums(partial))


def check_format(path: Path) -> None:
    """Refuses a checkpoint of a later version of bgpbt; a damaged one passes.

    Raises:
      BadInput: its schema is not known here.
    """
    try:
        schema = json.loads((path / LAYOUT).read_text()).get("schema", 1)
    except (OSError, ValueError):
        return
    try:
        check_schema(schema, str(path / LAYOUT))
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
      BadInput: the checkpoint's schema is not known here. Orbax raises where the state
        does not fit the template.
    """
    schema = read_layout(path)["schema"]
    wanted = _by_name(shapes_like(template), schema)
    with _quiet_orbax() as ocp:
        leaves = ocp.load((path / STATE).resolve(), wanted)
    return jax.tree_util.tree_map_with_path(
        lambda key_path, x: leaves.get(_name(key_path, schema), x), template
    )


def is_undamaged(path: Path) -> bool:
    """Whether a checkpoint is as it was written.

    Orbax itself would not notice every wrong bit.
    """
    try:
        return json.loads((path / CHECKSUMS).read_text()) == _checksums(path)
    except (OSError, ValueError):
        return False


def shapes_like(tree: PyTree) -> PyTree:
    """Shapes, dtypes and shardings of a tree of arrays; what is empty stays."""

    def shape(x):
        if isinstance(x, jax.Array) and x.size:
            return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding)
        return x

    return jax.tree.map(shape, tree)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes a file beside its place and renames it."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(json.dumps(content, indent=2) + "\n")
    os.replace(partial, path)


def _checksums(path: Path) -> dict[str, str]:
    files = (p for p in sorted(path.rglob("*")) if p.is_file() and p.name != CHECKSUMS)
    return {
        p.relative_to(path).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in files
    }


def _name(key_path: tuple, schema: int) -> str | None:
    path = jax.tree_util.keystr(key_path, simple=True, separator=".")
    return leaf_name(path, schema)


def _by_name(tree: PyTree, schema: int) -> dict[str, Any]:
    """The leaves that a schema has, by name.

    Orbax saves no array of size zero and no NumPy scalar.
    """
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
    """Orbax's V1 interface, which becomes the top level in 1.0, without its log."""
    from orbax.checkpoint import v1 as ocp

    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield ocp
    finally:
        logger.setLevel(level)
