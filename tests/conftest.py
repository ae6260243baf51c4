"""Four CPU devices, whatever the machine, and one compilation cache for all processes of a test session."""

import os
import tempfile

# Before JAX is imported, and inherited by the processes that tests start; a session begins with an empty cache.
_cache = tempfile.TemporaryDirectory(prefix="bgpbt-tests-")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", _cache.name)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.5")

import jax  # noqa: E402

if "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", "") and "JAX_NUM_CPU_DEVICES" not in os.environ:
    try:
        jax.config.update("jax_num_cpu_devices", 4)
    except RuntimeError:  # somebody has used JAX before: the devices stay as they are
        pass
