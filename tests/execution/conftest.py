"""Programs of the toy, compiled once for all tests of `bgpbt.execution`."""

import numpy as np
import pytest
from toy_programs import MEMBERS, SEED, TASK, P, train

from bgpbt.execution.devices import DeviceLayout
from bgpbt.execution.programs import make_programs


@pytest.fixture(scope="session")
def programs():
    return make_programs(TASK, P, DeviceLayout(1, 1))


@pytest.fixture(scope="session")
def config(programs):
    return np.asarray(programs.configure(SEED, MEMBERS))


@pytest.fixture(scope="session")
def population(programs, config):
    """Donated by nobody: tests take copies."""
    return train(programs, config)[0]
