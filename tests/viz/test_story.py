"""What happened in a run, in words."""

import pandas as pd
import pytest
from made_records import row

from bgpbt.viz.story import story
from bgpbt.viz.watching import curve, round_line, sparkline

BEFORE = [row(1, 0, rate=0.5), row(1, 1), row(1, 2, layers=4)]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        (
            {"parent": 1, "parent_value": 1, "rate": 0.125, "source": "gp"},
            "member 0 took member 1's weights; rate 0.25 -> 0.125 by the bandit",
        ),
        (
            {"parent": 2, "parent_value": 2, "rate": 0.25, "layers": 4},
            "member 0 took member 2's weights",
        ),
        (
            {"parent": 0, "parent_value": 2, "rate": 0.5},
            "member 0 took member 2's value",
        ),
        (
            {"parent": 1, "parent_value": 2, "rate": 0.25, "source": "mixed"},
            "member 0 took member 1's policy, member 2's value",
        ),
        (
            {"rate": 0.75, "source": "perturbed"},
            "member 0: rate 0.5 -> 0.75 by perturbation",
        ),
        (
            {"age": 10, "rate": 0.75, "source": "random"},
            "member 0 began with fresh weights; rate 0.5 -> 0.75 at random",
        ),
        ({"fitness": float("nan"), "rate": 0.5}, "member 0 failed"),
    ],
)
def test_what_became_of_a_member(changes, words):
    own = row(2, 0, rate=0.5) | changes
    records = pd.DataFrame([*BEFORE, own, row(2, 1), row(2, 2, layers=4)])
    told = story(records, ["rate", "layers"], ["policy", "value"])
    assert told == {2: [words] if words else []}


def test_a_generation_is_told():
    records = pd.DataFrame(
        [*BEFORE, row(2, 0, phase="distillation", generation=1, why="patience")]
    )
    told = story(records, ["rate", "layers"], ["policy", "value"])
    assert told == {2: ["generation 1 began (patience)"]}


def test_a_round_in_a_line():
    records = pd.DataFrame([row(0, 0, fitness=9.0), *BEFORE, row(2, 0, fitness=2.0)])
    line = round_line(records, 2, 40, minimise=False)
    assert line == (
        "round 2  20 of 40 timesteps per member (50%)  best 2  median 2  "
        "best so far 2  left 0:00:03"
    )
    assert "best so far 1 " in round_line(records, 2, 40, minimise=True)


def test_a_curve_in_a_line():
    assert sparkline([0, 1, float("nan"), 2]) == "▁▅█"
    assert sparkline([]) == "" and sparkline([3.0]) == "▁"
    assert len(sparkline(range(1000), 10)) == 10
    records = pd.DataFrame([row(0, 0, fitness=-50.0), *BEFORE, row(2, 0, fitness=2.0)])
    assert curve(records, minimise=False) == "▁█  1 to 2"
    assert curve(records[records["round"] == 0], minimise=False) == "no round yet"
