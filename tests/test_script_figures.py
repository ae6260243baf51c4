"""Targets are judged rightly, and results have their structure."""

import argparse
import json
import math

import numpy as np
import pandas as pd
import pytest

from bgpbt.intervals import interval, iqm
from scripts.benchmarks.figures import (
    Figure,
    Result,
    Target,
    interleave,
    median,
    met,
    number,
    ratio,
)
from scripts.benchmarks.report import finish, show, to_json, write
from scripts.benchmarks.tables import read_rows, write_rows


@pytest.mark.parametrize(
    ("value", "target", "answer"),
    [
        (1.5, Target(">=", 1.5), True),
        (1.49, Target(">=", 1.5), False),
        (2.0, Target("<=", 2), True),
        (2.1, Target("<=", 2), False),
        (0.5, Target("x", 2), True),
        (2.0, Target("x", 2), True),
        (0.49, Target("x", 2), False),
        (2.1, Target("x", 2), False),
        (math.nan, Target(">=", 1.5), False),
        (math.inf, Target(">=", 1.5), False),
    ],
)
def test_a_figure_meets_its_target(value, target, answer):
    assert met(value, target) is answer


def test_ratios_are_taken_within_a_repeat():
    assert ratio("a / b", [10, 30, 50], [10, 10, 10]).value == 3
    # Not 2 / 2 of the medians.
    assert ratio("a / b", [1, 100, 2], [1, 50, 2]).value == 1


def test_repeats_are_interleaved():
    order = []
    cases = {n: lambda n=n: order.append(n) or len(order) for n in "ab"}
    measured = interleave(cases, 2, lambda text: None)
    assert "".join(order) == "abba" and measured == {"a": [1, 4], "b": [2, 3]}


def test_a_result_names_what_it_misses_and_is_json(tmp_path, capsys):
    figures = [
        Figure("free", 1.0, "s"),
        Figure("good", 2.0, "x", Target(">=", 1)),
        median("bad", "x", [0.5, 0.4, 9], Target(">=", 1)),
    ]
    result = Result("population", {"members": 8}, figures, machine={"cores": 2})
    write(result, tmp_path / "deep" / "result.json")
    written = json.loads((tmp_path / "deep" / "result.json").read_text())
    assert written == json.loads(json.dumps(to_json(result)))
    assert written["missed"] == ["bad"]
    assert [f["met"] for f in written["figures"]] == [None, True, False]
    assert written["figures"][2] == {
        "name": "bad",
        "value": 0.5,
        "unit": "x",
        "target": ">= 1",
        "note": "",
        "repeats": [0.5, 0.4, 9],
        "met": False,
    }
    show(result)
    assert "missed" in capsys.readouterr().out


def test_numbers_have_about_four_digits():
    assert [number(x) for x in (36_123.4, 17.26, 0.01234, math.nan)] == [
        "36,123",
        "17.3",
        "0.0123",
        "nan",
    ]


def test_a_script_ends_with_what_its_flags_ask_for(tmp_path, capsys):
    result = Result("size", {}, [Figure("free", 1.0, "s")])
    paths = {name: tmp_path / f"x.{name}" for name in ("json", "csv", "figure")}
    table = pd.DataFrame({"a": [1]})
    finish(
        result,
        argparse.Namespace(**paths),
        table=table,
        draw=lambda path: path.write_text("drawn"),
    )
    assert json.loads(paths["json"].read_text())["benchmark"] == "size"
    assert paths["csv"].read_text() == "a\n1\n"
    assert paths["figure"].read_text() == "drawn"
    assert "free" in capsys.readouterr().out


def test_rows_are_read_where_they_were_written(tmp_path):
    rows = [{"arm": "a", "seed": 0, "curve": ""}]
    write_rows(tmp_path / "r.csv", rows)
    assert read_rows(tmp_path / "r.csv", keep_default_na=False) == rows
    assert read_rows(tmp_path / "new.csv") == read_rows(None) == []


def test_intervals_hold_the_statistic():
    values = np.array([0.0, 1.0, 2.0, 3.0, 40.0])
    low, high = interval(values)
    assert low < values.mean() < high
    low, high = interval(values, iqm)
    assert low <= iqm(values) == 2 <= high
    assert interval(np.full(5, 2.0)) == (2, 2)
