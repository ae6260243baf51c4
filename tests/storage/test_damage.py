"""A damaged checkpoint is noticed and said, and the one before is used."""

import contextlib
import gc
import re
import shutil
from pathlib import Path

import pytest
from stored_runs import assert_records, contents, damaged, restore, rows, state
from toys import same_bits

from bgpbt.config.errors import BadInput, NotSaved
from bgpbt.storage import checkpoints


def files(checkpoint: Path) -> list[Path]:
    """The files that are not empty, the largest first."""
    filled = [p for p in checkpoint.rglob("*") if p.is_file() and p.stat().st_size]
    return sorted(filled, key=lambda p: -p.stat().st_size)


def halve(data: bytes) -> bytes:
    """The first half."""
    return data[: len(data) // 2]


DAMAGES = {
    "truncated": halve,
    "emptied": lambda data: b"",
    "zeroed": lambda data: bytes(len(data)),
    "garbled": lambda data: bytes(byte ^ 0x5A for byte in data),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_last_checkpoint_is_said_and_the_one_before_used(stored_run, damage):
    last = stored_run.checkpoints / "round_000003"
    for path in files(last):
        path.write_bytes(damage(path.read_bytes()))
    restored, said = restore(stored_run)
    assert same_bits(restored, state(2))
    assert said == damaged(3)
    assert stored_run.rounds() == [2]
    assert_records(stored_run, range(3))
    stored_run.save(state(3), rows(3), {})
    assert_records(stored_run, range(4))


@pytest.mark.parametrize("damage", ["truncated", "garbled"])
@pytest.mark.parametrize(
    "which",
    ["rows.csv", "state/state/_METADATA", "state/state/manifest.ocdbt", "largest"],
)
def test_one_damaged_file_is_enough(stored_run, which, damage):
    last = stored_run.checkpoints / "round_000003"
    path = files(last / "state")[0] if which == "largest" else last / which
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    restored, said = restore(stored_run)
    assert said == damaged(3)
    assert same_bits(restored, state(2))
    assert_records(stored_run, range(3))


@pytest.mark.parametrize(
    "which",
    ["rows.csv", "state", "state/state", "state/state/d", "state/state/_METADATA"],
)
def test_a_missing_part_is_damage(stored_run, which):
    path = stored_run.checkpoints / "round_000003" / which
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    restored, said = restore(stored_run)
    assert said == damaged(3) and same_bits(restored, state(2))


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.9])
def test_a_single_wrong_bit_is_noticed(stored_run, share):
    """Somewhere in the largest file, which holds the numbers."""
    path = files(stored_run.checkpoints / "round_000003" / "state")[0]
    data = bytearray(path.read_bytes())
    data[int(share * len(data))] ^= 1
    path.write_bytes(data)
    restored, said = restore(stored_run)
    assert said == damaged(3) and same_bits(restored, state(2))


def test_damage_is_said_in_one_line_and_nothing_else(stored_run, caplog, capfd):
    """No traceback of a library's, neither at once nor when its tasks are collected."""
    for path in files(stored_run.checkpoints / "round_000003"):
        path.write_bytes(halve(path.read_bytes()))
    with caplog.at_level("ERROR"):
        restore(stored_run)
        gc.collect()
    assert [(r.name, r.getMessage()[:80]) for r in caplog.records] == []
    assert capfd.readouterr().err == ""


def test_where_all_checkpoints_are_damaged_nothing_is_removed(stored_run):
    for number in stored_run.rounds():
        for path in files(stored_run.checkpoint(number)):
            path.write_bytes(b"")
    before = contents(stored_run.path)
    line = (
        f"{stored_run.path}: the checkpoint of round 3 is damaged; "
        "the checkpoint of round 2 is damaged; nothing was removed: "
        "give another -n, or -exist overwrite"
    )
    with pytest.raises(BadInput, match=f"^{re.escape(line)}$"):
        restore(stored_run)
    assert contents(stored_run.path) == before


def test_more_files_in_a_checkpoint_are_no_damage(stored_run):
    for number in (2, 3):
        (stored_run.checkpoint(number) / ".DS_Store").write_text("a desktop's")
    restored, said = restore(stored_run)
    assert same_bits(restored, state(3)) and said == []


def test_a_failure_that_is_no_damage_removes_nothing(stored_run, monkeypatch):
    """No memory, or an Orbax that cannot be imported: the checkpoints stay."""

    class Broken:
        @staticmethod
        def load(*args):
            raise MemoryError

    broken = contextlib.nullcontext(Broken)
    monkeypatch.setattr(checkpoints, "_quiet_orbax", lambda: broken)
    with pytest.raises(MemoryError):
        restore(stored_run)
    assert stored_run.rounds() == [2, 3]


# A disk that cannot be written


def test_a_round_that_cannot_be_saved_is_one_line_and_leaves_nothing(
    stored_run, monkeypatch
):
    """As where the disk is full; the rounds before it stay, and the next try saves."""

    def full(*args):
        raise ValueError("RESOURCE_EXHAUSTED: no space\nand 50 lines more")

    def no_space(*args):
        raise ValueError("Error in OCDBT [os_error_code='28'] [spec='{}']")

    before = sorted(stored_run.path.rglob("*"))
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "_checksums", full)  # after Orbax has written
        with pytest.raises(NotSaved, match=r"^[^\n]*round_000004 could.*no space; .*$"):
            stored_run.save(state(4), rows(4), {})
        patch.setattr(checkpoints, "_checksums", no_space)
        with pytest.raises(NotSaved, match=r"000004 could not be written: No space"):
            stored_run.save(state(4), rows(4), {})
    assert sorted(stored_run.path.rglob("*")) == before
    stored_run.save(state(4), rows(4), {})
    assert_records(stored_run, range(5))
    assert same_bits(restore(stored_run)[0], state(4))


def test_records_that_cannot_be_appended_come_from_the_checkpoint(stored_run):
    restore(stored_run)
    records = stored_run.path / "records.csv"
    kept = records.read_bytes()
    records.unlink()
    records.mkdir()
    with pytest.raises(NotSaved, match=r"records\.csv could not be written: .*"):
        stored_run.save(state(4), rows(4), {})
    records.rmdir()
    records.write_bytes(kept)
    assert same_bits(restore(stored_run)[0], state(4))
    assert_records(stored_run, range(5))
