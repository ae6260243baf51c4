"""What the command does with good input, and how it ends."""

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from command_lines import options_of, refusal

from bgpbt import api
from bgpbt.cli import command
from bgpbt.cli.command import main
from bgpbt.cli.parser import flag_names
from bgpbt.config import versions
from bgpbt.config.errors import BadInput, NotSaved, PopulationLost
from bgpbt.config.loading import load_options
from bgpbt.config.options import Options
from bgpbt.storage.places import run_folder
from bgpbt.storage.schema import SCHEMA
from bgpbt.storage.store import RunStore
from bgpbt.storage.taking import take
from bgpbt.training.stop import Stopped


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (BadInput("the folder holds\nanother run"), 2, "the folder holds another run"),
        (PopulationLost("all members\nare lost"), 3, "all members are lost"),
        (NotSaved("the disk\nis full"), 4, "the disk is full"),
        (Stopped("stopped after\nround 3", 143), 143, "stopped after round 3"),
    ],
)
def test_exit_codes_of_a_run(calls, capsys, monkeypatch, error, code, words):
    def fails(*_):
        raise error

    monkeypatch.setattr(api, "run_prepared", fails)
    assert main([]) == code
    err = capsys.readouterr().err
    assert words in err and err.count("\n") == 1


def test_other_errors_are_not_hidden(calls, monkeypatch):
    monkeypatch.setattr(api, "run_prepared", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main([])


def test_devices_are_chosen_before_the_run(calls):
    options_of(calls, "-ps 4 -qf 0.25")
    assert [what for what, _ in calls] == ["devices", "prepare", "run"]
    assert calls[0][1].pop_size == 4


def test_a_missing_jax_is_answered_before_it_is_imported(calls, capsys, monkeypatch):
    def missing(name):
        raise versions.PackageNotFoundError(name)

    monkeypatch.setattr(versions, "version", missing)
    assert "JAX is not installed" in refusal(calls, capsys, [])


@pytest.mark.parametrize("dry_run", [[], ["--dry_run"]])
def test_a_refusal_is_the_only_line(monkeypatch, tmp_path, capsys, dry_run):
    """No notice says that a setting has no effect before the run is refused."""
    monkeypatch.setattr(command, "prepare_jax", lambda options: None)
    monkeypatch.setattr(sys, "argv", ["main.py"])
    monkeypatch.chdir(tmp_path)
    options = load_options({"task": "toy"})
    store = RunStore(run_folder(options, 0))
    take(store, options, {"schema": SCHEMA})
    store.checkpoint(1).mkdir()
    words = ["-t", "toy", "-ps", "16", "-td", "1_000_000", *dry_run]
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert "holds a run of other settings (pop_size 2 there, 16 here" in err


def test_the_installed_command_has_its_own_name(calls, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/bgpbt"])
    assert main(["-ps", "1"]) == 2
    assert capsys.readouterr().err.startswith("bgpbt: pop_size: 1 is no population")


def test_dry_run_prints_and_does_not_run(calls, capsys):
    assert main(["--dry_run", "-ps", "16"]) == 0
    assert capsys.readouterr().out == "six rounds\n"
    assert [what for what, _ in calls] == ["devices", "prepare", "dry_run"]


def test_notices_only_for_what_was_typed(calls, capsys, tmp_path):
    assert main("-td 1_000_000 --patience 3".split()) == 0
    err = capsys.readouterr().err
    assert (
        err.count("\n") == 2
        and "notice: t_distillation has no effect with search_mode hpo" in err
    )
    (tmp_path / "options.yaml").write_text(Options().to_yaml())
    assert main(["-c", "options.yaml"]) == 0
    assert capsys.readouterr().err == ""


def test_render(calls, capsys, tmp_path):
    assert main(["render", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'best.gif'}\n"
    assert main(["render", str(tmp_path), "a.gif", "--run_files"]) == 0
    assert capsys.readouterr().out == "a.gif\n"
    assert calls == [
        ("render", tmp_path, None, False),
        ("render", tmp_path, Path("a.gif"), True),
    ]


@pytest.mark.parametrize("words", [["-h"], ["--help"], ["-ps", "8", "-h"]])
def test_help(calls, capsys, words):
    with pytest.raises(SystemExit) as caught:
        main(words)
    out = capsys.readouterr().out
    assert caught.value.code == 0 and calls == []
    for flag in flag_names():
        assert re.search(rf"(^|\s){flag}\b", out), flag
    for field in Options.model_fields.values():
        assert field.description.split()[0] in out


def test_help_of_a_command(calls, capsys):
    with pytest.raises(SystemExit):
        main(["render", "-h"])
    assert "RUN_FOLDER" in capsys.readouterr().out


@pytest.fixture
def updates(monkeypatch):
    """What `prepare_jax` sets; JAX and the count of the cores are stand-ins."""
    updates = {}
    monkeypatch.setitem(
        sys.modules,
        "jax",
        SimpleNamespace(
            config=SimpleNamespace(update=updates.__setitem__), devices=lambda: []
        ),
    )
    monkeypatch.setitem(
        sys.modules,
        "bgpbt.execution.devices",
        SimpleNamespace(cpu_devices=lambda pop_size: pop_size // 2),
    )
    monkeypatch.delenv("JAX_NUM_CPU_DEVICES", raising=False)
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    return updates


def test_cpu_devices_follow_the_population(updates, monkeypatch):
    command.prepare_jax(Options(pop_size=8, no_cache=True))
    assert updates == {"jax_num_cpu_devices": 4}
    command.prepare_jax(Options(pop_size=8, devices=2, no_cache=True))
    assert updates == {"jax_num_cpu_devices": 2}
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=false")
    command.prepare_jax(Options(pop_size=12, no_cache=True))
    assert updates == {"jax_num_cpu_devices": 6}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JAX_NUM_CPU_DEVICES", "3"),
        ("XLA_FLAGS", "--xla_force_host_platform_device_count=3"),
    ],
)
def test_the_users_own_devices_stay(updates, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    command.prepare_jax(Options(no_cache=True))
    assert updates == {}
