"""How programs are compiled: in a hurry where they run seldom, and kept between runs. Importing changes nothing."""

import hashlib
import os
import platform
import sys
from pathlib import Path

import jax
import jaxlib


def cpu_features() -> str:
    """The processor's feature flags; programs compiled for others must not be loaded."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.processor())


def default_folder() -> Path:
    """The user's cache folder, by versions, platform and processor: entries of others have crashed programs."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    features = hashlib.sha256(cpu_features().encode()).hexdigest()[:12]
    return base / "bgpbt" / f"jax{jax.__version__}-jaxlib{jaxlib.__version__}-{platform.machine()}-{features}"


def quick_to_compile() -> dict:
    """XLA's options for a program that runs seldom: on a CPU it is compiled in half the time."""
    return {"xla_backend_optimization_level": 0} if jax.default_backend() == "cpu" else {}


def enable(no_cache: bool) -> str | None:
    """Switches JAX's persistent compilation cache on, unless told otherwise. Returns a notice where it cannot be used.

    JAX's own variables win. Off on macOS, where CPU crashes with it have been reported.
    """
    if no_cache or any(name in os.environ for name in ("JAX_COMPILATION_CACHE_DIR", "JAX_ENABLE_COMPILATION_CACHE")):
        return None
    if sys.platform == "darwin":
        return None
    path = default_folder()
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".probe{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        return f"the compilation cache {path} cannot be used ({error.strerror}): every start compiles anew"
    jax.config.update("jax_compilation_cache_dir", str(path))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    return None
