"""Signals end a run after its round, or soon; a line says how to go on."""

import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# A toy whose every round takes a second, in which the main thread is on the device.
TASK = """
import time
import jax
import jax.numpy as jnp
from bgpbt.space import Float
from bgpbt.types import Task, TrainState

SECONDS = {seconds}

def slow(x):
    time.sleep(SECONDS)
    return x

def task(options):
    def init(key, hyperparams):
        return TrainState({{"w": jnp.zeros(3)}}, {{"w": jnp.zeros(())}}, (), ())
    def train(key, state, hyperparams, updates, extra):
        steps = jax.pure_callback(slow, jax.ShapeDtypeStruct((), jnp.int32), updates)
        return state, {{"loss": jnp.float32(0), "env_steps": steps}}
    def evaluate(key, state, hyperparams):
        return jnp.full(4, hyperparams["lr"]), jnp.int32(4)
    space = {{"lr": Float(1e-3, 1.0, 0.1, log=True)}}
    return Task("slow", space, ("w",), 1, init, train, evaluate, evaluation_steps=4)
"""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
GO_ON = "the same command with -exist resume goes on after the last checkpoint"


def command(folder: Path, seconds: float) -> list[str]:
    task = folder / "slow.py"
    task.write_text(TASK.format(seconds=seconds))
    flags = (
        f"-t {task}:task -ps 2 -qf 0.5 -tr 1 -mt 100 --devices 1 --save_dir {folder}"
    )
    return [sys.executable, "main.py", *flags.split()]


@pytest.fixture
def start():
    """Starts processes that ignore no signal, whatever ran the tests; ends them."""
    started = []

    def begin(words: list[str], **streams) -> subprocess.Popen:
        pipe = subprocess.PIPE
        streams = streams or {"text": True, "stdout": pipe, "stderr": pipe}
        before = [(x, signal.signal(x, signal.SIG_DFL)) for x in SIGNALS]
        try:
            process = subprocess.Popen(words, cwd=ROOT, **streams)
        finally:
            for number, handler in before:
                signal.signal(number, handler)
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def wait_for(process: subprocess.Popen, words: str) -> None:
    """Reads what is printed up to a line with these words."""
    for line in process.stdout:
        if words in line:
            return
    raise AssertionError(process.stderr.read())


def finish(process: subprocess.Popen, within: float) -> tuple[int, str]:
    """Exit code and errors."""
    _, errors = process.communicate(timeout=within)
    assert "Traceback" not in errors
    return process.returncode, errors


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_run_ends_after_its_round_and_goes_on(start, tmp_path, name):
    words = command(tmp_path, seconds=0.3)
    process = start(words)
    wait_for(process, "round 1 ")
    process.send_signal(getattr(signal, name))
    code, errors = finish(process, within=9)
    assert code == 128 + getattr(signal, name)
    first, second = errors.splitlines()
    assert first == "main.py: stopping after this round, in 10 s at the latest"
    assert second.startswith("main.py: stopped after round ") and GO_ON in second
    reached = int(second.split()[4].rstrip(";"))
    again = start(words)
    wait_for(again, f"resume: continuing after round {reached}")


@pytest.mark.long
def test_a_long_round_is_left_after_ten_seconds_or_when_asked_twice(start, tmp_path):
    words = command(tmp_path, seconds=600)
    for asked, least, most in ((1, 9.5, 13), (2, 0, 5)):
        process = start(words)
        wait_for(process, "untrained" if asked == 1 else "continuing after round 0")
        time.sleep(2)  # in the round
        began = time.monotonic()
        for _ in range(asked):
            process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
        code, errors = finish(process, within=30)
        assert code == 143 and f"stopped; {GO_ON}" in errors
        assert least < time.monotonic() - began < most


@pytest.mark.parametrize("after", [0.03, 0.3, 1.0, 2.5])
def test_no_moment_of_the_start_has_a_traceback(start, tmp_path, after):
    """In the imports, the check, the compilation; Python itself needs 0.02 s."""
    process = start(command(tmp_path, seconds=0.0))
    wait_until_it_listens(process.pid)
    time.sleep(after)
    process.send_signal(signal.SIGINT)
    code, errors = finish(process, within=8)
    assert code == 130 and "stopped" in errors and errors.count("\n") <= 2


def wait_until_it_listens(pid: int) -> None:
    """Until the process catches SIGTERM: its first instruction."""
    mask = 1 << (signal.SIGTERM - 1)
    for _ in range(1000):
        status = Path(f"/proc/{pid}/status").read_text()
        caught = next(x for x in status.splitlines() if x.startswith("SigCgt"))
        if int(caught.split()[1], 16) & mask:
            return
        time.sleep(0.005)
    raise AssertionError("it never listened")


FORKS = """
import multiprocessing, signal, sys, time
sys.argv = ["main.py"]
from bgpbt.cli.signals import listen
listen()
signal.signal(signal.SIGUSR1, lambda *_: print("its own", flush=True))
fork = multiprocessing.get_context("fork")
child = fork.Process(target=time.sleep, args=(60,))
child.start()
child.terminate()
child.join(10)
print(child.exitcode, flush=True)
signal.raise_signal(signal.SIGUSR1)
time.sleep(0.3)
print("still here", flush=True)
signal.raise_signal(signal.SIGTERM)
time.sleep(10)
"""


def test_children_and_other_signals_are_their_own(start):
    process = start([sys.executable, "-c", FORKS])
    out, errors = process.communicate(timeout=30)
    assert out.splitlines() == ["-15", "its own", "still here"]
    assert (process.returncode, errors) == (143, "main.py: stopped\n")


def test_what_is_ignored_stays_ignored(start, tmp_path):
    """As `nohup` does with SIGHUP."""
    ignores = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh"]
    process = start([*ignores, *command(tmp_path, seconds=0.1)])
    wait_for(process, "round 1 ")
    process.send_signal(signal.SIGHUP)
    wait_for(process, "round 4 ")
    process.send_signal(signal.SIGTERM)
    assert finish(process, within=9)[0] == 143


def test_ctrl_c_on_a_terminal_leaves_a_cursor(start, tmp_path):
    terminal, inside = pty.openpty()
    process = start(
        command(tmp_path, seconds=0.2),
        stdin=inside,
        stdout=inside,
        stderr=inside,
        start_new_session=True,
        env=os.environ | {"TERM": "xterm"},
    )
    os.close(inside)
    shown = b""
    while b"round 2" not in shown:
        shown += os.read(terminal, 10_000)
    process.send_signal(signal.SIGINT)
    while select.select([terminal], [], [], 0.5)[0] or process.poll() is None:
        try:
            shown += os.read(terminal, 10_000)
        except OSError:  # the other end is closed
            break
    assert process.wait(10) == 130
    assert b"Traceback" not in shown and b"stopped after round" in shown
    assert shown.rindex(b"\x1b[?25h") > shown.rindex(b"\x1b[?25l")
