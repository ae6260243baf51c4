"""JAX begins as the settings and the user's variables say."""

import contextlib
import os
import sys
from collections.abc import Generator

from bgpbt.config.errors import BadInput
from bgpbt.config.options import Options


@contextlib.contextmanager
def _starting_jax() -> Generator[None]:
    """Answers what JAX makes of variables that it cannot follow, in a line."""
    try:
        yield
    except (AssertionError, RuntimeError, ValueError) as error:
        chosen = [f"{k}={v}" for k, v in os.environ.items() if k.startswith("JAX_")]
        where = f" with {', '.join(sorted(chosen))}" if chosen else ""
        problem = str(error) or "no such device is here"
        raise BadInput(f"JAX does not start{where}: {problem}") from None


def start_jax() -> None:
    """Begins JAX as the user's variables say.

    Raises:
      BadInput: it cannot be so.
    """
    with _starting_jax():
        import jax

        jax.devices()


def prepare_jax(options: Options) -> None:
    """Gives JAX one CPU device per core, and its cache; the user's choices stay.

    Raises:
      BadInput: the user's choices cannot be followed.
    """
    told = "device_count" in os.environ.get("XLA_FLAGS", "")
    with _starting_jax():
        import jax

        if "JAX_NUM_CPU_DEVICES" not in os.environ and not told:
            from bgpbt.execution.devices import cpu_devices

            devices = options.devices or cpu_devices(options.pop_size)
            jax.config.update("jax_num_cpu_devices", devices)
        jax.devices()
    from bgpbt.execution import cache

    if notice := cache.enable(options.no_cache):
        print(f"notice: {notice}", file=sys.stderr)
