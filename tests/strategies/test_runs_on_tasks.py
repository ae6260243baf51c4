"""Every strategy on every toy and image task that has what it needs."""

import pytest
from task_runs import check_runs_and_goes_on, served

from bgpbt import api
from bgpbt.config.errors import BadInput
from bgpbt.registry import STRATEGIES
from scripts.witness import REFUSED, TASKS, options

HERE = [task for task in TASKS if not task.startswith("agents")]


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", STRATEGIES)
def test_who_is_refused(tmp_path, name, task):
    given = options(tmp_path, name, task)
    built = api.make_task(given)
    if (name, task) not in REFUSED:
        assert api.make_strategy(given, built)
        return
    words = (
        f"^strategy: {name} needs .*, task {given.task} with search_mode "
        f"{given.search_mode}"
    )
    with pytest.raises(BadInput, match=words):
        api.make_strategy(given, built)


@pytest.mark.long
@pytest.mark.parametrize(("task", "name"), served(*HERE))
def test_every_pair_runs_and_goes_on(tmp_path, monkeypatch, after_save, name, task):
    check_runs_and_goes_on(tmp_path, monkeypatch, after_save, name, task)
