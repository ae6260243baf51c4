"""A run folder: which one is refused, what opening does, what is kept."""

import json

import pandas as pd
import pytest
from stored_runs import (
    IDENTITY,
    assert_records,
    expected_records,
    refusal,
    rows,
    state,
)

from bgpbt.config.errors import BadInput
from bgpbt.config.loading import load_options
from bgpbt.config.options import Options
from bgpbt.storage import checkpoints
from bgpbt.storage.store import RunStore
from bgpbt.storage.taking import check, take


def test_only_runs_are_overwritten(tmp_path):
    (tmp_path / "mine.txt").write_text("kept")
    assert "no run" in refusal(RunStore(tmp_path), Options(existing_policy="overwrite"))
    assert (tmp_path / "mine.txt").read_text() == "kept"


def test_checkpoints_of_unknown_settings_are_refused(stored_run):
    for path in stored_run.path.rglob("options.yaml"):
        path.unlink()
    assert "no options.yaml" in refusal(stored_run, Options(num_envs=64))


def test_saved_settings_remove_nothing_when_they_are_used_again(tmp_path):
    store = RunStore(tmp_path / "run")
    take(store, Options(existing_policy="overwrite"), IDENTITY)
    assert load_options({}, store.path / "options.yaml").existing_policy == "resume"


def test_a_run_of_other_settings_is_refused_and_the_settings_are_named(stored_run):
    store = stored_run
    before = (store.path / "options.yaml").read_text()
    text = refusal(store, Options(num_envs=128, pop_size=16))
    assert (
        "num_envs 64 there, 128 here" in text
        and "pop_size 8 there, 16 here" in text
        and "explore" not in text
    )
    check(store, Options(num_envs=128, existing_policy="overwrite"))
    assert (store.path / "options.yaml").read_text() == before


def test_what_changes_no_member_may_differ(stored_run):
    check(
        stored_run,
        Options(
            num_envs=64,
            verbose=True,
            no_cache=True,
            render=False,
            report_episodes=5,
            seed=(3,),
            save_dir="elsewhere",
            exp_name="x",
        ),
    )


def test_resume_in_an_empty_place_starts_afresh_and_says_so(tmp_path):
    store = RunStore(tmp_path / "run")
    (line,) = take(store, Options(num_envs=64), IDENTITY)
    assert "nothing to resume" in line and str(store.path) in line
    assert store.rounds() == []
    assert load_options({}, store.path / "options.yaml") == Options(num_envs=64)


def test_resume_keeps_everything(stored_run):
    before = sorted(stored_run.path.rglob("*"))
    (line,) = take(stored_run, Options(num_envs=64), IDENTITY)
    assert line == f"resume: the run in {stored_run.path} (round 3)"
    assert sorted(stored_run.path.rglob("*")) == before


def test_overwrite_says_what_it_removes(stored_run):
    (stored_run.path / "policy.gif").write_text("old")
    (line,) = take(
        stored_run, Options(num_envs=32, existing_policy="overwrite"), IDENTITY
    )
    assert "removed" in line and str(stored_run.path) in line and "round 3" in line
    assert sorted(p.name for p in stored_run.path.iterdir()) == [
        ".lock",
        "checkpoints",
        "options.yaml",
        "run.json",
    ]
    assert stored_run.rounds() == []
    assert load_options({}, stored_run.path / "options.yaml").num_envs == 32


def test_overwrite_in_an_empty_place_removes_nothing(tmp_path):
    store = RunStore(tmp_path / "run")
    (line,) = take(store, Options(existing_policy="overwrite"), IDENTITY)
    assert "removed" not in line


def test_another_environment_is_told(tmp_path):
    store = RunStore(tmp_path)
    words = {"python": "3.11.7", "jax": "0.10.2", "devices": 2}
    assert store.record_environment(words) == []
    assert store.record_environment(words) == []
    (line,) = store.record_environment(words | {"jax": "0.11.0"})
    assert "jax was 0.10.2 and is 0.11.0" in line
    assert json.loads((tmp_path / "environment.json").read_text())["jax"] == "0.10.2"


REPORT = {
    "round": 3,
    "member": 1,
    "mean": 1 / 3,
    "sd": None,
    "untrained_mean": float("-inf"),
    "untrained_sd": 0.5,
    "episodes": 8,
    "timesteps": 2400,
}


def test_json(tmp_path):
    store = RunStore(tmp_path)
    assert store.read_json("report.json") is None
    store.write_json("report.json", REPORT)
    assert store.read_json("report.json") == REPORT
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]


@pytest.mark.parametrize(
    "text",
    ["", "{", "null", "3", "[]", "{}", "[" * 100_000]
    + [json.dumps(REPORT | wrong) for wrong in ({"mean": "1"}, {"episodes": None})],
)
def test_json_of_another_form_is_none(tmp_path, text):
    (tmp_path / "report.json").write_text(text)
    assert RunStore(tmp_path).read_json("report.json") is None
    (tmp_path / "report.json").write_bytes(b"\xff\x00")
    assert RunStore(tmp_path).read_json("report.json") is None


def test_only_two_checkpoints_are_kept_and_all_records(stored_run):
    assert stored_run.rounds() == [2, 3]
    assert sorted(p.name for p in stored_run.checkpoints.iterdir()) == [
        "round_000002",
        "round_000003",
    ]
    assert_records(stored_run, range(4))


def test_columns_that_came_later_are_added_to_older_records(stored_run):
    path = stored_run.path / "records.csv"
    older = pd.read_csv(path, dtype=str).drop(columns="rate")
    older.to_csv(path, index=False)
    stored_run.save(state(4), rows(4), {})
    records, _ = stored_run.records()
    assert records.columns.tolist() == rows(4).columns.tolist()
    # The checkpoint of round 3 has the column.
    assert records["rate"].isna().tolist() == (records["round"] < 3).tolist()
    assert records["fitness"].tolist() == expected_records(range(5))["fitness"].tolist()


def test_columns_that_newer_rows_lack_are_kept(stored_run):
    path = stored_run.path / "records.csv"
    pd.read_csv(path, dtype=str).assign(gone="7").to_csv(path, index=False)
    stored_run.save(state(4), rows(4), {})
    records, _ = stored_run.records()
    assert records.columns.tolist() == [*rows(4).columns, "gone"]
    assert records["gone"].isna().tolist() == (records["round"] > 2).tolist()
    stored_run.go_on_after(4)
    stored_run.save(state(5), rows(5), {})
    records, _ = stored_run.records()
    assert records["fitness"].tolist() == expected_records(range(6))["fitness"].tolist()
    assert (records.loc[records["round"] < 3, "gone"] == 7).all()


def test_whoever_looks_while_a_run_goes_on_reads_what_is_there_then(
    stored_run, monkeypatch
):
    """Its checkpoints are removed while they are read, and later ones are there."""

    def read(number):
        if number == 3:
            for later in (4, 5):
                stored_run.save(state(later), rows(later), {})
        return stored_run.read(number, state(0))

    restored = stored_run.restore(read)
    assert restored.round == 5 and restored.notices == []

    def never(number):
        stored_run.save(state(number + 1), rows(number + 1), {})
        raise checkpoints.Unreadable("does not fit this run")

    with pytest.raises(BadInput, match="does not fit this run"):
        stored_run.restore(never)

    def gone(path):
        raise FileNotFoundError(2, "No such file or directory", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "read_rows", gone)
        last = stored_run.rounds()[-1]
        assert stored_run.records()[0]["round"].max() == last > 5
