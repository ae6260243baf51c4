"""Every strategy through the engine: it trains, goes on after a kill to the same bits, and compiles nothing between rounds."""

import pytest
from toys import Killed, counted_compilations, final_state, kill_after, play, quadratic, same_bits, same_records

from bgpbt.api import make_strategy
from bgpbt.options import Options
from bgpbt.strategies import STRATEGIES

TASK = quadratic()
SETTINGS = {
    "pop_size": 8,
    "n_init": 8,
    "quantile_fraction": 0.25,
    "frequencies": (1, 2),
    "num_envs": 32,
    "t_ready": 480,
    "max_timesteps": 480 * 5,
    "report_episodes": 8,
    "render": False,
    "devices": 2,
}


def run(folder, name: str, **changes):
    options = Options(**SETTINGS | changes, strategy=name, save_dir=str(folder))
    return play(options, TASK, make_strategy(options, TASK))


DOES = {  # sources that a run of five rounds must show
    "pbt": {"perturbed"},
    "bgpbt": {"gp"},
    "pb2": {"gp"},
    "mfpbt": {"perturbed"},
    "pbtnas": {"mixed", "copied"},
    "mutation": {"mutated", "copied"},
    "sha": {"random"},
    "random": set(),
}


SLOW = ("bgpbt",)  # `test_controller.py` has it killed between two suggestions
NAMES = [pytest.param(name, marks=[pytest.mark.long] if name in SLOW else []) for name in STRATEGIES]


@pytest.mark.parametrize("name", NAMES)
def test_every_strategy_through_the_engine(tmp_path, compile_once, after_save, name):
    """What it does shows in the records; after a kill it goes on to the same bits; nothing is compiled between rounds."""
    counts = []
    with counted_compilations() as events:
        after_save.hook = lambda round_: counts.append(len(events))
        whole = run(tmp_path / "whole", name)
    assert len(counts) == 6 and counts[-1] == counts[2]  # after the first decision and what it needs
    sources = set(whole.records["source"])
    assert DOES[name] <= sources <= DOES[name] | {"initial", "previous", "copied", "random"}
    after_save.hook = kill_after(3)
    with pytest.raises(Killed):
        run(tmp_path / "killed", name)
    after_save.hook = lambda round_: None
    resumed = run(tmp_path / "killed", name)
    assert same_bits(final_state(resumed), final_state(whole)) and resumed.report == whole.report
    same_records(resumed.records, whole.records)
