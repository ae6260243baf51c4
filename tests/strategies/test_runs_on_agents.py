"""Every strategy on agents, with searched networks and without.

What is compiled is kept small: few numbers of minibatches, and Brax's simplest
environment.
"""

import pytest
from task_runs import check_runs_and_goes_on, served

from bgpbt.tasks.ppo import minibatches
from scripts.witness import TASKS

HERE = [task for task in TASKS if task.startswith("agents")]


@pytest.mark.long
@pytest.mark.parametrize(("task", "name"), served(*HERE))
def test_every_pair_runs_and_goes_on(tmp_path, monkeypatch, after_save, name, task):
    monkeypatch.setattr(minibatches, "NUM_MINIBATCHES", (2, 8))
    monkeypatch.setitem(TASKS[task], "env_name", "fast")
    check_runs_and_goes_on(tmp_path, monkeypatch, after_save, name, task)
