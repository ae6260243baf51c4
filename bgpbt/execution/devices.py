"""How the members of a population are spread over devices and chunks.

On an accelerator the whole population is vmapped. On a CPU every core is a device of
its own and walks its members one after another, which keeps a member's data in the
cache (`docs/design.md` has the measurements).
"""

import os
from pathlib import Path
from typing import Literal, NamedTuple

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from bgpbt.types import PyTree

AXIS = "pop"


class DeviceLayout(NamedTuple):
    """How the members are spread."""

    devices: int  # the population is split evenly over these
    chunk: int  # members vmapped at once on each; divides the members of a device


def usable_cores() -> int:
    """Cores this process may use: its affinity and its container's quota."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(cores, int(quota) // int(period)))
    except (OSError, ValueError):
        return cores


def largest_divisor(count: int, ceiling: int) -> int:
    """The largest divisor of `count` that is at most `ceiling`."""
    return next(d for d in range(min(count, ceiling), 0, -1) if count % d == 0)


def cpu_devices(pop_size: int) -> int:
    """How many CPU devices serve a population best.

    One for every core that gets the same number of members.
    """
    return largest_divisor(pop_size, usable_cores())


def choose_layout(
    pop_size: int,
    max_parallel: int | Literal["auto"] = "auto",
    devices: int | None = None,
) -> DeviceLayout:
    """Chooses devices and chunk for the present backend.

    Args:
      pop_size: members.
      max_parallel: most members vmapped at once per device, or "auto": one on a CPU,
        all on an accelerator. A CPU takes one whatever the ceiling, because larger
        chunks are slower there.
      devices: exact number of devices; None: as many as divide the population (on a
        CPU, not above the usable cores).
    """
    on_cpu = jax.default_backend() == "cpu"
    if devices is None:
        available = jax.device_count()
        ceiling = min(available, usable_cores()) if on_cpu else available
        devices = largest_divisor(pop_size, ceiling)
    local = pop_size // devices
    if on_cpu:
        ceiling = 1
    else:
        ceiling = local if max_parallel == "auto" else max_parallel
    return DeviceLayout(devices, largest_divisor(local, ceiling))


def layout_notices(
    device_layout: DeviceLayout,
    pop_size: int,
    max_parallel: int | Literal["auto"] = "auto",
    devices: int | None = None,
) -> list[str]:
    """What a user may want to know about a layout on a CPU, a line each.

    Args:
      device_layout: how the members are spread.
      pop_size: members.
      max_parallel: as it was asked for.
      devices: as they were asked for.
    """
    if jax.default_backend() != "cpu":
        return []
    lines = []
    best = cpu_devices(pop_size)
    if device_layout.devices < best and devices is None:
        lines.append(
            f"one core works; for {best} call jax.config.update("
            f"'jax_num_cpu_devices', {best}) before JAX's first operation"
        )
    if max_parallel not in ("auto", 1):
        lines.append(
            "max_parallel: a CPU trains members one at a time, which is faster there"
        )
    return lines


def make_mesh(device_layout: DeviceLayout) -> Mesh:
    """A one-axis mesh over the first devices."""
    return Mesh(jax.devices()[: device_layout.devices], (AXIS,))


def replicated(device_layout: DeviceLayout) -> NamedSharding:
    """Where every device has the same arrays."""
    return NamedSharding(make_mesh(device_layout), PartitionSpec())


def sharded(device_layout: DeviceLayout) -> NamedSharding:
    """Where every device has its share of the members."""
    return NamedSharding(make_mesh(device_layout), PartitionSpec(AXIS))


def replicate(tree: PyTree, device_layout: DeviceLayout) -> PyTree:
    """The same arrays on every device."""
    return jax.device_put(tree, replicated(device_layout))
