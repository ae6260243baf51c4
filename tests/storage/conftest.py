"""A stored run of four rounds."""

import shutil
from pathlib import Path

import pytest
from stored_runs import filled

from bgpbt.storage.store import RunStore


@pytest.fixture(scope="module")
def four_rounds(tmp_path_factory) -> Path:
    """The folder of a run with four rounds; copied, never changed."""
    path = tmp_path_factory.mktemp("store") / "run"
    filled(path)
    return path


@pytest.fixture
def stored_run(four_rounds, tmp_path) -> RunStore:
    """A copy of that run, to be changed."""
    return RunStore(shutil.copytree(four_rounds, tmp_path / "run"))
