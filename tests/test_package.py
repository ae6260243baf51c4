"""The wheel: built, installed into an empty environment, used from another folder."""

import ast
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.package


def call(*command, **more) -> str:
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=900, **more
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The folder of an environment's programs, with nothing in it but the wheel."""
    folder = tmp_path_factory.mktemp("package")
    build = ("-m", "pip", "wheel", "--no-deps", "--quiet", "-w", folder, ROOT)
    call(sys.executable, *build)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv", with_pip=True)
    programs = folder / "venv" / "bin"
    call(programs / "python", "-m", "pip", "install", "--quiet", wheel)
    return programs


def test_the_toy_runs_from_another_folder(installed, tmp_path):
    for command in ([installed / "bgpbt"], [installed / "python", "-m", "bgpbt"]):
        out = call(*command, "-t", "toy", "-mt", "20", cwd=tmp_path)
        assert "reported member" in out
    # Settings come from the wheel's own `configs`.
    (folder,) = (tmp_path / "runs").glob("toy_quadratic_*/seed_0")
    assert "explore: noise" in (folder / "options.yaml").read_text()


@pytest.mark.parametrize("name", ["inverted_pendulum", "designs:omniglot"])
def test_an_environment_is_found(name, installed, tmp_path):
    out = call(installed / "bgpbt", "-e", name, "--dry_run", cwd=tmp_path)
    assert "dry run: nothing was written" in out


def test_nothing_of_ours_has_somebody_elses_name(installed):
    script = (
        "import importlib.metadata as m;print({p.parts[0] for p in m.files('bgpbt')})"
    )
    names = call(installed / "python", "-c", script)
    packages = {
        name for name in ast.literal_eval(names) if not name.endswith(".dist-info")
    }
    assert packages <= {"bgpbt", ".."}  # ..: the program in the folder `bin`


def test_the_version_stands_in_one_place(installed):
    script = (
        "import importlib.metadata as m, bgpbt.version as v;"
        "assert m.version('bgpbt') == v.__version__"
    )
    call(installed / "python", "-c", script)
