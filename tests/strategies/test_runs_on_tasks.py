"""Every strategy on every task that has what it needs; the others are refused."""

import numpy as np
import pytest
from toy_runs import kill_run
from toys import counted_compilations, final_state, same_bits, same_records, share

import bgpbt
from bgpbt import api
from bgpbt.config.errors import BadInput
from bgpbt.config.loading import load_options
from bgpbt.registry import GENERATIONAL, STRATEGIES
from bgpbt.result import Result

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
AGENTS = {
    "env_name": "inverted_pendulum",
    "num_envs": 32,
    "episode_length": 50,
    "eval_episodes": 2,
    "t_ready": 480,
}
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
REFUSED = {
    (name, task)
    for name in ("pbtnas", "mutation")
    for task in ("quadratic", "deceptive", "digits", "agents")
}
REFUSED |= {("pb2", task) for task in ("digits, cells", "agents, networks")}
SERVED = [(t, n) for t in TASKS for n in STRATEGIES if (n, t) not in REFUSED]
# Programs, compiled once for all strategies.
ENGINES = {task: {} for task in TASKS}


def options_of(folder, name: str, task: str):
    settings = COMMON | TASKS[task] | {"strategy": name, "save_dir": str(folder)}
    length = settings["t_ready"]
    lengths = {
        "max_timesteps": ROUNDS * length,
        "distill_every": 2 * length,
        "t_distillation": 2 * length,
    }
    return load_options(settings | lengths)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", STRATEGIES)
def test_who_is_refused(tmp_path, name, task):
    options = options_of(tmp_path, name, task)
    built = api.make_task(options)
    if (name, task) not in REFUSED:
        assert api.make_strategy(options, built)
        return
    words = (
        f"^strategy: {name} needs .*, task {options.task} with search_mode "
        f"{options.search_mode}"
    )
    with pytest.raises(BadInput, match=words):
        api.make_strategy(options, built)


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
        in_one_go = bgpbt.run(options_of(tmp_path / "in_one_go", name, task))
    if TASKS[task].get("search_mode") and name in GENERATIONAL:
        assert set(in_one_go.records["generation"]) == {0, 1}
    else:
        assert len(counts) == ROUNDS + 1 and counts[-1] == counts[2]
    assert np.isfinite(in_one_go.records["fitness"]).all()
    killed = options_of(tmp_path / "killed", name, task)
    kill_run(after_save, 3, lambda: bgpbt.run(killed))
    resumed = bgpbt.run(killed)
    assert same_bits(final_state(resumed), final_state(in_one_go))
    assert resumed.report == in_one_go.report
    same_records(resumed.records, in_one_go.records)
