"""Commands in processes of their own: their time, their memory, their cache."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTHON = [sys.executable, "-W", "ignore"]
PRESET = ["-c", "configs/ant_small.yaml"]
TINY_FLAGS = (
    "-e fast -o random -ps 2 --num_envs 32 --policy_layers 8,8 --value_layers 8,8 "
    "--episode_length 50 --eval_episodes 1 --report_episodes 2 --no_render"
).split()
# The user's own caches.
HIDDEN = ("JAX_COMPILATION_CACHE_DIR", "JAX_ENABLE_COMPILATION_CACHE")


@dataclass(frozen=True)
class Ran:
    """A finished command."""

    seconds: float
    # Seconds until the line of round 1 was printed, NaN where there was none.
    first_round: float
    peak_bytes: int  # largest resident memory


def run(command: list[str], cache: Path) -> Ran:
    """Runs a command whose caches lie in `cache`; it may not use the user's.

    Raises:
      RuntimeError: it failed.
    """
    environment = {k: v for k, v in os.environ.items() if k not in HIDDEN}
    environment |= {"XDG_CACHE_HOME": str(cache), "PYTHONUNBUFFERED": "1"}
    began = time.monotonic()
    first = float("nan")
    last = ""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process.stdout:
        for line in process.stdout:
            last = line
            if "] round 1 " in line:
                first = time.monotonic() - began
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(
            f"{' '.join(command)} ended with code {process.returncode}: {last.strip()}"
        )
    scale = 1 if sys.platform == "darwin" else 1024
    return Ran(time.monotonic() - began, first, usage.ru_maxrss * scale)


def train(quick: bool, *flags: str) -> list[str]:
    """The command that trains the small population, with more flags."""
    settings = TINY_FLAGS if quick else PRESET
    return [*PYTHON, "main.py", *settings, "-exist", "overwrite", *flags]
