"""Runs beside each other."""

import json

import pytest
from page_runs import data_in, toy_options

import bgpbt
from bgpbt.cli.command import main
from bgpbt.pages.comparison import Difference
from bgpbt.pages.comparison_page import verdicts


@pytest.fixture
def arms(tmp_path, compile_once):
    """Folders of two arms with six seeds each, whose reports are made up."""
    folders = []
    for strategy, gain in (("pbt", 1.0), ("random", 0.0)):
        for seed in range(6):
            options = toy_options(tmp_path, strategy=strategy, seed=(seed,))
            run = bgpbt.run(options)
            report = run.report | {"mean": 5.0 + gain + seed}
            (run.path / "report.json").write_text(json.dumps(report))
            folders.append(str(run.path))
    return folders


def written(folders, tmp_path) -> tuple[dict, str]:
    path = tmp_path / "page.html"
    assert main(["report", *folders, "-O", str(path)]) == 0
    return data_in(path), path.read_text()


def test_arms_are_paired_by_seed(arms, tmp_path):
    data, text = written(arms, tmp_path)
    first, second = data["arms"]
    assert "pbt" in first["name"] and "random" in second["name"]
    assert first["scores"] == [6.0, 7.0, 8.0, 9.0, 10.0, 11.0]
    assert second["iqm"] == 7.5
    assert f"{first['name']} is better than {second['name']}" in text
    assert len(first["curves"]) == 6
    assert len(first["curves"][0]["steps"]) == len(first["curves"][0]["best"]) == 7


def test_where_the_interval_holds_0_it_is_undecided(arms, tmp_path):
    place = tmp_path / "toy_random_hpo" / "seed_1" / "report.json"
    report = json.loads(place.read_text())
    place.write_text(json.dumps(report | {"mean": 99.0}))
    _, text = written(arms, tmp_path)
    assert "Undecided" in text and "is better than" not in text


def test_few_seeds_decide_nothing(arms, tmp_path):
    """Five of each arm, whose differences are all alike."""
    _, text = written([*arms[:5], *arms[6:11]], tmp_path)
    assert "Undecided" in text and "they share fewer than 6 seeds" in text


@pytest.mark.parametrize(
    ("difference", "minimise", "words"),
    [
        ((6, 1.0, 0.5, 1.5), False, "a is better than b"),
        ((6, 1.0, 0.5, 1.5), True, "b is better than a"),
        ((6, -1.0, -1.5, -0.5), False, "b is better than a"),
        ((6, 1.0, -0.5, 1.5), False, "undecided: the interval holds 0"),
        ((5, 1.0, 0.5, 1.5), False, "undecided: they share fewer than 6 seeds"),
        ((1, 1.0, float("nan"), float("nan")), False, "undecided: they share fewer"),
    ],
)
def test_verdicts(difference, minimise, words):
    found = Difference("a", "b", *difference)
    assert found.verdict(minimise=minimise).startswith(words)
    (line,) = verdicts([found], minimise)
    assert line.lower().startswith(words.split(":")[0])


def test_one_arm_has_nothing_to_be_compared_with(arms, tmp_path):
    _, text = written(arms[:6], tmp_path)
    assert "There is one arm" in text


def test_what_cannot_be_compared(arms, tmp_path, capsys):
    def refused(*folders) -> str:
        capsys.readouterr()
        before = sorted(tmp_path.rglob("*"))
        assert main(["report", *folders, "-O", str(tmp_path / "new.html")]) == 2
        assert sorted(tmp_path.rglob("*")) == before
        out, err = capsys.readouterr()
        assert out == "" and err.count("\n") == 1
        return err

    assert "are the same seed of" in refused(arms[0], arms[0])
    assert "is no folder" in refused(arms[0], str(tmp_path / "none"))
    other = bgpbt.run(toy_options(tmp_path, problem="deceptive"))
    assert "give runs of one problem" in refused(arms[0], str(other.path))
    (tmp_path / "toy_random_hpo" / "seed_0" / "report.json").unlink()
    assert "has no report yet, give finished runs" in refused(arms[0], arms[6])
