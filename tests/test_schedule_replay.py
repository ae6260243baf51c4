"""Replaying a schedule: what each of the four ways is given, on a toy."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

import bgpbt
from bgpbt.config.errors import BadInput
from bgpbt.config.loading import load_options
from scripts import schedule_replay as script
from scripts.studies.replay_figures import WAYS, draw, summarise

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    values = {
        "task": "toy",
        "problem": "quadratic",
        "pop_size": 4,
        "t_ready": 20,
        "max_timesteps": 100,
        "inherit": "both",
        "quantile_fraction": 0.25,
        "devices": 1,
        "save_dir": str(tmp_path_factory.mktemp("runs")),
    }
    return bgpbt.run(load_options(values))


@pytest.fixture(scope="module")
def ways(finished, tmp_path_factory):
    return script.study(finished, 7, str(tmp_path_factory.mktemp("replays")))


def test_every_repeat_follows_the_schedule(finished, ways):
    """From the first round on, though the toy has first configurations of its own."""
    schedule = finished.lineage[["h0", "h1"]].iloc[1:].to_numpy()
    rows = ways["replayed"]
    x = np.array([0.9, 0.9])
    for number in range(1, 6):
        h = schedule[min(number, len(schedule)) - 1]
        group = rows[rows["round"] == number]
        np.testing.assert_allclose(group[["h0", "h1"]], np.tile(h, (4, 1)), atol=1e-5)
        assert (group["parent"] == group["member"]).all()
        x = x * (1 - 0.02 * h) ** 20  # the toy, by hand
        np.testing.assert_allclose(group["fitness"], 1.2 - (x**2).sum(), atol=1e-4)


def test_constant_is_the_last_configuration(finished, ways):
    rows = ways["constant"][ways["constant"]["round"] > 0]
    last = finished.lineage[["h0", "h1"]].iloc[-1]
    np.testing.assert_allclose(rows[["h0", "h1"]] - last, 0, atol=1e-5)


def test_the_population_goes_on_as_it_was(finished, ways):
    rows, before = ways["continued"].records, finished.records
    assert rows["round"].max() == 10 and rows["timesteps"].max() == 200
    last = before[before["round"] == 5]
    for _, group in rows[rows["round"] > 5].groupby("round"):
        np.testing.assert_array_equal(group[["h0", "h1"]], last[["h0", "h1"]])
        assert (group["parent"] == group["member"]).all()
    assert finished.records["round"].max() == 5  # the run itself is as it was


def test_four_labels_and_a_picture(ways, tmp_path):
    figures = {f.name: f for f in summarise(ways)}
    assert tuple(figures) == WAYS and len(figures["replayed"].repeats) == 4
    rounds = len(ways["adaptive"].lineage) - 1
    for way in ("replayed", "constant"):
        rows = ways[way][ways[way]["round"] == rounds]
        assert figures[way].value == pytest.approx(rows["fitness"].mean())
    for way in ("adaptive", "continued"):
        assert figures[way].value == pytest.approx(ways[way].report["mean"])
    draw(ways, tmp_path / "ways.png")
    assert (tmp_path / "ways.png").stat().st_size > 10_000


def test_where_smaller_is_better_the_best_member_is_the_lowest(ways, monkeypatch):
    run = ways["adaptive"]
    minimised = replace(run, task=run.task._replace(minimise=True))
    drawn = []
    monkeypatch.setattr(
        Figure, "savefig", lambda figure, *_, **__: drawn.append(figure)
    )
    draw(ways | {"adaptive": minimised}, Path("unused"))
    lines = {line.get_label(): line for line in drawn[0].axes[0].lines}
    lowest = run.records.groupby("round")["fitness"].min()
    assert list(lines["adaptive, best member"].get_ydata()) == list(lowest)


def test_a_schedule_that_began_late_is_as_long_as_it_is(finished, ways):
    """The winner's weights are of round 3.

    Its three rounds stand beside three rounds of the repeats, not five.
    """
    records = finished.records
    younger = records["age"] - 40 * (records["round"] > 2)
    late = replace(finished, records=records.assign(age=younger))
    assert late.lineage["round"].tolist() == [3, 4, 5]
    assert finished.lineage["round"].tolist()[3:] == [3, 4, 5]
    figures = {f.name: f.value for f in summarise(ways | {"adaptive": late})}
    third = ways["constant"][ways["constant"]["round"] == 3]
    assert figures["constant"] == pytest.approx(third["fitness"].mean())
    options = finished.options.model_copy(update={"t_ready_end": 10})
    with pytest.raises(BadInput, match="rounds become shorter"):
        script.study(replace(late, options=options), 7, "unused")


def test_repeats_that_failed_are_counted_not_hidden(ways):
    rows = ways["constant"].copy()
    last = rows.index[rows["round"] == 5]
    rows.loc[last[0], "fitness"] = np.nan  # failed now
    rows.loc[last[1], "age"] = 20  # failed before
    figures = {f.name: f for f in summarise(ways | {"constant": rows})}
    constant = figures["constant"]
    assert len(constant.repeats) == 2 and constant.note.endswith("; 2 more failed")


def test_the_seed_of_the_repeats_is_another():
    assert script.unused(None, (3,)) == 1003 and script.unused(4, (3,)) == 4
    assert script.unused(None, (2**32 - 1,)) == 999
    words = "the run itself has used 3, give another, or leave --seed out"
    with pytest.raises(BadInput, match=words):
        script.unused(3, (2, 3))


def test_a_seed_that_the_run_has_used_is_refused_before_anything_runs(
    finished, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(script, "study", lambda *args: pytest.fail("it ran"))
    folder = tmp_path / "runs"
    flags = ["--seed", "0", "--save_dir", str(folder)]
    assert script.main([str(finished.path), *flags]) == 2
    said = capsys.readouterr().err
    assert said.startswith("schedule_replay.py: seed: the run itself has used 0")
    assert said.count("\n") == 1
    assert not folder.exists()


def test_what_cannot_be_replayed(finished, tmp_path, capsys):
    folder = str(tmp_path)
    with pytest.raises(BadInput, match="is not finished"):
        script.study(replace(finished, report=None), 7, folder)
    records = finished.records
    two_generations = replace(finished, records=records.assign(generation=1))
    with pytest.raises(BadInput, match="has 2 generations"):
        script.study(two_generations, 7, folder)
    task = finished.task
    space = {name: dim._replace(group="x") for name, dim in task.space.items()}
    lineage = records.assign(parent=records["member"], h0=records["round"] * 1.0)
    searched = replace(finished, task=task._replace(space=space), records=lineage)
    with pytest.raises(BadInput, match="architecture changed along its lineage"):
        script.study(searched, 7, folder)
    assert script.main([str(tmp_path / "missing")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
