"""Replaying a schedule: what each of the four ways is given, on a toy."""

import numpy as np
import pytest

import bgpbt
from bgpbt.options import BadInput, load_options
from scripts import schedule_replay as script


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    values = {"task": "toy", "problem": "quadratic", "pop_size": 4, "t_ready": 20, "max_timesteps": 100, "inherit": "both"}
    values |= {"quantile_fraction": 0.25, "devices": 1, "save_dir": str(tmp_path_factory.mktemp("runs"))}
    return bgpbt.run(load_options(values))


@pytest.fixture(scope="module")
def found(finished, tmp_path_factory):
    return script.study(finished, 7, str(tmp_path_factory.mktemp("replays")))


def test_every_repeat_follows_the_schedule(finished, found):
    """From the first round on, though the toy has first configurations of its own."""
    schedule = finished.lineage[["h0", "h1"]].iloc[1:].to_numpy()
    rows, x = found["replayed"], np.array([0.9, 0.9])
    for number in range(1, 6):
        h, group = schedule[min(number, len(schedule)) - 1], rows[rows["round"] == number]
        np.testing.assert_allclose(group[["h0", "h1"]], np.tile(h, (4, 1)), atol=1e-5)
        assert (group["parent"] == group["member"]).all()
        x = x * (1 - 0.02 * h) ** 20  # the toy, by hand
        np.testing.assert_allclose(group["fitness"], 1.2 - (x**2).sum(), atol=1e-4)


def test_constant_is_the_last_configuration(finished, found):
    rows = found["constant"][found["constant"]["round"] > 0]
    np.testing.assert_allclose(rows[["h0", "h1"]] - finished.lineage[["h0", "h1"]].iloc[-1], 0, atol=1e-5)


def test_the_population_goes_on_as_it_was(finished, found):
    rows, before = found["continued"].records, finished.records
    assert rows["round"].max() == 10 and rows["timesteps"].max() == 200
    last = before[before["round"] == 5]
    for _, group in rows[rows["round"] > 5].groupby("round"):
        np.testing.assert_array_equal(group[["h0", "h1"]], last[["h0", "h1"]])
        assert (group["parent"] == group["member"]).all()
    assert finished.records["round"].max() == 5  # the run itself is as it was


def test_four_labels_and_a_picture(found, tmp_path):
    figures = {f.name: f for f in script.summarise(found)}
    assert tuple(figures) == script.WAYS and len(figures["replayed"].repeats) == 4
    at = len(found["adaptive"].lineage) - 1
    for way in ("replayed", "constant"):
        rows = found[way][found[way]["round"] == at]
        assert figures[way].value == pytest.approx(rows["fitness"].mean())
    for way in ("adaptive", "continued"):
        assert figures[way].value == pytest.approx(found[way].report["mean"])
    script.draw(found, tmp_path / "ways.png")
    assert (tmp_path / "ways.png").stat().st_size > 10_000


def test_a_schedule_that_began_late_is_as_long_as_it_is(finished, found):
    """The winner's weights are of round 3: its three rounds stand beside three rounds of the repeats, not five."""
    records = finished.records.assign(age=finished.records["age"] - 40 * (finished.records["round"] > 2))
    late = finished.__class__(**{**finished.__dict__, "records": records})
    assert late.lineage["round"].tolist() == [3, 4, 5] == finished.lineage["round"].tolist()[3:]
    figures = {f.name: f.value for f in script.summarise(found | {"adaptive": late})}
    third = found["constant"][found["constant"]["round"] == 3]
    assert figures["constant"] == pytest.approx(third["fitness"].mean())
    shorter = finished.__class__(**{**late.__dict__, "options": finished.options.model_copy(update={"t_ready_end": 10})})
    with pytest.raises(BadInput, match="rounds become shorter"):
        script.study(shorter, 7, "unused")


def test_repeats_that_failed_are_counted_not_hidden(found):
    rows = found["constant"].copy()
    last = rows.index[rows["round"] == 5]
    rows.loc[last[0], "fitness"], rows.loc[last[1], "age"] = np.nan, 20  # one failed now, one before
    constant = {f.name: f for f in script.summarise(found | {"constant": rows})}["constant"]
    assert len(constant.repeats) == 2 and constant.note.endswith("; 2 more failed")


def test_the_seed_of_the_repeats_is_another():
    assert script.unused(None, (3,)) == 1003 and script.unused(4, (3,)) == 4
    assert script.unused(None, (2**32 - 1,)) == 999
    with pytest.raises(BadInput, match="the run itself has used 3, give another, or leave --seed out"):
        script.unused(3, (2, 3))


def test_a_seed_that_the_run_has_used_is_refused_before_anything_runs(finished, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(script, "study", lambda *given: pytest.fail("it ran"))
    assert script.main([str(finished.path), "--seed", "0", "--save_dir", str(tmp_path / "runs")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("schedule_replay.py: seed: the run itself has used 0") and said.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_what_cannot_be_replayed(finished, tmp_path, capsys):
    with pytest.raises(BadInput, match="is not finished"):
        script.study(finished.__class__(**{**finished.__dict__, "report": None}), 7, str(tmp_path))
    records = finished.records.assign(generation=1)
    with pytest.raises(BadInput, match="has 2 generations"):
        script.study(finished.__class__(**{**finished.__dict__, "records": records}), 7, str(tmp_path))
    space = {name: dim._replace(group="x") for name, dim in finished.task.space.items()}
    lineage = finished.records.assign(parent=finished.records["member"], h0=finished.records["round"] * 1.0)
    searched = finished.__class__(**{**finished.__dict__, "task": finished.task._replace(space=space), "records": lineage})
    with pytest.raises(BadInput, match="architecture changed along its lineage"):
        script.study(searched, 7, str(tmp_path))
    assert script.main([str(tmp_path / "missing")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
