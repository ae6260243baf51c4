"""The database of experiments: what designs were worth, in a file of its own.

Columns and spelling are those of nas-dmrl, so that its files are read, too, and those
that somebody filled by hand. A reward is a pure function of design and data set, so
what the database knows changes how long a run takes, and nothing else.
"""

import csv
import io
import math
import re
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np

from bgpbt.config.errors import BadInput
from bgpbt.files import write
from bgpbt.networks.structure import (
    LAYERS,
    Kind,
    Rows,
    can_be_built,
    digest,
    is_chain,
    rows_of,
    text,
)

COLUMNS = (
    "dataset-nethash",
    "netstring",
    "reward",
    "accuracy",
    "density",
    "flops",
    "timestamp",
    "running_time",
    "is_valid",
)
_TIME = "%Y-%m-%d %H:%M:%S"
_BOOLEANS = {"True": True, "False": False}


class Form(NamedTuple):
    """What the designs of a database must be."""

    depth: int  # d, rows of a design
    side: int | None = None  # of the images, pixels; None: not known
    joins: bool = True  # layers may read any other, and two


class Experiment(NamedTuple):
    """A design that was trained, or that could not be built."""

    rows: np.ndarray  # [d, 5], empty ones first
    reward: float  # in percent, before it is divided by 100
    accuracy: float  # in [0, 1]
    density: float
    flops: float
    timestamp: datetime
    running_time: int  # seconds, ours are a mean over those of a round
    is_valid: bool


def read(path: Path, data_set: str, form: Form) -> dict[str, Experiment]:
    """The experiments of a file, by the digest of their design; none without a file.

    Args:
      path: of the database.
      data_set: whose experiments it must hold.
      form: what its designs must be.

    Raises:
      BadInput: the file cannot be read, or a line of it is not what it should be.
    """
    try:
        content = path.read_text(encoding="utf-8-sig")  # tables are saved with a mark
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: not readable: {error}") from None
    if content and not content.endswith("\n"):
        last = content.count("\n") + 1
        _refuse(path, last, "is cut short, remove it")
    try:
        lines = list(csv.reader(io.StringIO(content)))
    except csv.Error as error:
        raise BadInput(f"{path}: not readable: {error}") from None
    if lines and tuple(lines[0]) != COLUMNS:
        _refuse(path, 1, f"is not {','.join(COLUMNS)}")
    found = {}
    for number, fields in enumerate(lines[1:], 2):
        key, experiment = _parsed(path, number, fields, data_set, form)
        found.setdefault(key, experiment)
    return found


def best(path: Path, data_set: str, form: Form, count: int) -> list[tuple[Rows, float]]:
    """The designs with the highest accuracies, best first, each with its accuracy.

    Designs that differ in their terminal layer alone count once.

    Args:
      path: of the database.
      data_set: whose experiments it must hold.
      form: what its designs must be.
      count: how many at most.

    Raises:
      BadInput: as `read`.
    """
    found = [x for x in read(path, data_set, form).values() if x.is_valid]
    distinct: dict[Rows, float] = {}
    for one in sorted(found, key=lambda x: -x.accuracy):
        distinct.setdefault(rows_of(one.rows), one.accuracy)
    return list(distinct.items())[:count]


def _parsed(
    path: Path, number: int, fields: list[str], data_set: str, form: Form
) -> tuple[str, Experiment]:
    if len(fields) != len(COLUMNS):
        _refuse(path, number, f"has {len(fields)} fields, give {len(COLUMNS)}")
    named = dict(zip(COLUMNS, fields, strict=True))
    its_set, _, key = named["dataset-nethash"].rpartition("-")
    if its_set != data_set:
        _refuse(path, number, f"is of {its_set!r}, give a database of {data_set!r}")
    rows = _rows(path, number, named["netstring"], form)
    if digest(rows) != key:
        _refuse(path, number, f"has the digest {key}, its design has {digest(rows)}")
    numbers = {}
    for name in ("reward", "accuracy", "density", "flops", "running_time"):
        try:
            numbers[name] = float(named[name])
        except ValueError:
            numbers[name] = math.nan
        if not math.isfinite(numbers[name]):
            _refuse(path, number, f"{name} {named[name][:40]!r} is no number")
    if not 0 <= numbers["accuracy"] <= 1:
        _refuse(path, number, f"accuracy {named['accuracy']} is not in [0, 1]")
    if named["is_valid"] not in _BOOLEANS:
        _refuse(path, number, f"is_valid {named['is_valid']!r}, give True or False")
    try:
        time = datetime.strptime(named["timestamp"], _TIME)
    except ValueError:
        _refuse(path, number, f"timestamp {named['timestamp']!r}, give {_TIME}")
    seconds = int(numbers.pop("running_time"))
    is_valid = _BOOLEANS[named["is_valid"]]
    if is_valid and form.side and not can_be_built(rows_of(rows), form.side):
        size = f"{form.side} x {form.side}"
        _refuse(path, number, f"its design does not fit {size} pixels, and is_valid")
    return key, Experiment(
        rows, **numbers, timestamp=time, running_time=seconds, is_valid=is_valid
    )


def _rows(path: Path, number: int, netstring: str, form: Form) -> np.ndarray:
    """A design as it is written, `[d, 5]`."""
    if not re.fullmatch(r"(?:\d{1,3}(?:-\d{1,3}){4};)*", netstring):
        _refuse(path, number, f"{netstring[:40]!r} is no design, give a-b-c-d-e;...")
    rows = [list(map(int, row.split("-"))) for row in netstring.split(";")[:-1]]
    if len(rows) != form.depth:
        _refuse(path, number, f"its design has {len(rows)} rows, give {form.depth}")
    design = np.array(rows, np.int32)
    filled = design[design[:, 0] > 0]
    in_order = (filled[:, 0] == np.arange(1, len(filled) + 1)).all()
    empty_first = not design[: form.depth - len(filled)].any()
    terminal_last = (filled[:-1, 1] != Kind.terminal).all()
    known = all((kind, kernel) in LAYERS for kind, kernel in filled[:, 1:3].tolist())
    reads_earlier = (filled[:, 3:] < filled[:, :1]).all()
    if not (in_order and empty_first and terminal_last and known and reads_earlier):
        _refuse(path, number, "its design has rows that no design has")
    if not (form.joins or is_chain(rows_of(design))):
        _refuse(path, number, "its design has branches, give one of chains")
    return design


def _refuse(path: Path, number: int, problem: str) -> NoReturn:
    raise BadInput(f"{path}: line {number} {problem}")


def write_all(path: Path, data_set: str, experiments: Iterable[Experiment]) -> None:
    """Writes a database beside its place and renames it.

    Raises:
      NotSaved: the disk is full, or cannot be written; what was there before stays.
    """
    content = io.StringIO()
    writer = csv.writer(content, lineterminator="\n")
    writer.writerow(COLUMNS)
    for experiment in experiments:
        numbers = experiment.reward, experiment.accuracy
        numbers += experiment.density, experiment.flops
        writer.writerow(
            [
                f"{data_set}-{digest(experiment.rows)}",
                text(experiment.rows),
                *map(repr, map(float, numbers)),
                experiment.timestamp.isoformat(sep=" ", timespec="seconds"),
                experiment.running_time,
                experiment.is_valid,
            ]
        )
    write(path, content.getvalue())
