"""A function in a user's file is found, or refused in one line."""

import pytest
from toys import quadratic

from bgpbt.assembly.parts import make_strategy, make_task
from bgpbt.config.errors import BadInput
from bgpbt.config.options import Options
from bgpbt.registry import STRATEGIES

FUNCTIONS = """from bgpbt.tasks.toy import toy as task


def wrong(options):
    return options.pop_size


number = 3
"""


def test_a_function_in_a_persons_own_file(tmp_path, monkeypatch):
    """Found, or refused in one line where it cannot be used."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(FUNCTIONS)
    assert make_task(Options(task="mine.py:task")).name == "toy quadratic"
    with pytest.raises(BadInput, match=r"mine\.py:wrong gives int, not a Task"):
        make_task(Options(task="mine.py:wrong"))
    message = (
        r"strategy: mine\.py:wrong cannot be called as one: "
        "too many positional arguments"
    )
    with pytest.raises(BadInput, match=message):
        make_strategy(Options(strategy="mine.py:wrong"), quadratic())
    for word, problem in {
        "mine.py:wrogn": "has no function 'wrogn', nearest: wrong",
        "mine.py:number": "known: wrong",
    }.items():
        with pytest.raises(BadInput, match=problem):
            make_task(Options(task=word))
    (tmp_path / "mine.py").write_text("import nothing_of_that_name\n")
    with pytest.raises(
        BadInput, match=r"mine\.py cannot be imported: ModuleNotFoundError"
    ):
        make_task(Options(task="mine.py:task"))


FILE = """from bgpbt.types import Strategy


def broken(space, blocks):
    raise ValueError("boom")


def leaves(options):
    raise SystemExit(0)


def later(space, blocks):
    def init(key, outcome):
        return space["nothing"]

    return Strategy(init=init, step=None)


def grumpy(space, blocks):
    return Strategy(init=None, step=None, validate=lambda size: 1 / 0)


def idle(options):
    from own_parts import task

    return task(train=lambda *given: None)


def hungry(space, blocks):
    return Strategy(init=None, step=None, needs=("bananas",))
"""


def test_an_error_of_the_file_is_told_with_its_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(FILE)
    for name, message in {
        "broken": "the function raises ValueError: boom, line 5",
        "later": "init raises KeyError: 'nothing', line 14",
        "grumpy": "validate raises ZeroDivisionError: division by zero, line 20",
        "hungry": r"needs 'bananas' is unknown, give some of \('hyperparameters'",
    }.items():
        with pytest.raises(BadInput, match=rf"^strategy: mine\.py:{name}: {message}"):
            make_strategy(Options(strategy=f"mine.py:{name}"), quadratic())
    (tmp_path / "gone.py").write_text("raise SystemExit(0)")
    with pytest.raises(
        BadInput, match=r"^task: gone\.py cannot be imported: SystemExit: 0"
    ):
        make_task(Options(task="gone.py:f"))
    message = (
        r"^task: mine\.py:idle: train gives NoneType, "
        "not a state and a dict of metrics"
    )
    with pytest.raises(BadInput, match=message):
        make_task(Options(task="mine.py:idle"))
    with pytest.raises(
        BadInput,
        match=r"^task: mine\.py:leaves: the function raises SystemExit: 0, line 9",
    ):
        make_task(Options(task="mine.py:leaves"))


def test_the_products_own_errors_are_not_told_as_a_persons(monkeypatch):
    monkeypatch.setitem(STRATEGIES, "pbt", "builtins:divmod")
    monkeypatch.setattr("builtins.divmod", lambda space, blocks: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        make_strategy(Options(strategy="pbt"), quadratic())
