"""GPyTorch is optional: never imported unasked, and its absence is one line."""

import re
import subprocess
import sys

import pytest

import bgpbt.gp
from bgpbt.config.errors import BadInput
from bgpbt.gp.inference import INSTALL, make_inference
from bgpbt.registry import STRATEGIES


def test_without_gpytorch_one_line_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "gpytorch", None)
    monkeypatch.delitem(sys.modules, "bgpbt.gp.gpytorch_inference", raising=False)
    monkeypatch.delattr(bgpbt.gp, "gpytorch_inference", raising=False)
    with pytest.raises(
        BadInput, match=re.escape(f"gpytorch is not installed, run: {INSTALL}")
    ) as caught:
        make_inference("gpytorch")
    assert len(str(caught.value).splitlines()) == 1


def test_a_run_that_lacks_it_ends_with_two_and_creates_nothing(tmp_path):
    code = (
        "import sys; from bgpbt.cli.command import main;"
        " sys.modules['gpytorch'] = None; sys.exit(main(sys.argv[1:]))"
    )
    words = (
        "-o bgpbt --gp gpytorch -e fast --num_envs 32 -tr 1000 -mt 1000 --no_cache"
        " --save_dir"
    ).split()
    folder = str(tmp_path / "runs")
    command = [sys.executable, "-W", "ignore", "-c", code, *words, folder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and done.stdout == "", done.stderr
    assert (
        "gpytorch is not installed" in done.stderr.splitlines()[-1]
        and not (tmp_path / "runs").exists()
    )


def test_nobody_else_imports_torch():
    modules = {address.partition(":")[0] for address in STRATEGIES.values()}
    code = f"import sys, {', '.join(sorted(modules))}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0
