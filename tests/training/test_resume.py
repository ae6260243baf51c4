"""A run that was killed goes on to the same bits, wherever it was killed."""

import json
import os
import shutil

import jax
import pandas as pd
import pytest
from toy_runs import ROUND, kill_run, run_options
from toys import Killed, final_state, play, quadratic, same_bits, same_records

import bgpbt
from bgpbt import api
from bgpbt.config.errors import BadInput
from bgpbt.storage.checkpoints import _checksums


@pytest.mark.usefixtures("compile_once")
@pytest.mark.parametrize("number", range(5))
def test_a_run_killed_after_any_round_continues_to_the_same_bits(
    tmp_path, after_save, unbroken, number
):
    kill_run(after_save, number, lambda: play(run_options(tmp_path)))
    result = play(run_options(tmp_path))
    assert same_bits(final_state(result), unbroken[1])
    same_records(result.records, unbroken[0].records)
    assert result.report == unbroken[0].report


@pytest.mark.usefixtures("compile_once")
def test_a_bandit_killed_between_suggestions_continues_to_the_same_bits(
    tmp_path, after_save
):
    """History, fitted parameters, trust region and counters come back.

    The records hold what it predicted.
    """
    # With a restart on the way.
    settings = {"strategy": "bgpbt", "n_init": 6, "patience": 3}
    in_one_go = play(run_options(tmp_path / "in_one_go", **settings))
    killed = run_options(tmp_path / "killed", **settings)
    kill_run(after_save, 3, lambda: play(killed))
    result = play(killed)
    assert same_bits(final_state(result), final_state(in_one_go))
    assert result.report == in_one_go.report
    same_records(result.records, in_one_go.records)
    a, b = (
        pd.read_csv(r.path / "records.csv", dtype=str, keep_default_na=False)
        for r in (result, in_one_go)
    )
    # They are spelt alike, too.
    pd.testing.assert_frame_equal(a.drop(columns="seconds"), b.drop(columns="seconds"))
    rows = result.records
    assert (rows["source"] == "gp").any()
    assert rows.loc[rows["round"] > 1, "gp_fitness"].notna().any()


def die_at_commit(monkeypatch, number: int, *, committed: bool) -> None:
    """The process dies at the commit of a round, after or before it."""
    replace = os.replace

    def dying(source, target):
        dies = str(target).endswith(f"round_{number:06d}")
        if committed or not dies:
            replace(source, target)
        if dies:
            raise Killed

    monkeypatch.setattr(os, "replace", dying)


@pytest.mark.usefixtures("compile_once")
@pytest.mark.parametrize("number", [0, 1, 3, 5])
def test_a_kill_between_the_commit_and_the_records_loses_nothing(
    tmp_path, monkeypatch, unbroken, number
):
    with monkeypatch.context() as patch, pytest.raises(Killed):
        die_at_commit(patch, number, committed=True)
        play(run_options(tmp_path))
    result = play(run_options(tmp_path))
    assert same_bits(final_state(result), unbroken[1])
    same_records(result.records, unbroken[0].records)


@pytest.mark.usefixtures("compile_once")
@pytest.mark.parametrize("number", [1, 3])
def test_a_kill_before_the_commit_repeats_the_round(
    tmp_path, monkeypatch, unbroken, number
):
    with monkeypatch.context() as patch, pytest.raises(Killed):
        die_at_commit(patch, number, committed=False)
        play(run_options(tmp_path))
    result = play(run_options(tmp_path))
    assert same_bits(final_state(result), unbroken[1])
    same_records(result.records, unbroken[0].records)


@pytest.mark.usefixtures("compile_once")
def test_a_kill_during_the_report_costs_only_the_report(
    tmp_path, monkeypatch, unbroken
):
    def dying(*_):
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(api, "make_report", dying)
        play(run_options(tmp_path))
    assert play(run_options(tmp_path)).report == unbroken[0].report


def test_nothing_compiles_after_the_first_full_round_also_after_a_resume(
    tmp_path, after_save, compilations
):
    """From the second full round of a process on.

    `make_engine` compiles anew each time, as a new process does.
    """
    counted = {}

    def hook(round_):
        counted[round_] = len(compilations)
        if round_ == 4:
            raise Killed

    after_save.hook = hook
    with pytest.raises(Killed):
        play(run_options(tmp_path, max_timesteps=8 * ROUND))
    assert counted[1] > 4
    assert [counted[r] - counted[1] for r in (2, 3, 4)] == [0, 0, 0]
    after_save.hook = lambda round_: counted.update({round_: len(compilations)})
    result = play(run_options(tmp_path, max_timesteps=8 * ROUND))
    assert [counted[r] - counted[5] for r in (6, 7, 8)] == [0, 0, 0]
    for rounds in ((2, 3, 4), (6, 7, 8)):
        rows = result.records[result.records["round"].isin(rounds)]
        assert (rows["parent"] != rows["member"]).any()
        assert (rows["source"] == "perturbed").any()


@pytest.mark.usefixtures("compile_once")
def test_resume_says_where_it_starts(tmp_path, after_save, printed):
    kill_run(after_save, 2, lambda: play(run_options(tmp_path)))
    assert "nothing to resume, new run in" in printed.getvalue()
    play(run_options(tmp_path))
    assert "resume: continuing after round 2" in printed.getvalue()


@pytest.mark.usefixtures("compile_once")
def test_a_finished_run_given_again_is_only_drawn(tmp_path, monkeypatch, printed):
    first = play(run_options(tmp_path))
    monkeypatch.delattr(api, "train_population")
    again = play(run_options(tmp_path))
    line = (
        f"finished: only the figures of the run in {first.path} (round 5) "
        "are drawn again"
    )
    assert line in printed.getvalue()
    assert again.report == first.report is not None
    pd.testing.assert_frame_equal(again.records, first.records, check_exact=True)
    assert same_bits(final_state(again), final_state(first))


@pytest.mark.usefixtures("compile_once")
def test_what_a_finished_run_has_lost_is_said(tmp_path, printed):
    """Though its figures need neither checkpoints nor `run.json`."""
    first = play(run_options(tmp_path))
    checkpoints = sorted((first.path / "checkpoints").glob("round_*"))
    (checkpoints[-1] / "rows.csv").write_bytes(b"")
    play(run_options(tmp_path))
    line = "the checkpoint of round 5 is damaged: its weights are lost"
    assert printed.getvalue().count(line) == 1
    assert "checkpoint of round 4" not in printed.getvalue()

    (checkpoints[0] / "rows.csv").write_bytes(b"")
    (first.path / "run.json").write_bytes(b"")
    again = play(run_options(tmp_path))
    assert again.report == first.report
    said = printed.getvalue()
    assert "the checkpoint of round 4 is damaged: its weights are lost" in said
    run_json = first.path / "run.json"
    assert f"{run_json} is damaged, and no checkpoint has a copy" in said

    (first.path / "options.yaml").write_bytes(b"pop_size: [")
    remedy = "nothing was removed: give another -n, or -exist overwrite"
    with pytest.raises(BadInput, match=f"options.yaml.*; {remedy}"):
        play(run_options(tmp_path))


@pytest.mark.usefixtures("compile_once")
def test_overwrite_says_what_it_removes_and_starts_at_round_zero(
    tmp_path, printed, unbroken
):
    first = play(run_options(tmp_path, perturb_scale=0.5))
    again = play(run_options(tmp_path, existing_policy="overwrite"))
    line = f"overwrite: the run in {first.path} (round 5) is removed"
    assert line in printed.getvalue()
    same_records(again.records, unbroken[0].records)


@pytest.mark.usefixtures("compile_once")
def test_after_a_damaged_last_checkpoint_the_round_before_is_used_to_the_same_bits(
    tmp_path, after_save, printed, unbroken
):
    kill_run(after_save, 3, lambda: play(run_options(tmp_path)))
    damaged = next(tmp_path.rglob("round_000003"))
    for file in (damaged / "state").rglob("*"):
        if file.is_file():
            file.write_bytes(b"")
    opened = bgpbt.open_run(damaged.parents[1], quadratic())
    with pytest.warns(UserWarning, match="round 3 is damaged: an earlier one is used"):
        assert int(opened.load().progress.round) == 2
    result = play(run_options(tmp_path))
    assert "the checkpoint of round 3 is damaged" in printed.getvalue()
    assert "resume: continuing after round 2" in printed.getvalue()
    assert same_bits(final_state(result), unbroken[1])
    same_records(result.records, unbroken[0].records)


@pytest.mark.usefixtures("compile_once")
def test_where_every_checkpoint_is_damaged_nothing_is_removed_unasked(
    tmp_path, after_save, unbroken
):
    kill_run(after_save, 3, lambda: play(run_options(tmp_path)))
    for file in tmp_path.rglob("rows.csv"):
        file.unlink()
    records = next(tmp_path.rglob("records.csv"))
    before = records.read_bytes()
    with pytest.raises(BadInput, match="give another -n, or -exist overwrite"):
        play(run_options(tmp_path))
    assert records.read_bytes() == before
    result = play(run_options(tmp_path, existing_policy="overwrite"))
    same_records(result.records, unbroken[0].records)


@pytest.mark.usefixtures("compile_once")
def test_a_checkpoint_of_another_seed_of_an_older_version_is_not_taken(
    tmp_path, after_save, printed, unbroken
):
    """It does not say of which run it is, but its arrays say of which seed."""
    kill_run(after_save, 3, lambda: play(run_options(tmp_path)))
    other = run_options(tmp_path / "other", seed=(1,))
    kill_run(after_save, 3, lambda: play(other))
    foreign = next((tmp_path / "other").rglob("round_000003"))
    path = foreign / "layout.json"
    layout = {k: v for k, v in json.loads(path.read_text()).items() if k != "run"}
    path.write_text(json.dumps(layout))
    (foreign / "checksums.json").write_text(json.dumps(_checksums(foreign)))
    (place,) = (p for p in tmp_path.rglob("round_000003") if "other" not in p.parts)
    shutil.rmtree(place)
    shutil.copytree(foreign, place)
    result = play(run_options(tmp_path))
    assert "round 3 is of seed 1: an earlier one is used" in printed.getvalue()
    same_records(result.records, unbroken[0].records)


@pytest.mark.usefixtures("compile_once")
def test_where_numbers_would_change_it_is_said(tmp_path, after_save, printed):
    kill_run(after_save, 2, lambda: play(run_options(tmp_path)))
    with jax.default_matmul_precision("highest"):
        play(run_options(tmp_path))
    line = (
        "jax_default_matmul_precision was None and is highest: "
        "the run goes on, but not to the same bits"
    )
    assert line in printed.getvalue()


@pytest.mark.usefixtures("compile_once")
@pytest.mark.parametrize("killed_after", [0, 2, 4])
def test_saved_in_every_second_round_it_goes_on_to_the_same_bits(
    tmp_path, after_save, unbroken, killed_after
):
    options = run_options(tmp_path, save_every=2, keep=1)
    kill_run(after_save, killed_after, lambda: play(options))
    result = play(options)
    assert same_bits(final_state(result), unbroken[1])
    same_records(result.records, unbroken[0].records)
    saved = sorted(path.name for path in tmp_path.rglob("round_*"))
    assert saved == ["round_000005"]
