"""What a user asks of the search space, from flags and from YAML."""

import re

import pytest

from bgpbt.cli.parser import parse
from bgpbt.config.errors import BadInput
from bgpbt.config.loading import load_options
from bgpbt.config.search_space import Change, changes, parse_change


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("1e-5:1e-2", Change(1e-5, 1e-2)),
        ("1e-5:1e-2:log", Change(1e-5, 1e-2, "log")),
        ("-1 : 2 : linear : default=0", Change(-1.0, 2.0, "linear", "0")),
        ("log_complement", Change(scale="log_complement")),
        ("default=3e-4", Change(default="3e-4")),
        ("2:16:doubling", Change(2.0, 16.0, "doubling")),
        ("tanh,silu", Change(choices=("tanh", "silu"))),
        ("tanh,silu:default=silu", Change(default="silu", choices=("tanh", "silu"))),
        ("tanh", Change(choices=("tanh",))),
    ],
)
def test_changes_are_read(text, change):
    assert parse_change(text) == change


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("1e-5", "'1e-5' has 1 of the two ends of a range, write for example"),
        ("1:2:3", "'1:2:3' has 3 of the two ends"),
        ("1:2:lgo", "'lgo' in '1:2:lgo' is no number, no scale and no default, near"),
        ("1:nan", "'nan' is not a finite number"),
        ("1:inf", "'inf' is not a finite number"),
        ("", "'' in '' is no number"),
        ("tanh:silu", "'tanh:silu' has choices twice, keep one"),
        ("1:2:log:linear", "'1:2:log:linear' has scale twice, keep one"),
        ("1:2:default=1:default=2", "has default twice, keep one"),
        ("log:tanh", "'tanh' in 'log:tanh' is no number, no scale and no default"),
        ("a,a", "'a,a' has a choice that is empty or given twice"),
        ("a,", "'a,' has a choice that is empty or given twice"),
    ],
)
def test_what_is_no_change(text, problem):
    with pytest.raises(ValueError, match=re.escape(problem)):
        parse_change(text)


def test_yaml_says_the_same_in_lists_and_mappings():
    written = {
        "a": "1e-5:1e-2:log",
        "b": [2, 16, "log"],
        "c": {"low": 0.9, "high": 0.99, "scale": "log_complement", "default": 0.95},
        "d": ["tanh", "silu"],
        "e": {"choices": ["tanh", "silu"], "default": "silu"},
        "f": {"choices": "tanh,silu"},
        "g": {"choices": [16, 32]},
    }
    assert changes(written) == {
        "a": "1e-5:1e-2:log",
        "b": "2:16:log",
        "c": "0.9:0.99:log_complement:default=0.95",
        "d": "tanh,silu",
        "e": "tanh,silu:default=silu",
        "f": "tanh,silu",
        "g": "16,32",
    }


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        # YAML reads 2:16 as 136 seconds.
        ({"space": {"a": 136}}, 'space: a: 136 is no range, write [LOW, HIGH] or "LOW'),
        ({"space": {"a": {"lo": 1}}}, "space: a: unknown 'lo', nearest: low"),
        ({"space": {"a": {"low": 1}}}, "space: a: one of low and high is missing"),
        ({"space": {"a": {"choices": 5}}}, "space: a: choices 5 are no list, write [A"),
        ({"space": "a"}, "space: 'a' is not NAME=..., write for example learning_rate"),
        ({"space": ["a=1:2", "a=1:3"]}, "space: a is given twice, keep one"),
        ({"space": ["a=1"]}, "space: a: '1' has 1 of the two ends"),
        (
            {"fix": ["a"]},
            "fix: 'a' is not NAME=..., write for example disc",
        ),
        ({"fix": {"a": [1]}}, "fix: a: [1] is not one value"),
        ({"fix": ["a=1"], "space": ["a=1:2"]}, "fix: a is also in space, give one"),
    ],
)
def test_what_is_wrong_is_one_line(values, problem):
    with pytest.raises(BadInput) as caught:
        load_options(values)
    assert problem in str(caught.value) and "\n" not in str(caught.value)


def test_flags_are_joined_and_win_over_a_file_dimension_by_dimension(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("space: {a: '1:2', b: [3, 4]}\nfix: {c: 5, d: 6}\n")
    tokens = "--space a=7:8 --space c=9:10 e=1:2:log --fix b=0.5".split()
    options = load_options(parse(tokens), file)
    assert options.space == {"a": "7:8", "c": "9:10", "e": "1:2:log"}
    assert options.fix == {"d": "6", "b": "0.5"}


def test_saved_settings_are_read_back(tmp_path):
    options = load_options({"space": ["a=2:16"], "fix": ["b=0.5"]})
    (tmp_path / "options.yaml").write_text(options.to_yaml(), encoding="utf-8")
    assert load_options({}, tmp_path / "options.yaml") == options


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("space: {a: [1, 2], a: [1, 3]}", "a given twice, keep one"),
        ("space: {a: 136}", "space: a: 136 is no range"),
    ],
)
def test_a_file_is_named_also_beside_a_flag(tmp_path, text, problem):
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(BadInput) as caught:
        load_options({"space": ["b=1:2"]}, file)
    assert str(caught.value).startswith(f"{file}: {problem}")
