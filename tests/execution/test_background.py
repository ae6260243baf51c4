"""Compilation in the background."""

import threading

from bgpbt.execution.background import BackgroundCompile
from bgpbt.execution.devices import usable_cores


def test_as_many_are_made_at_once_as_there_are_cores():
    """Each compilation takes up to a gigabyte."""
    lock = threading.Lock()
    running = most = 0
    workers = max(2, usable_cores())
    # Nobody is done before so many are at it.
    together = threading.Barrier(workers)

    def make():
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait(timeout=60)
        with lock:
            running -= 1
        return int

    compilations = [BackgroundCompile(make) for _ in range(3 * workers)]
    for compilation in compilations:
        compilation.begin()
    results = [compilation("7") for compilation in compilations]
    assert results == [7] * len(compilations) and most == workers
