"""Four CPU devices on every machine, and one compilation cache for a test session."""

import gc
import os
import tempfile

# What JAX traces are many small objects that stay. Looking for garbage among them as
# often as Python does by itself takes a tenth of the time.
gc.set_threshold(200_000, 20, 100)

# Before JAX is imported, and inherited by the processes that tests start. A session
# begins with an empty cache, unless a folder is given.
_cache = tempfile.TemporaryDirectory(prefix="bgpbt-tests-")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", _cache.name)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")

import jax  # noqa: E402

if (
    "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", "")
    and "JAX_NUM_CPU_DEVICES" not in os.environ
):
    try:
        jax.config.update("jax_num_cpu_devices", 4)
    except RuntimeError:  # JAX has been used before: the devices stay as they are
        pass

import io  # noqa: E402

import pytest  # noqa: E402
from rich.console import Console  # noqa: E402
from toys import counted_compilations, share  # noqa: E402

from bgpbt.result import Result  # noqa: E402
from bgpbt.storage.store import RunStore  # noqa: E402
from bgpbt.viz import display  # noqa: E402


@pytest.fixture(scope="module")
def engines():
    return {}


@pytest.fixture
def compile_once(monkeypatch, engines, no_figures):
    """Compiles programs once for all tests of the toy, and draws no figures."""
    share(monkeypatch, engines)


@pytest.fixture
def no_figures(monkeypatch):
    """Runs draw nothing."""
    monkeypatch.setattr(Result, "draw", lambda self: [])


@pytest.fixture
def printed(monkeypatch):
    """What the display printed, as one text."""
    out = io.StringIO()
    monkeypatch.setattr(
        display,
        "Console",
        lambda **_: Console(file=out, width=400, force_terminal=False),
    )
    return out


@pytest.fixture
def compilations():
    """One entry for every program that XLA compiles."""
    with counted_compilations() as events:
        yield events


@pytest.fixture
def after_save(monkeypatch):
    """Calls `after_save.hook(round)` when a round is saved."""

    class Hook:
        hook = staticmethod(lambda round_: None)

    save = RunStore.save

    def saving(self, state, rows, layout):
        save(self, state, rows, layout)
        Hook.hook(int(state.progress.round))

    monkeypatch.setattr(RunStore, "save", saving)
    return Hook
