"""The suite: cells in files, scores on a scale of constant configurations."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from bgpbt.config.errors import BadInput
from scripts import suite
from scripts.studies import suite_cells, suite_profiles, suite_scores
from scripts.studies.suite_cells import Cell, cells_of
from scripts.studies.suite_profiles import ARMS, PROFILES, VARIANTS
from scripts.studies.suite_scores import Scale

NAN = float("nan")
SCALE = Scale(floor=10.0, ceiling=50.0, steps=100)


def run(report, final=50.0, untrained=10.0, steps=(25, 50, 75, 100)) -> dict:
    return {
        "steps": list(steps),
        "report": list(report),
        "untrained": untrained,
        "final": final,
    }


def test_an_area_is_the_mean_of_a_curve():
    area = suite_scores.area
    assert area([50, 100], [10.0, 10.0], 10.0, 100) == 10
    assert area([50, 100], [20.0, 40.0], 0.0, 100) == pytest.approx(20)
    # What lies behind the end does not count; a curve that ends before stays.
    assert area([50, 100, 150], [20.0, 40.0, 90.0], 0.0, 100) == pytest.approx(20)
    assert area([50], [20.0], 0.0, 100) == pytest.approx(15)


def test_scores_are_on_the_scale_of_the_screen():
    at_once = run([50.0] * 4, untrained=50.0)
    assert suite_scores.score(at_once, SCALE, "area") == 1
    nothing = run([10.0] * 4, final=10.0)
    assert suite_scores.score(nothing, SCALE, "area") == 0
    assert suite_scores.score(nothing, SCALE, "final") == 0
    with pytest.raises(BadInput, match="nothing is learnt"):
        screen = {suite_profiles.SCREEN_SEED: nothing}
        suite_scores.scale_of(screen, "made_up", [])
    learnt = {suite_profiles.SCREEN_SEED: run([50.0] * 4)}
    runs = [{"env_steps": 100}, {"env_steps": 140}]
    assert suite_scores.scale_of(learnt, "made_up", runs) == SCALE


def test_arms_are_paired_by_the_seeds_that_all_have():
    results = {
        ("one", "bgpbt"): {0: run([50.0] * 4), 1: run([30.0] * 4)},
        ("one", "pbt"): {1: run([20.0] * 4), 2: run([20.0] * 4)},
    }
    results = suite_scores.comparable(results)
    scores = suite_scores.scores_of(results, {"one": SCALE}, "area")
    assert {arm: x.tolist() for arm, x in scores["one"].items()} == {
        "bgpbt": [pytest.approx(0.4375)],
        "pbt": [pytest.approx(0.21875)],
    }


def test_an_unfinished_study_is_compared_as_far_as_it_goes(capsys):
    runs = {0: run([50.0] * 4)}
    results = {("one", "bgpbt"): runs, ("one", "pbt"): runs, ("two", "bgpbt"): runs}
    assert list(suite_scores.comparable(results)) == [
        ("one", "bgpbt"),
        ("two", "bgpbt"),
    ]
    assert "left out: pbt on one, seeds [0]" in capsys.readouterr().err
    assert suite_scores.comparable({}) == {}
    apart = {("one", "bgpbt"): runs, ("one", "pbt"): {1: runs[0]}}
    assert suite_scores.comparable(apart) == {}


def test_steps_are_those_that_were_simulated():
    """A rung of a generation has more candidates than slots; steps still ascend."""
    rows = [
        {"round": r, "member": i, "fitness": NAN if i == 2 else 1.0, "timesteps": t}
        | {"env_steps_total": 100 * r, "report": 1.0 * r, "seconds": 1.0}
        for r, members, clocks in (
            (1, 3, (5, 5, 5)),
            (2, 4, (9,) * 4),
            (3, 3, (9, 9, 5)),
        )
        for i, t in zip(range(members), clocks, strict=True)
    ]
    report = {"mean": 2.0, "untrained_mean": 0.0, "env_steps_total": 300}
    result = SimpleNamespace(records=pd.DataFrame(rows), report=report)
    scores = suite_cells.scores_of(result, screen=False)
    assert scores["steps"] == [100, 200, 300] and scores["report"] == [1, 2, 3]
    # Members 0, 1 idle in the last round; 2 trained, and failed each time.
    assert scores["failed"] == 3


def test_problems_weigh_alike_whatever_their_seeds():
    scores = {
        "many": {"bgpbt": np.full(24, 0.5), "pbt": np.full(24, 0.25)},
        "few": {"bgpbt": np.full(4, 1.0), "pbt": np.full(4, 0.25)},
    }
    figures = {f.name: f for f in suite_scores.summarise(scores, "area")}
    assert figures["all, area: bgpbt"].value == 0.75
    assert figures["all, area: bgpbt - pbt"].value == 0.5
    assert figures["all, area: bgpbt above pbt, chance"].value == 1
    assert figures["all, area: bgpbt - pbt"].note == "95 %: 0.500 to 0.500"


@pytest.mark.parametrize("profile", PROFILES)
def test_every_arm_of_a_profile_has_settings_that_hold_together(profile):
    arms = [*ARMS, *(VARIANTS if profile == "dev" else ())]
    cells = cells_of(profile, PROFILES[profile].problems, arms)
    budget = set()
    for cell in cells:
        options = cell.options(suite_cells.Path("runs"), quick=False)
        assert set(options.seed) == set(cell.seeds)
        budget.add((cell.problem, options.pop_size * options.max_timesteps))
    assert len(budget) == len(PROFILES[profile].problems)  # all arms have the same
    judged = [set(p.seeds) for p in PROFILES[profile].problems.values()]
    for problem, seeds in zip(PROFILES[profile].problems, judged, strict=True):
        for arm in arms:
            own = [c.seeds for c in cells if (c.problem, c.arm) == (problem, arm)]
            assert {seed for block in own for seed in block} == seeds


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--tasks", "chess"], "chess is not in profile cpu, give some of cartpole"),
        (["--table", "--results", "{}"], "has nothing to compare yet, leave --table"),
        (["--screen", "--table", "--results", "{}"], "has no screen of cartpole, run"),
        (["--profile", "tpu"], "invalid choice"),
    ],
)
def test_bad_input_is_one_line(flags, message, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(suite, "prepare_jax", lambda options: None)
    assert suite.main([flag.format(tmp_path) for flag in flags]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_results_of_other_settings_are_refused(tmp_path):
    cell = Cell("cpu", "cartpole", "pbt", (0,))
    place = tmp_path / "cpu"
    place.mkdir()
    (place / cell.file).write_text('{"what": {}, "runs": {}}')
    with pytest.raises(BadInput, match="is of other settings"):
        suite_cells.result_of(cell, tmp_path, tmp_path, quick=False)
    fits = cell.values(quick=False) | {"seed": [0, 7]}
    (place / cell.file).write_text(json.dumps({"what": fits, "runs": {}}))
    with pytest.raises(BadInput, match="of other settings or seeds"):
        suite_cells.result_of(cell, tmp_path, tmp_path, quick=False)
    (place / cell.file).write_text("{")
    with pytest.raises(BadInput, match="holds no such results"):
        suite_cells.result_of(cell, tmp_path, tmp_path, quick=False)
