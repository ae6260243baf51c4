"""How the members are spread over devices and chunks."""

import jax
import pytest

from bgpbt.execution import devices
from bgpbt.execution.devices import DeviceLayout, choose_layout, largest_divisor


@pytest.mark.parametrize(
    ("number", "ceiling", "expected"),
    [(8, 8, 8), (8, 3, 2), (7, 6, 1), (24, 5, 4), (6, 100, 6), (1, 1, 1)],
)
def test_largest_divisor(number, ceiling, expected):
    assert largest_divisor(number, ceiling) == expected


def test_on_a_cpu_every_core_walks_its_members_one_by_one(monkeypatch):
    monkeypatch.setattr(jax, "device_count", lambda: 4)
    monkeypatch.setattr(devices, "usable_cores", lambda: 2)
    assert choose_layout(8) == DeviceLayout(2, 1)
    # Larger chunks are slower there.
    assert choose_layout(8, max_parallel=4) == DeviceLayout(2, 1)
    assert choose_layout(7) == DeviceLayout(1, 1)
    assert choose_layout(8, devices=4) == DeviceLayout(4, 1)
    assert devices.cpu_devices(8) == 2
    monkeypatch.setattr(devices, "usable_cores", lambda: 16)
    assert choose_layout(8) == DeviceLayout(4, 1)
    assert choose_layout(6) == DeviceLayout(3, 1)
    assert devices.cpu_devices(12) == 12 and devices.cpu_devices(17) == 1


def test_on_an_accelerator_the_population_is_vmapped(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(jax, "device_count", lambda: 4)
    monkeypatch.setattr(devices, "usable_cores", lambda: 1)
    assert choose_layout(8) == DeviceLayout(4, 2)
    assert choose_layout(8, devices=1) == DeviceLayout(1, 8)
    assert choose_layout(8, max_parallel=3, devices=1) == DeviceLayout(1, 2)
    assert choose_layout(12, max_parallel=100) == DeviceLayout(4, 3)


def test_usable_cores_respect_the_containers_quota(monkeypatch):
    monkeypatch.setattr(
        devices.os, "sched_getaffinity", lambda pid: set(range(8)), raising=False
    )
    for text, expected in (
        ("200000 100000", 2),
        ("50000 100000", 1),
        ("max 100000", 8),
        ("9900000 100000", 8),
    ):
        monkeypatch.setattr(devices.Path, "read_text", lambda self, text=text: text)
        assert devices.usable_cores() == expected
