"""What is advised where memory is not enough."""

import pytest

from bgpbt.execution.devices import DeviceLayout
from bgpbt.execution.memory import device_memory, what_fits

SMALLER = "fewer --num_envs, a smaller -ps or smaller networks"


def gigabytes(layout: DeviceLayout) -> int:
    """3 GB, and 1 GB for each member that trains at once."""
    return layout.devices * (3 + layout.chunk) * 10**9


@pytest.mark.parametrize(
    ("chunk", "limit", "words"),
    [
        (8, 8e9, f"-mp 4 should fit (now 8), or {SMALLER}"),
        (8, 7e9, f"-mp 2 should fit (now 8), or {SMALLER}"),
        (8, 4e9, f"not even -mp 1 would fit by the estimate: give {SMALLER}"),
        (1, 8e9, f"give {SMALLER}"),
        (8, None, f"give {SMALLER}"),
    ],
)
@pytest.mark.parametrize("devices", [1, 4])
def test_what_fits(chunk, limit, words, devices):
    assert what_fits(gigabytes, DeviceLayout(devices, chunk), limit) == words


def test_a_cpu_does_not_say_how_much_memory_it_has():
    assert device_memory() is None
