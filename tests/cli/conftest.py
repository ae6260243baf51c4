"""The command line in an empty folder, asked for nothing in earnest."""

import sys
from types import SimpleNamespace

import pytest

import bgpbt
from bgpbt import api
from bgpbt.cli import command


@pytest.fixture
def calls(monkeypatch, tmp_path):
    """What the package was asked for, in order, as pairs of a word and an argument.

    The package is a stand-in, and the working folder is empty.
    """
    calls = []

    def describe(options):
        calls.append(("dry_run", options))
        return "six rounds"

    def open_run(path, run_files):
        def render(gif):
            calls.append(("render", path, gif, run_files))
            return gif or path / "best.gif"

        return SimpleNamespace(render=render)

    def record(word):
        return lambda options, *_: calls.append((word, options)) or options

    monkeypatch.setattr(command, "prepare_jax", record("devices"))
    monkeypatch.setattr(api, "prepare", record("prepare"))
    monkeypatch.setattr(api, "own_lengths", lambda prepared: {})
    monkeypatch.setattr(api, "run_prepared", record("run"))
    monkeypatch.setattr(api, "describe_prepared", describe)
    monkeypatch.setattr(bgpbt, "open_run", open_run)
    monkeypatch.setattr(sys, "argv", ["main.py"])
    monkeypatch.chdir(tmp_path)
    return calls
