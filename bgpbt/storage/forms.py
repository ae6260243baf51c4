"""What the JSON files of a run must hold to be used; they may hold more.

Their `schema` is checked in `schema.py`, with a line of its own.
"""

from typing import Any

from pydantic import BaseModel, Field, RootModel


class Dimension(BaseModel):
    """A searched dimension in `run.json`."""

    name: str
    kind: str


class TaskWords(BaseModel):
    """What `run.json` says of the task."""

    name: str = ""
    blocks: list[str] = []
    step_unit: str = ""
    return_label: str = ""
    minimise: bool = False


class Run(BaseModel):
    """`run.json`. Runs of older versions lack some fields."""

    version: Any = Field(alias="schema")
    id: str | None = None
    task: TaskWords = TaskWords()
    space: list[Dimension] | None = None
    files: dict[str, str] = {}
    member: dict[str, str] | None = None


class Environment(BaseModel):
    """`environment.json`: anything by name."""

    python: str


class Report(BaseModel):
    """`report.json`."""

    round: int
    member: int
    mean: float
    sd: float | None
    untrained_mean: float
    untrained_sd: float | None
    episodes: int
    timesteps: int = Field(ge=0)
    unseen: bool = False


class Layout(BaseModel):
    """`layout.json` of a checkpoint; fields of older schemas are not here."""

    run: str | None = None
    records: int = 0
    records_sha256: str = ""
    records_changed: bool = False


class Checksums(RootModel[dict[str, str]]):
    """`checksums.json` of a checkpoint: SHA-256 by file."""
