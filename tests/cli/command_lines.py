"""What command lines come to, for the tests of this folder."""

import re
from pathlib import Path

from bgpbt.cli.command import main
from bgpbt.config.options import Options


def options_of(calls: list, line: str) -> Options:
    """The settings of the run that a command line asks for."""
    assert main(line.split()) == 0
    return calls[-1][1]


def refusal(calls: list, capsys, words: list[str], code: int = 2) -> str:
    """The line on stderr, after checking that it is one, and that nothing was done."""
    before = sorted(Path.cwd().rglob("*"))
    assert main(words) == code
    out, err = capsys.readouterr()
    assert out == "" and re.fullmatch(r"main\.py: [^\n]+\n", err)
    assert calls == [] and sorted(Path.cwd().rglob("*")) == before
    return err
