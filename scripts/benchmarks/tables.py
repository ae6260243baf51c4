"""Results that are kept in a file: what is there is not run again."""

from pathlib import Path

import pandas as pd


def read_rows(path: Path | None, **reader) -> list[dict]:
    """The rows of an earlier call, none where there is no file.

    Args:
      path: of a CSV file, or None.
      **reader: arguments of `pandas.read_csv`.
    """
    if path is None or not path.exists():
        return []
    return pd.read_csv(path, **reader).to_dict("records")


def write_rows(path: Path | None, rows: list[dict]) -> None:
    """Writes the rows where there is a file to write to."""
    if path is not None:
        pd.DataFrame(rows).to_csv(path, index=False)
