"""What is printed may not be read to its end, and JAX may not start."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import jax
import pytest

from bgpbt.cli import command

ROOT = Path(__file__).resolve().parents[2]
TOY = "-t toy -ps 2 -qf 0.5 -tr 2 -mt 8 --devices 1".split()


def shell(line: str, **variables: str) -> subprocess.CompletedProcess:
    """A line of the shell, in which `bgpbt` is the command."""
    line = line.replace("bgpbt", f"{sys.executable} main.py")
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        cwd=ROOT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_reader_that_goes_away_is_no_error():
    done = shell("bgpbt space -e ant | head -1")
    assert (done.returncode, done.stderr) == (141, "")
    assert done.stdout.startswith("dimension") and done.stdout.count("\n") == 1


def test_a_run_goes_on_without_its_reader(tmp_path):
    done = shell(f"bgpbt {' '.join(TOY)} --save_dir {tmp_path} | head -1")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list(tmp_path.rglob("report.json"))) == 1


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_ends_nothing(tmp_path, closed):
    done = shell(f"bgpbt {' '.join(TOY)} --save_dir {tmp_path} {closed}")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list(tmp_path.rglob("report.json"))) == 1


def test_every_notice_of_ours_is_told_however_alike(monkeypatch, capsys):
    """They begin with the folder of the run."""
    texts = [f"{'/long' * 20}/seed_0: {fault}" for fault in ("one", "two", "one")]

    def train(argv):
        for text in texts:
            warnings.warn_explicit(text, UserWarning, command.__file__, 1)
        return 0

    monkeypatch.setattr(command, "train", train)
    assert command.main([]) == 0
    told = capsys.readouterr().err.splitlines()
    assert told == [f"notice: {text}" for text in texts[:2]]


def test_warnings_of_packages_are_lines_and_alike_ones_one(monkeypatch, capsys):
    """JAX warns of every entry of a damaged cache of programs."""
    begin = "Error reading persistent compilation cache entry"

    def train(argv):
        for name in "ab":
            text = f"{begin} for 'jit_{name}':\n no stream"
            warnings.warn_explicit(text, UserWarning, "site-packages/jax.py", 1)
        return 0

    monkeypatch.setattr(command, "train", train)
    assert command.main([]) == 0
    folder = jax.config.jax_compilation_cache_dir
    remedy = f"; remove {folder}, so that it is made anew"
    line = f"notice: {begin} for 'jit_a': no stream{remedy}\n"
    assert capsys.readouterr().err == line


def test_too_little_memory_to_begin_is_one_line(monkeypatch, capsys):
    def train(argv):
        raise MemoryError

    monkeypatch.setattr(command, "train", train)
    assert command.main([]) == 5
    assert capsys.readouterr().err.endswith(
        "out of memory: the command needs some 2 GB\n"
    )


def test_an_output_that_cannot_be_written_is_one_line(tmp_path):
    done = shell(f"bgpbt {' '.join(TOY)} --save_dir {tmp_path} --dry_run > /dev/full")
    line = "main.py: standard output: No space left on device\n"
    assert (done.returncode, done.stderr) == (4, line)


@pytest.mark.parametrize(
    ("variable", "words"),
    [
        ("JAX_PLATFORMS=cuda", "JAX_PLATFORMS=cuda: no such device is here"),
        ("JAX_PLATFORMS=abacus", "Unable to initialize backend 'abacus'"),
        ("JAX_NUM_CPU_DEVICES=x", 'Invalid value "x" for JAX flag'),
        ("JAX_ENABLE_X64=perhaps", "invalid truth value 'perhaps'"),
    ],
)
def test_what_jax_does_not_understand_is_one_line(variable, words):
    name, _, value = variable.partition("=")
    done = shell("bgpbt -t toy --dry_run", **{name: value})
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr and done.stderr.count("\n") == 1
