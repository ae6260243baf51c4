"""Odd input is answered in a line: a few hundred cases; `scripts/fuzz.py` has more."""

import json

import pytest

from scripts import fuzz
from scripts.studies.fuzz_cases import Answer, call


@pytest.mark.scripts
def test_odd_input_is_answered(tmp_path, capfd):
    path = tmp_path / "fuzz.json"
    assert fuzz.main(["--quick", "--json", str(path)]) == 0, capfd.readouterr().err
    figures = json.loads(path.read_text())["figures"]
    assert [f["value"] for f in figures] == [0] * 4


def test_a_wrong_answer_is_seen():
    problems = fuzz._of_answer
    assert problems(call(["-ps", "x"]), one_line=True) == []
    assert problems(Answer(0, "", ""), one_line=True) == []
    assert problems(Answer(2, "", ""), one_line=True) == ["0 lines: ''"]
    assert problems(Answer(2, "", "a\nb\n"), one_line=True) == ["2 lines: 'a\\nb\\n'"]
    assert problems(Answer(1, "", "Traceback (most recent"), one_line=False) == [
        "exit code 1",
        "a traceback",
    ]
