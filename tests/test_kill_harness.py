"""`kill_harness.py` kills, and sees what differs."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bgpbt.storage.checkpoints import write_checkpoint
from bgpbt.storage.store import RunStore
from scripts import kill_harness
from scripts.studies.killed_runs import differences


def finished(path: Path, **weights: np.ndarray) -> RunStore:
    """A run as small as it can be."""
    rows = pd.DataFrame({"round": [1], "member": [0], "fitness": [0.5], "seconds": [3]})
    store = RunStore(path)
    store.checkpoints.mkdir(parents=True)
    write_checkpoint(store.checkpoint(1), weights, rows, {})
    rows.to_csv(path / "records.csv", index=False)
    (path / "report.json").write_text(json.dumps({"mean": 1.0}))
    return store


def test_what_differs_is_named(tmp_path):
    one = finished(tmp_path / "one", w=np.arange(3.0))
    same = RunStore(shutil.copytree(one.path, tmp_path / "same"))
    rows = (same.path / "records.csv").read_text()
    (same.path / "records.csv").write_text(rows.replace(",3\n", ",4\n"))  # seconds
    assert differences(one, same) == []
    other = finished(tmp_path / "other", w=np.array([0.0, 1.0, 2.0 + 1e-15]))
    (other.path / "records.csv").write_text(rows.replace("0.5", "0.50"))
    (other.path / "report.json").write_text(json.dumps({"mean": 2.0}))
    named = ["records.csv", "report.json", "arrays of round 1"]
    assert differences(one, other) == named
    other.checkpoint(1).rename(other.checkpoint(2))
    assert differences(one, other)[-1] == "rounds [1], [2]"


@pytest.mark.scripts
def test_killed_runs_are_compared(tmp_path):
    path = tmp_path / "kills.json"
    assert kill_harness.main(["--quick", "--json", str(path)]) == 0
    figures = {f["name"]: f["value"] for f in json.loads(path.read_text())["figures"]}
    assert figures["toy: kills"] == 3 and figures["toy: files that differ"] == 0
