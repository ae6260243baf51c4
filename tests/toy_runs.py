"""Short runs of the toy, kills in them, and strategies that tests write themselves."""

import jax.numpy as jnp
import numpy as np
import pytest
from toys import Killed, kill_after

from bgpbt.config.options import Options
from bgpbt.result import Result
from bgpbt.strategies.operators import inherit_all
from bgpbt.types import Decision, Outcome, Source, Strategy

P = 4
ROUND = 480  # steps of a member


def run_options(folder=".", **changes) -> Options:
    """Five short rounds of four members, of which one is replaced after each."""
    settings = {
        "env_name": "inverted_pendulum",
        "num_envs": 32,
        "pop_size": P,
        "quantile_fraction": 0.25,
        "t_ready": ROUND,
        "max_timesteps": 5 * ROUND,
        "report_episodes": 8,
        "render": False,
        "devices": 2,
        "save_dir": str(folder),
    }
    return Options(**(settings | changes))


def kill_run(after_save, number: int, run) -> None:
    """Calls `run`, which is killed when it has saved round `number`."""
    after_save.hook = kill_after(number)
    with pytest.raises(Killed):
        run()
    after_save.hook = lambda round_: None


def check_rounds(result: Result, name: str, rounds: int) -> None:
    """At the end every member has trained so many rounds.

    Halves of `ipbt` take turns, so that it takes more of them.
    """
    records = result.records
    last = records["round"].max()
    assert last == rounds or (name == "ipbt" and rounds < last < 2 * rounds)
    assert records.loc[records["round"] == last, "timesteps"].nunique() == 1


def keep_everyone(outcome: Outcome) -> Decision:
    """Every member goes on as it is."""
    members = np.arange(len(outcome.fitness))
    previous = jnp.full(len(members), int(Source.previous))
    return inherit_all(outcome, outcome.config, jnp.asarray(members), 2, previous)


def watch(strategy: Strategy, outcomes: list) -> Strategy:
    """Keeps every outcome, the untrained one first."""

    def init(key, outcome):
        outcomes.append(outcome)
        return strategy.init(key, outcome)

    def step(key, state, outcome):
        outcomes.append(outcome)
        return strategy.step(key, state, outcome)

    return Strategy(init, step)
