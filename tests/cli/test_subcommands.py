"""`runs`, `watch` and `eval`."""

import shutil

import pytest
from toy_runs import kill_run, run_options

import bgpbt
from bgpbt.cli.command import main
from bgpbt.cli.subcommands import watch
from bgpbt.storage import listing

TOY = {"task": "toy", "t_ready": 4, "max_timesteps": 24, "n_init": 4}


@pytest.fixture
def finished(tmp_path, compile_once):
    """A finished run of the toy."""
    return bgpbt.run(run_options(tmp_path / "runs", exp_name="a", **TOY))


def test_runs_are_listed(finished, tmp_path, after_save, capsys, monkeypatch):
    options = run_options(tmp_path / "runs", exp_name="b", seed=(1,), **TOY)
    kill_run(after_save, 3, lambda: bgpbt.run(options))
    damaged = tmp_path / "runs" / "c" / "seed_0"
    shutil.copytree(finished.path, damaged)
    for path in damaged.rglob("options.yaml"):
        path.write_text("{")
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    assert main(["runs"]) == 0
    head, first, second, third = capsys.readouterr().out.splitlines()
    assert head.split()[:5] == ["run", "state", "timesteps", "best", "report"]
    assert first.split()[:5] == [
        str(finished.path.relative_to(tmp_path / "runs")),
        *("finished", "24", "of", "24"),
    ]
    assert f"{finished.report['mean']:.3g}" in first
    # This process has the lock of a run that it was killed in.
    assert second.split()[1:5] == ["stopped", "12", "of", "24"]
    assert third.split()[0] == "c/seed_0" and "cannot be read: " in third


def test_a_run_is_watched_until_it_stops(finished, capsys, monkeypatch):
    """It is taken for a running one twice."""
    looks = [True, True, False]
    monkeypatch.setattr(listing, "is_taken", lambda path: looks.pop(0))
    monkeypatch.setattr(watch, "SECONDS", 0)
    capsys.readouterr()
    assert main(["watch", str(finished.path), "--last", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rounds = [line for line in lines if line.startswith("round ")]
    assert [line.split()[1] for line in rounds] == ["5", "6"]
    assert any("'s weights" in line for line in lines)
    assert lines[-1] == f"{finished.path}: finished" and looks == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("runs nowhere", "nowhere is no folder"),
        ("runs .", ". holds no runs"),
        ("watch nowhere", "nowhere is no folder, give the folder of a run"),
        ("watch .", ". holds no run with a finished round"),
        ("watch . --last 0", "'0' is not positive"),
        ("eval . --episodes x", "'x' is not a number"),
        ("eval . --seed -1", "-1 lies outside 0"),
        ("eval .", ". holds no run with a finished round"),
    ],
)
def test_what_holds_no_run(line, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(line.split()) == 2
    out, err = capsys.readouterr()
    assert out == "" and words in err and err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_toy_has_no_episodes(finished, capsys):
    capsys.readouterr()
    assert main(["eval", str(finished.path)]) == 2
    assert "it has no episodes, see its report" in capsys.readouterr().err
