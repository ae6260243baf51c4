"""How programs are compiled: fast where they run seldom, and kept between runs.

Importing this module changes nothing.
"""

import hashlib
import os
import platform
import sys
from pathlib import Path
from typing import Any

import jax
import jaxlib

# JAX's variables, which win.
JAX_VARIABLES = ("JAX_COMPILATION_CACHE_DIR", "JAX_ENABLE_COMPILATION_CACHE")


def cpu_features() -> str:
    """The processor's feature flags.

    A program that was compiled for other features must not be loaded.
    """
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    flags = (line for line in lines if line.startswith(("flags", "Features")))
    return next(flags, platform.processor())


def default_folder() -> Path:
    """The user's cache folder, by versions, platform and processor.

    Entries of other versions or processors have crashed programs.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    features = hashlib.sha256(cpu_features().encode()).hexdigest()[:12]
    versions = f"jax{jax.__version__}-jaxlib{jaxlib.__version__}"
    return base / "bgpbt" / f"{versions}-{platform.machine()}-{features}"


def fast_compile_options() -> dict[str, Any]:
    """XLA's options for a program that runs seldom.

    On a CPU it is compiled in half the time.
    """
    on_cpu = jax.default_backend() == "cpu"
    return {"xla_backend_optimization_level": 0} if on_cpu else {}


def enable(no_cache: bool) -> str | None:
    """Switches JAX's persistent compilation cache on, unless told otherwise.

    It stays off on macOS, where crashes of CPU programs with it have been reported.

    Args:
      no_cache: the user wants none.

    Returns:
      A notice where the cache cannot be used, else None.
    """
    told_otherwise = no_cache or any(name in os.environ for name in JAX_VARIABLES)
    if told_otherwise or sys.platform == "darwin":
        return None
    path = default_folder()
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".probe{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        return (
            f"the compilation cache {path} cannot be used ({error.strerror}): "
            "every start compiles anew"
        )
    jax.config.update("jax_compilation_cache_dir", str(path))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    return None
