"""`records.csv` as text: appended round by round, made whole from checkpoints.

Numbers stay spelt as they were.
"""

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from bgpbt.config.errors import NotSaved
from bgpbt.storage.files import sync, why, write

RECORDS = "records.csv"
_KEYS = ["round", "member"]
_NEEDED = {*_KEYS, "parent", "fitness", "timesteps"}  # a header without is damaged
_WORDS = ("why", "phase", "source")


class Records(NamedTuple):
    """The records of a run up to a round."""

    rows: pd.DataFrame  # of text, by round and member
    lacks: str  # what is not there, in words; "" where all is


def append(path: Path, rows: pd.DataFrame) -> None:
    """Appends rows; columns that only one of both has stay empty in the other.

    Raises:
      NotSaved: the disk is full, or cannot be written.
    """
    try:
        present = _columns(path)
        wanted = [str(name) for name in rows]
        columns = [*wanted, *(name for name in present if name not in wanted)]
        if columns != present:
            before = (
                parse(path.read_text(encoding="utf-8")) if present else pd.DataFrame()
            )
            write(path, before.reindex(columns=columns).to_csv(index=False))
        rows.reindex(columns=columns).to_csv(path, mode="a", header=False, index=False)
        sync(path)
    except (OSError, NotSaved) as error:
        reason = why(error.__cause__ or error)
        raise NotSaved(
            f"{path} could not be written: {reason}; the checkpoint of the round has "
            "its rows, and the same command goes on"
        ) from error


def _columns(path: Path) -> list[str]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8") as file:
        return next(csv.reader(file), [])


def parse(text: str) -> pd.DataFrame:
    """The records in a text that is whole, as text."""
    return pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)


def complete(
    path: Path,
    kept: list[pd.DataFrame],
    last: int | None = None,
    count: int | None = None,
) -> Records:
    """The records up to a round, with the rows that checkpoints hold put back.

    Args:
      path: of `records.csv`, which may be damaged or missing.
      kept: the rows in each checkpoint, as text, with all members of their rounds;
        ascending.
      last: the round; None: the last that is there.
      count: of rows that there must be up to the last checkpoint; None: not known.
    """
    written = _whole_lines(path)
    known = {round_ for rows in kept for round_ in rows["round"]}
    written = written[~written["round"].isin(known)]
    rows = pd.concat([written, *kept], ignore_index=True).fillna("")
    rounds, members = (rows[key].to_numpy().astype(np.int64) for key in _KEYS)
    order = np.lexsort((members, rounds))
    if last is not None:
        order = order[rounds[order] <= last]
    rows = rows.iloc[order].drop_duplicates(_KEYS)
    counted = int(kept[-1]["round"].iloc[-1]) if kept else last
    return Records(rows, _missing(rows, counted, count))


def _whole_lines(path: Path) -> pd.DataFrame:
    """The lines that are rows; a kill, a disk or a person may have spoilt others.

    Each line is read by itself, so that a stray quote does not swallow those after it.
    """
    nothing = pd.DataFrame(columns=_KEYS, dtype=str)
    try:
        text = path.read_bytes().decode(errors="replace")
    except OSError:
        return nothing
    lines = [_fields(line) for line in text.split("\n")[:-1]]  # the last is half, or ""
    header = lines[0] if lines else []
    if len(set(header)) < len(header) or not set(header) >= _NEEDED:
        return nothing
    whole = [line for line in lines if len(line) == len(header)]
    rows = pd.DataFrame(whole, columns=header, dtype=str)
    for name in rows:
        rows = rows[_is_plausible(str(name), rows[name])]
    return rows


def _is_plausible(name: str, column: pd.Series) -> pd.Series:
    """Which values of a column it may have."""
    if name in _KEYS:
        return column.str.fullmatch("[0-9]{1,7}")
    if name in _WORDS:
        return column.str.fullmatch("[a-z_]*")
    numbers = pd.to_numeric(column, errors="coerce")
    return numbers.notna() | column.isin(("", "True", "False"))


def _fields(line: str) -> list[str]:
    try:
        return next(csv.reader([line]), [])
    except csv.Error:
        return []


def _missing(rows: pd.DataFrame, counted: int | None, count: int | None) -> str:
    """Which rounds or rows are not there, in words; `count` rows up to `counted`."""
    rounds = rows["round"].astype(int)
    last = max([*rounds, counted or 0])
    gone = sorted(set(range(last + 1)) - set(rounds))
    words = [f"round{'s' * (len(gone) > 1)} {_spans(gone)}"] if gone else []
    if "phase" in rows:
        # In training, every round has all members.
        sizes = rounds[rows["phase"] == "training"].value_counts()
        if short := sorted(sizes.index[sizes < sizes.max()]):
            words.append(f"members of round{'s' * (len(short) > 1)} {_spans(short)}")
    there = len(rows) if counted is None else len(rows[rounds <= counted])
    lacking = 0 if count is None else max(0, count - there)
    if lacking:
        in_all = f"{lacking} row{'s' * (lacking > 1)}"
        words = [f"{' and '.join(words)} ({in_all})" if words else in_all]
    return " and ".join(words)


def _spans(numbers: Iterable[int]) -> str:
    """Whole numbers in ascending order, in words: 1, 3 to 5."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ", ".join(f"{a}" if a == b else f"{a} to {b}" for a, b in spans)
