"""Every strategy on every task that has what it needs; the others are refused."""

import numpy as np
import pytest
from toy_runs import kill_run
from toys import counted_compilations, final_state, same_bits, same_records, share

import bgpbt
from bgpbt import api
from bgpbt.config.errors import BadInput
from bgpbt.registry import GENERATIONAL, STRATEGIES
from bgpbt.result import Result
from scripts.witness import REFUSED, ROUNDS, TASKS, options

SERVED = [(t, n) for t in TASKS for n in STRATEGIES if (n, t) not in REFUSED]
# Programs, compiled once for all strategies.
ENGINES = {task: {} for task in TASKS}


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


@pytest.mark.slow
@pytest.mark.parametrize(("task", "name"), SERVED)
def test_every_pair_runs_and_goes_on(tmp_path, monkeypatch, after_save, name, task):
    """A killed run goes on to the same bits.

    Where no generation begins, nothing is compiled after the first decision and what it
    needs.
    """
    share(monkeypatch, ENGINES[task])
    monkeypatch.setattr(Result, "draw", lambda self: [])
    counts = []
    with counted_compilations() as events:
        after_save.hook = lambda round_: counts.append(len(events))
        in_one_go = bgpbt.run(options(tmp_path / "in_one_go", name, task))
    if TASKS[task].get("search_mode") and name in GENERATIONAL:
        assert set(in_one_go.records["generation"]) == {0, 1}
    else:
        assert len(counts) == ROUNDS + 1 and counts[-1] == counts[2]
    assert np.isfinite(in_one_go.records["fitness"]).all()
    killed = options(tmp_path / "killed", name, task)
    kill_run(after_save, 3, lambda: bgpbt.run(killed))
    resumed = bgpbt.run(killed)
    assert same_bits(final_state(resumed), final_state(in_one_go))
    assert resumed.report == in_one_go.report
    same_records(resumed.records, in_one_go.records)
