"""Commands in processes of their own: how long, until which line, how much memory, with which cache."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRESET = ["-c", "configs/ant_small.yaml"]
TINY_FLAGS = "-e fast -o random -ps 2 --num_envs 32 --policy_layers 8,8 --value_layers 8,8 --episode_length 50"
TINY_FLAGS = [*TINY_FLAGS.split(), "--eval_episodes", "1", "--report_episodes", "2", "--no_render"]


@dataclass(frozen=True)
class Ran:
    """A finished command."""

    seconds: float
    first_round: float  # seconds until the line of round 1 was printed, NaN where there was none
    peak_bytes: int  # largest resident memory


def run(command: list[str], cache: Path) -> Ran:
    """Runs a command whose caches lie in `cache`; it may not use the user's.

    Raises:
      RuntimeError: it failed.
    """
    hidden = ("JAX_COMPILATION_CACHE_DIR", "JAX_ENABLE_COMPILATION_CACHE")
    environment = {k: v for k, v in os.environ.items() if k not in hidden} | {"XDG_CACHE_HOME": str(cache)}
    began, first, last = time.monotonic(), float("nan"), ""
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    process = subprocess.Popen(command, cwd=ROOT, env=environment | {"PYTHONUNBUFFERED": "1"}, **streams)
    with process.stdout:
        for line in process.stdout:
            last = line
            if "] round 1 " in line:
                first = time.monotonic() - began
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with code {process.returncode}: {last.strip()}")
    scale = 1 if sys.platform == "darwin" else 1024
    return Ran(time.monotonic() - began, first, usage.ru_maxrss * scale)


def train(quick: bool, *flags: str) -> list[str]:
    """The command that trains the small population, with more flags."""
    return [sys.executable, "-W", "ignore", "main.py", *(TINY_FLAGS if quick else PRESET), "-exist", "overwrite", *flags]
