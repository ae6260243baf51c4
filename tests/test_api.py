"""The Python interface: running, opening, and what is refused."""

import json
from types import SimpleNamespace

import pytest
from toy_runs import ROUND, run_options
from toys import SPACE, quadratic

import bgpbt
from bgpbt.config.errors import BadInput
from bgpbt.config.options import Options
from bgpbt.execution.background import BackgroundCompile
from bgpbt.result import Result
from bgpbt.storage.schema import SCHEMA
from bgpbt.types import Playback


def two_rounds(save_dir, **changes) -> Options:
    return run_options(save_dir, **{"max_timesteps": 2 * ROUND} | changes)


def test_the_package_offers_what_it_names():
    assert set(bgpbt.__all__) >= {
        "run",
        "run_seeds",
        "open_run",
        "dry_run",
        "Result",
        "Options",
        "BadInput",
        "NotSaved",
        "PopulationLost",
    }
    for name in bgpbt.__all__:
        assert getattr(bgpbt, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        bgpbt.nonsense  # noqa: B018


def test_run_takes_one_seed(tmp_path):
    with pytest.raises(BadInput, match="2 seeds"):
        bgpbt.run(two_rounds(tmp_path / "runs", seed=(0, 1)), quadratic())
    assert not (tmp_path / "runs").exists()


def test_open_run_refuses_what_holds_no_run(tmp_path):
    with pytest.raises(BadInput, match="holds no run"):
        bgpbt.open_run(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_whole_run_of_another_task(tmp_path):
    """Settings, records, checkpoints, report, figures; and all again by `open_run`."""
    result = bgpbt.run(two_rounds(tmp_path), quadratic())
    assert {p.name for p in result.path.iterdir()} >= {
        "run.json",
        "options.yaml",
        "environment.json",
        "records.csv",
        "checkpoints",
        "report.json",
        "learning_curve.png",
        "hyperparameter_schedule.png",
    }
    opened = bgpbt.open_run(result.path, quadratic())
    assert opened.report == result.report and opened.options == result.options
    assert opened.best.equals(result.best)
    assert len(opened.lineage) == int(opened.best["round"]) + 1
    assert int(opened.load().progress.round) == 2
    before = sorted(p.stat().st_mtime_ns for p in result.path.rglob("*"))
    bgpbt.open_run(result.path, quadratic()).load()
    assert before == sorted(p.stat().st_mtime_ns for p in result.path.rglob("*"))


@pytest.mark.usefixtures("compile_once")
def test_a_new_run_says_what_it_is(tmp_path):
    """Format, identity, what is trained, its space, the user's files."""
    result = bgpbt.run(two_rounds(tmp_path), quadratic())
    content = json.loads((result.path / "run.json").read_text())
    assert list(content) == ["schema", "id", "task", "space", "files", "member"]
    assert content["schema"] == SCHEMA and len(content["id"]) == 32
    assert [dim["name"] for dim in content["space"]] == list(SPACE)
    assert content["task"]["blocks"] == ["first", "second"]
    assert content["files"] == {}
    bgpbt.run(two_rounds(tmp_path), quadratic())
    assert json.loads((result.path / "run.json").read_text()) == content
    # Runs of the first format have none.
    (result.path / "run.json").unlink()
    opened = bgpbt.open_run(result.path, quadratic())
    assert opened.report == result.report and int(opened.load().progress.round) == 2
    assert bgpbt.run(two_rounds(tmp_path), quadratic()).report == result.report


def test_a_finished_run_given_again_compiles_nothing(
    tmp_path, monkeypatch, compilations
):
    """Also where it has a moving picture, which is rendered once."""
    rendered = []
    begun = []
    begin = BackgroundCompile.begin

    def render(result):
        rendered.append(result.path)
        (result.path / "policy.gif").write_bytes(b"picture")
        return result.path / "policy.gif"

    monkeypatch.setattr(Result, "render", render)
    monkeypatch.setattr(Result, "has_renderer", True)
    monkeypatch.setattr(
        BackgroundCompile, "begin", lambda self: begun.append(self) or begin(self)
    )
    playback = Playback(env=SimpleNamespace(system="bodies"), policy=None)
    task = quadratic()._replace(playback=playback)
    options = two_rounds(tmp_path, render=True)
    first = bgpbt.run(options, task)
    assert rendered == [first.path] and begun and compilations
    begun.clear()
    compilations.clear()
    again = bgpbt.run(options, task)
    assert (rendered, begun, compilations) == ([first.path], [], [])
    assert again.report == first.report
    # A picture that has gone is made anew.
    (first.path / "policy.gif").unlink()
    bgpbt.run(options, task)
    assert rendered == [first.path] * 2
