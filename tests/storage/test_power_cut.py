"""What a round leaves has reached the disk before anything older is removed."""

import os
from pathlib import Path

from stored_runs import rows, state


def test_a_power_cut_meets_nothing_that_is_only_on_its_way(stored_run, monkeypatch):
    synced: dict[int, int] = {}  # size by file
    events: list[tuple[str, object]] = []
    late: list[Path] = []
    fsync, rename = os.fsync, os.replace

    def on_disk(path):
        return synced.get(path.stat().st_ino) == path.stat().st_size

    def recorded_fsync(handle):
        fsync(handle)
        there = os.fstat(handle)
        synced[there.st_ino] = there.st_size
        events.append(("sync", there.st_ino))

    def recorded_rename(source, target):
        if Path(target).suffix == ".partial":  # an old checkpoint goes
            records = stored_run.path / "records.csv"
            late.extend([records] * (not on_disk(records)))
        else:
            inside = [source, *source.rglob("*")]
            late.extend(path for path in inside if not on_disk(path))
        events.append(("rename", Path(target).name))
        rename(source, target)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(os, "replace", recorded_rename)
    stored_run.save(state(4), rows(4), {})
    assert late == []
    placed = events.index(("rename", "round_000004"))
    places = (stored_run.checkpoints, stored_run.path / "records.csv")
    folder, records = (("sync", path.stat().st_ino) for path in places)
    removal = ("rename", "round_000002.partial")
    assert events[placed + 1 :] == [folder, records, removal, folder]
