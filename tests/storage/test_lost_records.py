"""What a disk or a person did to `records.csv`: put back, or said."""

from collections.abc import Callable

import pandas as pd
import pytest
from stored_runs import assert_records, lacks, restore, rows, state

from bgpbt.storage.records_file import complete
from bgpbt.storage.store import RunStore

LINES = 9  # header, and two members in four rounds; checkpoints hold rounds 2 and 3


def spoil(store: RunStore, change: Callable[[list[str]], list[str]]) -> None:
    """Changes the lines of the records."""
    path = store.path / "records.csv"
    path.write_text("".join(change(path.read_text().splitlines(keepends=True))))


def without(*numbers: int) -> Callable[[list[str]], list[str]]:
    return lambda lines: [x for i, x in enumerate(lines) if i not in numbers]


KEPT = {
    "of round 2": without(5),
    "of rounds 2 and 3": without(5, 6, 7, 8),
    "twice": lambda lines: lines * 2,
    "a line twice": lambda lines: [*lines[:4], lines[3], *lines[4:]],
    "shuffled": lambda lines: [lines[0], *lines[:0:-1]],
    "a stray quote": lambda lines: [*lines[:5], '"' + lines[5], *lines[6:]],
    "another number": lambda lines: [*lines[:7], "7" + lines[7], *lines[8:]],
    "Windows": lambda lines: [line.replace("\n", "\r\n") for line in lines],
    "an empty line": lambda lines: [*lines[:3], "\n", *lines[3:]],
    "later rounds": lambda lines: [*lines, lines[-1].replace("3,", "9,", 1)],
}


@pytest.mark.parametrize("change", KEPT.values(), ids=KEPT)
def test_nothing_is_lost_that_checkpoints_hold(stored_run, change):
    spoil(stored_run, change)
    assert_records(stored_run, range(4))
    restored, said = restore(stored_run)
    assert said == [] and int(restored.progress.round) == 3
    stored_run.save(state(4), rows(4), {})
    assert_records(stored_run, range(5))


LOST = {
    "a row": (without(1), "1 row", [0, 1]),
    "a round": (without(3, 4), "round 1 (2 rows)", [0]),
    "two rounds": (without(1, 2, 3, 4), "rounds 0 to 1 (4 rows)", []),
    "all but the header": (without(*range(1, LINES)), "rounds 0 to 1 (4 rows)", []),
    "the header": (without(0), "rounds 0 to 1 (4 rows)", []),
    "all": (without(*range(LINES)), "rounds 0 to 1 (4 rows)", []),
    "another header": (
        lambda lines: ["round,round\n", *lines[1:]],
        "rounds 0 to 1 (4 rows)",
        [],
    ),
    "half a line": (
        lambda lines: [*lines[:1], lines[1][:3] + "\n", *lines[2:]],
        "1 row",
        [0, 1],
    ),
    "a word for a number": (
        lambda lines: [*lines[:1], "x" + lines[1], *lines[2:]],
        "1 row",
        [0, 1],
    ),
}


@pytest.mark.parametrize(("change", "words", "left"), LOST.values(), ids=LOST)
def test_what_is_lost_is_said_and_the_damaged_file_is_kept(
    stored_run, change, words, left
):
    spoil(stored_run, change)
    path = stored_run.path / "records.csv"
    spoilt = path.read_bytes()
    assert stored_run.records()[1] == [lacks(words)]
    assert path.read_bytes() == spoilt  # whoever only looks changes nothing
    _, said = restore(stored_run)
    assert said == [lacks(words)]
    damaged = path.with_name("records.csv.damaged")
    assert (damaged if damaged.exists() else path).read_bytes() == spoilt
    stored_run.save(state(4), rows(4), {})
    records, said = stored_run.records()
    assert said == [lacks(words)]  # for ever
    assert sorted(set(records["round"])) == [*left, 2, 3, 4]


def test_a_value_that_was_changed_is_said_for_ever(stored_run):
    """A disk, or a person, made another number of it."""
    changed = "records.csv was changed: figures and lineages are of what it says now"
    spoil(
        stored_run, lambda lines: [*lines[:1], lines[1].replace("0,", "7,"), *lines[2:]]
    )
    spoil(stored_run, lambda lines: [*lines[:1], "0" + lines[1][1:], *lines[2:]])
    assert stored_run.records()[1] == [changed]
    _, said = restore(stored_run)
    assert said == [changed]
    for number in (4, 5):
        stored_run.save(state(number), rows(number), {})
    assert RunStore(stored_run.path).records()[1] == [changed]


def test_the_first_damaged_file_is_the_one_that_is_kept(stored_run):
    spoil(stored_run, without(1))
    path = stored_run.path / "records.csv"
    path.write_text("a note\n" + path.read_text())  # the header is none any more
    spoilt = path.read_bytes()
    for _ in range(2):
        restore(stored_run)
        path.write_text(path.read_text() + "9,")
    assert path.with_name("records.csv.damaged").read_bytes() == spoilt


@pytest.mark.parametrize("content", [b"", b"\xff\x00\xfe", b"\0" * 10_000])
def test_records_that_are_no_records(stored_run, content):
    path = stored_run.path / "records.csv"
    path.write_bytes(content)
    _, said = restore(stored_run)
    assert said == [lacks("rounds 0 to 1 (4 rows)")]
    assert sorted(set(stored_run.records()[0]["round"])) == [2, 3]


def test_the_last_round_is_read_though_its_checkpoint_is_damaged(stored_run):
    """Whoever only looks has no reason to go back a round."""
    (stored_run.checkpoint(3) / "rows.csv").write_text("")
    assert_records(stored_run, range(4))
    spoil(stored_run, without(1))
    records, said = stored_run.records()
    assert said == [lacks("1 row")] and records["round"].max() == 3
    restored, _ = restore(stored_run)
    assert int(restored.progress.round) == 2
    assert stored_run.records()[0]["round"].max() == 2


def test_a_round_of_training_has_all_members(tmp_path):
    """Where no checkpoint says how many rows there must be, as in older versions."""
    all_rounds = pd.concat([rows(number) for number in range(8)])
    phases = ["candidates"] * 6 + ["training"] * 10
    text = all_rounds.assign(phase=phases).astype(str)
    path = tmp_path / "records.csv"
    text.drop(text.index[1]).to_csv(path, index=False)  # of every round
    spoilt = pd.concat([text[:5], text[6:8], text[9:10], text[11:12], text[14:]])
    spoilt.to_csv(path, index=False)
    records = complete(path, [], last=8)
    words = "rounds 6, 8 and members of rounds 4 to 5"
    assert records.lacks == words and len(records.rows) == 11
    assert complete(path, [], 8, {"records": 20}).lacks == f"{words} (9 rows)"
