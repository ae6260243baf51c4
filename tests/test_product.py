"""Every strategy on every task that has what it needs: it runs, goes on after a kill to the same bits, compiles nothing later."""

import numpy as np
import pytest
from toys import Killed, counted_compilations, final_state, kill_after, same_bits, same_records, share

import bgpbt
from bgpbt import api
from bgpbt.options import BadInput, load_options
from bgpbt.strategies import GENERATIONAL, STRATEGIES

ROUNDS = 5
COMMON = {
    "pop_size": 8,
    "n_init": 8,
    "quantile_fraction": 0.25,
    "frequencies": (1, 2),
    "max_distillation": 1,
    "report_episodes": 8,
    "render": False,
    "devices": 2,
}
TOY = {"task": "toy", "t_ready": 4}
DIGITS = {"task": "classification", "t_ready": 2}
AGENTS = {"env_name": "inverted_pendulum", "num_envs": 32, "episode_length": 50, "eval_episodes": 2, "t_ready": 480}
SIZES = {"policy_layers": (8,), "value_layers": (8,)}
TASKS = {
    "quadratic": TOY | {"problem": "quadratic"},
    "deceptive": TOY | {"problem": "deceptive"},
    "digits": DIGITS,
    "digits, both": DIGITS | {"search_mode": "both"},
    "digits, cells": DIGITS | {"search_mode": "nas"},
    "agents": AGENTS | SIZES,
    "agents, both": AGENTS | {"search_mode": "both", "arch_space": "small"},
    "agents, networks": AGENTS | {"search_mode": "nas", "arch_space": "small"},
}
REFUSED = {(name, task) for name in ("pbtnas", "mutation") for task in ("quadratic", "deceptive", "digits", "agents")}
REFUSED |= {("pb2", task) for task in ("digits, cells", "agents, networks")}
ENGINES = {task: {} for task in TASKS}  # programs, compiled once for all strategies


def options(folder, name: str, task: str):
    settings = COMMON | TASKS[task] | {"strategy": name, "save_dir": str(folder)}
    length = settings["t_ready"]
    return load_options(settings | {"max_timesteps": ROUNDS * length, "distill_every": 2 * length, "t_distillation": 2 * length})


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", STRATEGIES)
def test_who_is_refused(tmp_path, name, task):
    given = options(tmp_path, name, task)
    made = api.make_task(given)
    if (name, task) in REFUSED:
        with pytest.raises(BadInput, match=f"^strategy: {name} needs .*, task {given.task} with search_mode {given.search_mode}"):
            api.make_strategy(given, made)
    else:
        assert api.make_strategy(given, made)


@pytest.mark.slow
@pytest.mark.parametrize(("task", "name"), [(t, n) for t in TASKS for n in STRATEGIES if (n, t) not in REFUSED])
def test_every_pair_runs_and_goes_on(tmp_path, monkeypatch, after_save, name, task):
    share(monkeypatch, ENGINES[task])
    monkeypatch.setattr(api.Result, "draw", lambda self: [])
    counts = []
    with counted_compilations() as events:
        after_save.hook = lambda round_: counts.append(len(events))
        whole = bgpbt.run(options(tmp_path / "whole", name, task))
    if TASKS[task].get("search_mode") and name in GENERATIONAL:
        assert set(whole.records["generation"]) == {0, 1}
    else:
        assert len(counts) == ROUNDS + 1 and counts[-1] == counts[2]  # after the first decision and what it needs
    assert np.isfinite(whole.records["fitness"]).all()
    after_save.hook = kill_after(3)
    with pytest.raises(Killed):
        bgpbt.run(options(tmp_path / "killed", name, task))
    after_save.hook = lambda round_: None
    resumed = bgpbt.run(options(tmp_path / "killed", name, task))
    assert same_bits(final_state(resumed), final_state(whole)) and resumed.report == whole.report
    same_records(resumed.records, whole.records)
