"""Replaying a schedule: what each of the four ways is given, on a toy."""

import numpy as np
import pytest

import bgpbt
from bgpbt.options import BadInput, load_options
from scripts import schedule_replay as script


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    values = {"task": "toy", "problem": "deceptive", "pop_size": 4, "t_ready": 20, "max_timesteps": 100, "inherit": "both"}
    values |= {"quantile_fraction": 0.25, "devices": 1, "save_dir": str(tmp_path_factory.mktemp("runs"))}
    return bgpbt.run(load_options(values))


@pytest.fixture(scope="module")
def found(finished, tmp_path_factory):
    return script.study(finished, 7, str(tmp_path_factory.mktemp("replays")))


def test_every_repeat_follows_the_schedule(finished, found):
    schedule = finished.lineage["h"].iloc[1:].to_numpy()
    rows = found["replayed"]
    for number, group in rows[rows["round"] > 0].groupby("round"):
        expected = schedule[min(number, len(schedule)) - 1]
        np.testing.assert_allclose(group["h"], expected, atol=1e-6)
        assert (group["parent"] == group["member"]).all() and len(group) == 4
    x0, x1 = 1.0, 1.0  # the toy, by hand
    for number in range(5):
        h = schedule[min(number, len(schedule) - 1)]
        for _ in range(20):
            x0, x1 = x0 * (1 - 0.02 * h), (x1 + h) / 2
    last = rows[rows["round"] == 5]
    np.testing.assert_allclose(last["fitness"], 1.2 - x0**2 - x1**2, atol=1e-4)


def test_constant_is_the_last_configuration(finished, found):
    np.testing.assert_allclose(found["constant"]["h"], finished.lineage["h"].iloc[-1], atol=1e-6)


def test_the_population_goes_on_as_it_was(finished, found):
    rows, before = found["continued"].records, finished.records
    assert rows["round"].max() == 10 and rows["timesteps"].max() == 200
    last = before[before["round"] == 5]
    for _, group in rows[rows["round"] > 5].groupby("round"):
        np.testing.assert_array_equal(group["h"], last["h"])
        assert (group["parent"] == group["member"]).all()
    assert finished.records["round"].max() == 5  # the run itself is as it was


def test_four_labels_and_a_picture(found, tmp_path):
    figures = script.summarise(found)
    assert [f.name for f in figures] == list(script.WAYS) and len(figures[1].repeats) == 4
    script.draw(found, tmp_path / "ways.png")
    assert (tmp_path / "ways.png").stat().st_size > 10_000


def test_what_cannot_be_replayed(finished, tmp_path, capsys):
    with pytest.raises(BadInput, match="is not finished"):
        script.study(finished.__class__(**{**finished.__dict__, "report": None}), 7, str(tmp_path))
    records = finished.records.assign(generation=1)
    with pytest.raises(BadInput, match="has 2 generations"):
        script.study(finished.__class__(**{**finished.__dict__, "records": records}), 7, str(tmp_path))
    assert script.main([str(tmp_path / "missing")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
