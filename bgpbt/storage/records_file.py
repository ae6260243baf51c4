"""`records.csv` as text: appended round by round, made whole from checkpoints.

Numbers stay spelt as they were.
"""

import csv
import hashlib
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bgpbt.config.errors import NotSaved
from bgpbt.files import sync, why, write

RECORDS = "records.csv"
_KEYS = ["round", "member"]
_NEEDED = {*_KEYS, "parent", "fitness", "timesteps"}  # a header without is damaged
_WORDS = ("why", "phase", "source")


class Records(NamedTuple):
    """The records of a run up to a round."""

    rows: pd.DataFrame  # of text, by round and member
    lacks: str  # what is not there, in words; "" where all is
    lacking: int  # rows, where it is known how many there must be
    changed: bool  # a value is not the one that the run wrote


class Written(NamedTuple):
    """What `records.csv` holds, as far as the next rows and checkpoints must know."""

    columns: list[str]
    count: int  # of rows, with those that were lost
    sha256: Any  # of the file, to be copied before it is updated
    changed: bool  # see `Records`

    def words(self) -> dict[str, Any]:
        """What a checkpoint says of it, in its layout."""
        words = {"records": self.count, "records_sha256": self.sha256.hexdigest()}
        return words | ({"records_changed": True} if self.changed else {})


NOTHING = Written([], 0, hashlib.sha256(), changed=False)


class Addition(NamedTuple):
    """Rows to be appended."""

    text: str
    is_whole: bool  # the file anew, because its columns change
    after: Written


def written(records: Records) -> Written:
    """What a file holds that was written as `to_csv` spells these records."""
    text = records.rows.to_csv(index=False)
    count = len(records.rows) + records.lacking
    sha256 = hashlib.sha256(text.encode())
    return Written(list(map(str, records.rows)), count, sha256, records.changed)


def add(path: Path, before: Written, rows: pd.DataFrame) -> Addition:
    """What must be written for further rows; writes nothing.

    Columns that only the file or only the rows have stay empty in the other.

    Raises:
      OSError, ValueError: the file must be written anew, and cannot be read.
    """
    wanted = [str(name) for name in rows]
    columns = [*wanted, *(name for name in before.columns if name not in wanted)]
    text = rows.reindex(columns=columns).to_csv(header=False, index=False)
    sha256 = before.sha256.copy()
    is_whole = columns != before.columns or not path.exists()
    if is_whole:
        is_there = before.columns and path.exists()
        old = parse(path.read_text(encoding="utf-8")) if is_there else pd.DataFrame()
        text = old.reindex(columns=columns).to_csv(index=False) + text
        sha256 = hashlib.sha256()
    sha256.update(text.encode())
    count = before.count + len(rows)
    after = Written(columns, count, sha256, before.changed)
    return Addition(text, is_whole, after)


def append(path: Path, addition: Addition) -> None:
    """Writes what `add` says.

    Raises:
      NotSaved: the disk is full, or cannot be written.
    """
    try:
        if addition.is_whole:
            write(path, addition.text)
        else:
            with path.open("a", encoding="utf-8", newline="") as file:
                file.write(addition.text)
            sync(path)
    except (OSError, NotSaved) as error:
        reason = why(error.__cause__ or error)
        raise NotSaved(
            f"{path} could not be written: {reason}; the checkpoint of the round has "
            "its rows, and the same command goes on"
        ) from error


def parse(text: str) -> pd.DataFrame:
    """The records in a text that is whole, as text."""
    return pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)


def complete(
    path: Path,
    kept: list[pd.DataFrame],
    last: int | None = None,
    layout: dict[str, Any] | None = None,
) -> Records:
    """The records up to a round, with the rows that checkpoints hold put back.

    Args:
      path: of `records.csv`, which may be damaged or missing.
      kept: the rows in each checkpoint, as text, with all members of their rounds;
        ascending.
      last: the round; None: the last that is there.
      layout: of the last of these checkpoints, which says what there must be.
    """
    layout = layout or {}
    rows = _whole_lines(path)
    known = {round_ for rows in kept for round_ in rows["round"]}
    rows = rows[~rows["round"].isin(known)]
    rows = pd.concat([rows, *kept], ignore_index=True).fillna("")
    rounds, members = (rows[key].to_numpy().astype(np.int64) for key in _KEYS)
    order = np.lexsort((members, rounds))
    if last is not None:
        order = order[rounds[order] <= last]
    rows = rows.iloc[order].drop_duplicates(_KEYS)
    counted = int(kept[-1]["round"].iloc[-1]) if kept else last
    of_layout = rows if counted is None else rows[rows["round"].astype(int) <= counted]
    lacking = max(0, layout.get("records", 0) - len(of_layout))
    lacks = _missing(rows, counted, lacking)
    digest = hashlib.sha256(of_layout.to_csv(index=False).encode()).hexdigest()
    differs = layout.get("records_sha256", digest) != digest
    changed = layout.get("records_changed", False) or (differs and not lacks)
    return Records(rows, lacks, lacking, changed)


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
        return column.str.fullmatch("0|[1-9][0-9]{0,6}")
    if name in _WORDS:
        return column.str.fullmatch("[a-z_]*")
    numbers = pd.to_numeric(column, errors="coerce")
    return numbers.notna() | column.isin(("", "True", "False"))


def _fields(line: str) -> list[str]:
    try:
        return next(csv.reader([line]), [])
    except csv.Error:
        return []


def _missing(rows: pd.DataFrame, counted: int | None, lacking: int) -> str:
    """Which rounds or rows are not there, in words.

    Args:
      rows: those that are.
      counted: a round that must be there.
      lacking: how many rows are not, as far as that is known.
    """
    rounds = rows["round"].astype(int)
    gone = sorted(set(range(max([*rounds, counted or 0]) + 1)) - set(rounds))
    words = [f"round{'s' * (len(gone) > 1)} {_spans(gone)}"] if gone else []
    if "phase" in rows:
        # In training, every round has all members.
        sizes = rounds[rows["phase"] == "training"].value_counts()
        if short := sorted(sizes.index[sizes < sizes.max()]):
            words.append(f"members of round{'s' * (len(short) > 1)} {_spans(short)}")
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
