"""`python main.py`, really run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import bgpbt

ROOT = Path(bgpbt.__file__).parents[1]


def test_jax_really_has_the_chosen_devices():
    code = (
        "from bgpbt.cli.start import Options, prepare_jax; "
        "prepare_jax(Options(devices=4)); import jax; print(jax.device_count())"
    )
    others = {
        name: value
        for name, value in os.environ.items()
        if name not in ("JAX_NUM_CPU_DEVICES", "XLA_FLAGS")
    }
    environment = others | {"JAX_PLATFORMS": "cpu"}
    words = [sys.executable, "-c", code]
    done = subprocess.run(
        words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "4\n", done.stderr


def test_a_real_command_answers_bad_input(tmp_path):
    words = [sys.executable, str(ROOT / "main.py"), "-e", "anr"]
    done = subprocess.run(
        words, cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (2, "") and "nearest: ant" in done.stderr
    assert done.stderr.count("\n") == 1 and list(tmp_path.iterdir()) == []


def test_bad_input_is_answered_without_jax():
    code = (
        "import sys; from bgpbt.cli.command import main; "
        "code = main(['-e', 'grap']); sys.exit(9 if 'jax' in sys.modules else code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2, done.stderr


@pytest.mark.parametrize(
    ("switches", "package"),
    [
        (["-S", "-E"], "(yaml|pydantic)"),  # without site-packages
        (["-S", "-I"], "bgpbt"),  # nor the folder of main.py
    ],
)
def test_a_python_without_the_packages_is_told_in_one_line(tmp_path, switches, package):
    words = [sys.executable, *switches, str(ROOT / "main.py"), "-ps", "4"]
    ended = subprocess.run(
        words, cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    line = rf"main\.py: {package} is not installed here: run `make setup`, then .*\n"
    assert re.fullmatch(line, ended.stderr)


def test_a_dry_run_prints_nothing_else_and_leaves_nothing(tmp_path):
    """Brax and MuJoCo would print, and MuJoCo writes a log, where they are imported."""
    words = [sys.executable, str(ROOT / "main.py"), "-e", "halfcheetah", "--dry_run"]
    ended = subprocess.run(
        words, cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("ppo on halfcheetah, ")
    assert ended.stdout.endswith("dry run: nothing was written\n")
    assert "warp" not in ended.stdout
    assert list(tmp_path.iterdir()) == []


BRAX = """
import warnings
print("loaded")
from brax import envs
from mujoco import mjx

def run():
    warnings.warn("my own")
    return envs.get_environment("halfcheetah", backend="spring")
"""


@pytest.mark.long
def test_a_file_that_imports_brax_is_heard_and_brax_is_not(tmp_path):
    (tmp_path / "mine.py").write_text(BRAX)
    words = [sys.executable, str(ROOT / "main.py"), "envs", "mine.py:run"]
    ended = subprocess.run(
        words, cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("loaded\nenvironment  mine.py:run\n")
    assert ended.stderr == "notice: mine.py:8: my own\n"
    left = {path.name for path in tmp_path.iterdir()} - {"__pycache__"}
    assert left == {"mine.py"}
