"""Every strategy through the engine, in runs of the toy."""

import pytest
from toy_runs import check_rounds, kill_run
from toys import (
    counted_compilations,
    final_state,
    play,
    quadratic,
    same_bits,
    same_records,
)

from bgpbt.config.options import Options
from bgpbt.registry import STRATEGIES

TASK = quadratic()
SETTINGS = {
    "pop_size": 8,
    "n_init": 8,
    "quantile_fraction": 0.25,
    "frequencies": (1, 2),
    "interval": 2,
    "num_envs": 32,
    "t_ready": 480,
    "max_timesteps": 480 * 5,
    "report_episodes": 8,
    "render": False,
    "devices": 2,
}
# Sources that a run of five rounds of every member must show.
SOURCES = {
    "pbt": {"perturbed"},
    "bgpbt": {"gp"},
    "pb2": {"gp"},
    "pb2mix": {"gp"},
    "mfpbt": {"perturbed"},
    "pbtnas": {"mixed", "copied"},
    "mutation": {"mutated", "copied"},
    "ipbt": {"gp", "copied"},
    "firepbt": {"perturbed", "copied"},
    "sha": {"random"},
    "random": set(),
}


def run(folder, name: str):
    return play(Options(**SETTINGS, strategy=name, save_dir=str(folder)), TASK)


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_through_the_engine(tmp_path, compile_once, after_save, name):
    """What it does shows in the records, and it goes on after a kill to the same bits.

    Nothing is compiled after the first decision and what it needs.
    """
    counts = []
    with counted_compilations() as events:
        after_save.hook = lambda round_: counts.append(len(events))
        in_one_go = run(tmp_path / "in_one_go", name)
    check_rounds(in_one_go, name, 5)
    assert len(counts) == in_one_go.records["round"].max() + 1
    assert counts[-1] == counts[2]
    sources = set(in_one_go.records["source"])
    allowed = SOURCES[name] | {"initial", "previous", "copied", "random"}
    assert SOURCES[name] <= sources <= allowed
    kill_run(after_save, 3, lambda: run(tmp_path / "killed", name))
    resumed = run(tmp_path / "killed", name)
    assert same_bits(final_state(resumed), final_state(in_one_go))
    assert resumed.report == in_one_go.report
    same_records(resumed.records, in_one_go.records)
