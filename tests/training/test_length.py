"""A finished run that is trained longer is the run that was longer from the start."""

import re

import pytest
from toy_runs import ROUND, kill_run, run_options
from toys import final_state, play, same_bits, same_records

from bgpbt.config.errors import BadInput
from bgpbt.config.options import Options
from bgpbt.storage.length import describe_length

pytestmark = pytest.mark.usefixtures("compile_once")


@pytest.mark.parametrize("rounds", [2, 4])
def test_a_finished_run_goes_on_to_the_bits_of_a_longer_one(
    tmp_path, printed, unbroken, rounds
):
    short = play(run_options(tmp_path, max_timesteps=rounds * ROUND))
    assert short.records["round"].max() == rounds
    result = play(run_options(tmp_path))
    line = (
        f"max_timesteps was {rounds * ROUND:,} and is {5 * ROUND:,}: "
        "the run goes on, as one that had it from the start"
    )
    assert line in printed.getvalue()
    assert same_bits(final_state(result), unbroken[1])
    same_records(result.records, unbroken[0].records)
    assert result.report == unbroken[0].report
    kept = result.path / f"report_{rounds * ROUND}.json"
    assert f'"mean": {short.report["mean"]}' in kept.read_text()
    again = play(run_options(tmp_path))
    assert again.report == result.report
    assert printed.getvalue().count(line) == 1


@pytest.mark.parametrize("asked", [6 * ROUND, 5 * ROUND])
def test_an_earlier_checkpoint_that_is_damaged_is_not_gone_back_to(
    tmp_path, printed, asked
):
    """The last one stays, though nothing is decided after it."""
    short = play(run_options(tmp_path, max_timesteps=4 * ROUND))
    for file in short.path.rglob("round_000003/state/**/*"):
        if file.is_file():
            file.write_bytes(b"")
    result = play(run_options(tmp_path, max_timesteps=asked))
    assert "round 4 is not decided, and no earlier checkpoint" in printed.getvalue()
    assert result.records["round"].max() == asked // ROUND
    assert result.report["timesteps"] == asked


def test_a_run_that_is_asked_for_what_it_has_done_is_finished(tmp_path, printed):
    """Its last round ran past its end."""
    past = run_options(tmp_path, max_timesteps=2 * ROUND + 10)
    first = play(past)
    assert first.report["timesteps"] == 3 * ROUND
    with pytest.raises(BadInput, match=f"has done {3 * ROUND:,}, give as many"):
        play(run_options(tmp_path, max_timesteps=2 * ROUND))
    again = play(run_options(tmp_path, max_timesteps=3 * ROUND))
    assert (
        again.report == first.report and "max_timesteps was" not in printed.getvalue()
    )
    same_records(again.records, first.records)


def test_an_unfinished_run_may_become_longer_or_shorter(tmp_path, after_save, unbroken):
    long = run_options(tmp_path, max_timesteps=9 * ROUND)
    kill_run(after_save, 3, lambda: play(long))
    result = play(run_options(tmp_path))
    assert same_bits(final_state(result), unbroken[1])
    same_records(result.records, unbroken[0].records)


def test_a_run_ends_where_it_is(tmp_path, after_save):
    """Shortened to what it has done: its last decision is undone."""
    kill_run(after_save, 3, lambda: play(run_options(tmp_path / "killed")))
    options = run_options(tmp_path / "killed", max_timesteps=3 * ROUND)
    result = play(options)
    short = play(run_options(tmp_path / "short", max_timesteps=3 * ROUND))
    assert result.report == short.report
    assert same_bits(final_state(result), final_state(short))


def test_what_is_done_cannot_be_undone(tmp_path):
    done = play(run_options(tmp_path))
    files = {p: p.stat().st_mtime_ns for p in done.path.rglob("*")}
    with pytest.raises(BadInput, match=r"max_timesteps: the run in .* has done 2,400"):
        play(run_options(tmp_path, max_timesteps=4 * ROUND))
    assert {p: p.stat().st_mtime_ns for p in done.path.rglob("*")} == files


def test_where_the_rounds_before_depend_on_it_that_is_said(tmp_path, printed):
    shrinking = {"t_ready": 2 * ROUND, "t_ready_end": ROUND}
    play(run_options(tmp_path, max_timesteps=3 * ROUND, **shrinking))
    play(run_options(tmp_path, **shrinking))
    words = "but not as one that had it from the start, because the lengths of its"
    assert words in printed.getvalue()


def test_the_length_stands_in_the_checkpoints(tmp_path, printed, unbroken):
    """Whoever raises it in the file of settings gets the longer run, too."""
    short = play(run_options(tmp_path, max_timesteps=3 * ROUND))
    file = short.path / "options.yaml"
    lines = file.read_text().splitlines()
    edited = [
        re.sub("^max_timesteps: .*", f"max_timesteps: {5 * ROUND}", x) for x in lines
    ]
    file.write_text("\n".join(edited) + "\n")
    result = play(run_options(tmp_path))
    assert f"max_timesteps was {3 * ROUND:,} and is {5 * ROUND:,}" in printed.getvalue()
    assert same_bits(final_state(result), unbroken[1])
    same_records(result.records, unbroken[0].records)


def test_a_file_of_the_users_may_depend_on_the_length():
    options = [Options(max_timesteps=n, strategy="own.py:f") for n in (10**6, 10**7)]
    assert describe_length(*options).endswith(
        "as one that had it from the start, unless the file of strategy depends on it"
    )


def test_a_strategy_may_reckon_with_the_length():
    options = [Options(max_timesteps=n, strategy="ipbt") for n in (10**6, 10**7)]
    assert describe_length(*options).endswith(
        "not as one that had it from the start, because what its strategy decides "
        "follows from it"
    )


def test_with_one_checkpoint_nothing_is_decided_after_the_last_round(tmp_path, printed):
    play(run_options(tmp_path, max_timesteps=3 * ROUND, keep=1))
    rows = play(run_options(tmp_path, keep=1)).records
    assert "round 3 is not decided, and no earlier checkpoint" in printed.getvalue()
    after = rows[rows["round"] == 4]
    assert (after["parent"] == after["member"]).all()
    assert rows["round"].max() == 5


def test_a_kill_while_it_is_made_longer(tmp_path, monkeypatch, unbroken):
    """Wherever it comes: the next call goes on."""
    from bgpbt.storage import length

    def killed(path, content):
        raise KeyboardInterrupt

    play(run_options(tmp_path, max_timesteps=3 * ROUND))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(length, "write", killed)
        play(run_options(tmp_path))
    result = play(run_options(tmp_path))
    assert same_bits(final_state(result), unbroken[1])
    assert result.report == unbroken[0].report
