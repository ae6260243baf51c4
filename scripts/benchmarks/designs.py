"""Networks of designs trained in one program, and decisions on a table.

Random chains that can be built, on scikit-learn's digits, at two sizes. Our program is
compiled once and trains them one after the other. The rivals train the exact networks
of Flax's layers: each in a process of its own, as nas-dmrl does, and each compiled in
one process that goes on. All train with the same images for the same epochs.

Then agents on a table of made-up rewards, where no network is trained.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

from bgpbt.api import make_task
from bgpbt.config.options import Options
from bgpbt.execution.devices import choose_layout
from bgpbt.networks.structure import Rows, rows_of
from bgpbt.tasks.nas import judges, table
from bgpbt.tasks.nas.apart import Process, Setting, accuracy, setting_of
from bgpbt.tasks.nas.profile import Profile
from scripts.benchmarks.cases import trainer
from scripts.benchmarks.figures import Figure, Result, Target, interleave, median, ratio
from scripts.reward_table import buildable
from scripts.reward_table import rows_of as rows_of_number

REPEATS = 3
SMALL = Profile(
    side=8, depth=4, filters=8, dense=32, max_images=600, epochs=4, batch_size=64
)  # as configs/nas.yaml
LARGER = SMALL._replace(side=16, filters=8, dense=64, max_images=1797, epochs=8)
SIZES = {"8 x 8 pixels": SMALL, "16 x 16 pixels": LARGER}
QUICK = {"tiny": SMALL._replace(side=7, filters=2, max_images=60, epochs=1)}
IN_PROGRAM, IN_TURN = 30, 3  # networks of a repeat, ours and the rivals'
AGENTS = ("uniform", "dqn", "meta_a2c")
UPDATES = 500  # of 20 decisions


def run(quick: bool, repeats: int, say: Callable) -> Result:
    """Interleaved repeats: networks at each size, then decisions of each agent."""
    ours, theirs = (2, 1) if quick else (IN_PROGRAM, IN_TURN)
    figures = []
    for words, profile in (QUICK if quick else SIZES).items():
        figures += _of_networks(words, profile, ours, theirs, repeats, say)
    for agent in AGENTS[:1] if quick else AGENTS:
        figures.append(_of_decisions(agent, 2 if quick else UPDATES, repeats, say))
    settings = {"networks": ours, "networks of a rival": theirs, "repeats": repeats}
    return Result("designs", settings, figures, quick)


def designs(profile: Profile, count: int) -> list[np.ndarray]:
    """Random chains that can be built, always the same ones, `[d, 5]` each."""
    numbers = np.random.default_rng(0).permutation(buildable(profile))[:count]
    return [rows_of_number(profile, int(number)) for number in numbers]


def _of_networks(
    words: str, profile: Profile, ours: int, theirs: int, repeats: int, say: Callable
) -> list[Figure]:
    data = profile.load("digits", None)
    sizes, child_data = profile.sizes(data), profile.child_data(data)
    judge = jax.jit(judges.of_chains(sizes, profile.training))
    setting = setting_of(sizes, profile.training, child_data)
    chains = designs(profile, max(ours, theirs))
    exact = [rows_of(rows) for rows in chains[:theirs]]
    began = time.monotonic()
    program = judge.lower(child_data, chains[0]).compile()
    compiled = time.monotonic() - began
    say(f"{words}: compiled in {compiled:.1f} s")
    cases = {
        "program": lambda: [float(program(child_data, rows)) for rows in chains[:ours]],
        "process": lambda: [_in_a_process(setting, one) for one in exact],
        "compiled": lambda: [_compiled_alone(setting, one) for one in exact],
    }
    seconds = interleave(
        {name: lambda case=case: _seconds(case) for name, case in cases.items()},
        repeats,
        say,
    )
    a_network = {
        name: [x / (ours if name == "program" else theirs) for x in measured]
        for name, measured in seconds.items()
    }
    rates = {name: [60 / x for x in measured] for name, measured in a_network.items()}
    target = Target(">=", 3)
    return [
        Figure(f"{words}: the program of all chains is compiled", compiled, "s"),
        median(f"{words}: in one program", "a minute", rates["program"]),
        median(f"{words}: a process each", "a minute", rates["process"]),
        median(f"{words}: one process, compiled each", "a minute", rates["compiled"]),
        ratio(
            f"{words}: a process each / in one program",
            a_network["process"],
            a_network["program"],
            target,
            "without our compilation",
        ),
        ratio(
            f"{words}: compiled each / in one program",
            a_network["compiled"],
            a_network["program"],
            None,
            "without our compilation",
        ),
    ]


def _seconds(case: Callable[[], object]) -> float:
    began = time.monotonic()
    case()
    return time.monotonic() - began


def _in_a_process(setting: Setting, design: Rows) -> float:
    process = Process(setting)
    try:
        return process.ask(design)
    finally:
        process.end()


def _compiled_alone(setting: Setting, design: Rows) -> float:
    jax.clear_caches()
    return accuracy(setting, design)


def _of_decisions(agent: str, updates: int, repeats: int, say: Callable) -> Figure:
    """Decisions a second of one agent, which learns."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rewards.npz"
        worths = np.random.default_rng(0).random(table.chains(4), np.float32)
        table.write_all(path, {"made_up": worths}, {"side": 84, "depth": 4})
        settings = {"task": "nas", "alg_name": agent, "strategy": "random"}
        settings |= {"problem": "made_up", "reward_table": str(path)}
        decisions = 20 * updates
        lengths = {"t_ready": decisions, "max_timesteps": decisions}
        options = Options(**settings, **lengths, pop_size=1)
        task = make_task(options)
    one = trainer(task, 1, choose_layout(1))
    say(f"compiling {agent}")
    one.train(updates)
    rates = [one.rate(updates) for _ in range(repeats)]
    return median(f"{agent} on a table, one agent", "decisions/s", rates)
