"""How much memory a population needs, and what to do where there is less."""

import contextlib
from collections.abc import Callable, Generator

import jax

from bgpbt.config.errors import OutOfMemory
from bgpbt.execution.devices import DeviceLayout
from bgpbt.execution.shapes import member_shapes, num_bytes
from bgpbt.types import Task


def estimate_memory(
    pop_size: int, task: Task, device_layout: DeviceLayout, members: int
) -> int:
    """Bytes that the training program needs on all devices together.

    Args:
      pop_size: P, members of a group.
      task: sizes of a member, of what it holds while it trains, and the data.
      device_layout: how many train at once.
      members: of all groups together.
    """
    shapes = member_shapes(task)._asdict()
    state = {field: num_bytes(part) for field, part in shapes.items()}
    slots = -(-members // pop_size) * pop_size
    at_once = device_layout.chunk * task.workspace_bytes(state)
    on_devices = device_layout.devices * (at_once + num_bytes(task.data))
    return slots * sum(state.values()) + on_devices


def device_memory() -> int | None:
    """Bytes of one device; None where it does not say, as a CPU."""
    stats = jax.devices()[0].memory_stats() or {}
    return stats.get("bytes_limit")


def what_fits(
    estimate: Callable[[DeviceLayout], int],
    device_layout: DeviceLayout,
    limit: int | None,
) -> str:
    """Advice for who has too little memory, in words.

    Args:
      estimate: bytes that a layout needs on all devices together.
      device_layout: what did not fit.
      limit: bytes of a device; None: not known.
    """
    smaller = "fewer --num_envs, a smaller -ps or smaller networks"
    if device_layout.chunk == 1 or limit is None:
        return f"give {smaller}"
    chunks = [c for c in range(1, device_layout.chunk) if device_layout.chunk % c == 0]
    layouts = [device_layout._replace(chunk=chunk) for chunk in chunks]
    # The estimate may be a tenth below what the compiler takes.
    room = 0.9 * limit * device_layout.devices
    fitting = [layout.chunk for layout in layouts if estimate(layout) <= room]
    if not fitting:
        return f"not even -mp 1 would fit by the estimate: give {smaller}"
    return f"-mp {fitting[-1]} should fit (now {device_layout.chunk}), or {smaller}"


# How JAX says so: by a status, or in words where a program could not begin.
_NO_MEMORY = ("RESOURCE_EXHAUSTED", "Out of memory allocating")


@contextlib.contextmanager
def out_of_memory(advice: Callable[[], str]) -> Generator[None]:
    """Answers that memory is not enough with a line and an advice.

    Raises:
      OutOfMemory: instead of what JAX or Python raises; what is saved is intact.
    """
    try:
        yield
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
        lines = str(error).splitlines() or [""]
        of_device = [x for x in lines if any(word in x for word in _NO_MEMORY)]
        if not (of_device or isinstance(error, MemoryError)):
            raise
        why = next(iter(of_device), lines[0])
        words = f"out of memory ({why[:200]})" if why else "out of memory"
        raise OutOfMemory(
            f"{words}; the last checkpoint is intact: {advice()}"
        ) from error
