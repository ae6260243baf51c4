"""`main.py envs`: the list, a table of several, all of a single one."""

import pytest
from command_lines import refusal

from bgpbt.cli.command import main

CHAIN = """
import jax.numpy as jnp
from bgpbt.environment import Env, EnvState
from bgpbt.space import Integer

def chain():
    state = EnvState(0, {"at": jnp.zeros(3), "clock": 0}, 0.0, False)
    def reset(key, knobs):
        return state._replace(metrics={"depth": 0.0, "ends": knobs["bonus"]})
    def step(state, action, knobs):
        return state._replace(metrics={"depth": 1.0, "ends": knobs["bonus"]})
    return Env("chain", 4, 5, 60, 2, 1.0, reset, step, discrete=True,
               knobs={"bonus": Integer(0, 9, 3)})
"""


@pytest.fixture
def chain(tmp_path) -> str:
    """A file of the user's, as `-e` names it."""
    (tmp_path / "mine.py").write_text(CHAIN)
    return f"{tmp_path / 'mine.py'}:chain"


def words_of(capsys, *names: str) -> list[list[str]]:
    """The words of every line that the command prints."""
    assert main(["envs", *names]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return [line.split() for line in out.splitlines()]


def test_all_of_one_environment(capsys):
    lines = words_of(capsys, "goal")
    head = lines.index(["dimension", "range", "scale", "default", "group"])
    assert lines[:4] == [
        ["environment", "goal"],
        ["observation", "6", "numbers"],
        ["actions", "2", "numbers", "in", "[-1,", "1]"],
        ["an", "action", "is", "held", "for", "1", "step"],
    ]
    assert ["episode", "at", "most", "100", "steps"] in lines
    assert lines[head + 1][:6] == ["progress_weight", "0", "to", "10", "linear", "0"]
    assert lines[head + 2][0] == "effort_weight"
    assert lines[-1] == ["success"]


def test_one_without_knobs_and_metrics(capsys):
    lines = words_of(capsys, "fast")
    assert lines.count(["none"]) == 2
    assert ["actions", "1", "numbers", "in", "[-1,", "1]"] in lines


def test_an_environment_of_ones_own(capsys, chain):
    lines = words_of(capsys, chain)
    assert lines[:5] == [
        ["environment", chain],
        ["observation", "4", "numbers"],
        ["actions", "5", "choices"],
        ["an", "action", "is", "held", "for", "2", "steps"],
        ["episode", "at", "most", "60", "steps"],
    ]
    assert ["bonus", "0", "to", "9", "linear", "3", "hyperparameter"] in lines
    assert lines[-1] == ["depth,", "ends"]


def test_several_are_compared(capsys, chain):
    head, *rows = words_of(capsys, "goal", chain)
    assert head == ["environment", "observation", "actions", "episode", "picture"]
    assert [row[0] for row in rows] == ["goal", chain]


def test_the_list_of_all(capsys):
    lines = words_of(capsys)
    assert ["brax"] in lines and any("ant," in line for line in lines)


def test_a_wrong_name_is_one_line(calls, capsys):
    for name, why in {
        "gaol": "env_name: unknown 'gaol', nearest: goal",
        "mine.py:f": "env_name: no file mine.py, give",
    }.items():
        assert why in refusal(calls, capsys, ["envs", name])
