"""A run of a strategy on a task: it ends, and a killed one goes on to the same bits."""

import shutil

import numpy as np
from toy_runs import check_rounds
from toys import counted_compilations, final_state, same_bits, same_records, share

import bgpbt
from bgpbt.registry import GENERATIONAL, STRATEGIES
from bgpbt.result import Result
from scripts.witness import REFUSED, ROUNDS, TASKS, options

# Programs, compiled once for all strategies.
ENGINES = {task: {} for task in TASKS}


def served(*tasks: str) -> list[tuple[str, str]]:
    """The tasks, each with every strategy that can serve it."""
    return [(t, n) for t in tasks for n in STRATEGIES if (n, t) not in REFUSED]


def check_runs_and_goes_on(tmp_path, monkeypatch, after_save, name, task) -> None:
    """A killed run goes on to the same bits.

    Where no generation begins, nothing is compiled after the first decision and what it
    needs.
    """
    share(monkeypatch, ENGINES[task])
    monkeypatch.setattr(Result, "draw", lambda self: [])
    whole, killed = tmp_path / "in_one_go", tmp_path / "killed"
    counts = []

    def hook(round_):
        counts.append(len(events))
        if round_ == 3:  # what a kill leaves there
            shutil.copytree(whole, killed)

    with counted_compilations() as events:
        after_save.hook = hook
        in_one_go = bgpbt.run(options(whole, name, task))
    after_save.hook = lambda round_: None
    if TASKS[task].get("search_mode") and name in GENERATIONAL:
        assert set(in_one_go.records["generation"]) == {0, 1}
    else:
        check_rounds(in_one_go, name, ROUNDS)
        assert len(counts) == in_one_go.records["round"].max() + 1
        assert counts[-1] == counts[2]
    assert np.isfinite(in_one_go.records["fitness"]).all()
    resumed = bgpbt.run(options(killed, name, task))
    copied = in_one_go.records["round"] <= 3  # with the clock of the first run
    assert resumed.records["seconds"][copied].equals(
        in_one_go.records["seconds"][copied]
    )
    assert same_bits(final_state(resumed), final_state(in_one_go))
    assert resumed.report == in_one_go.report
    same_records(resumed.records, in_one_go.records)
