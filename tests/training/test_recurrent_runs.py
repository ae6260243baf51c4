"""Whole runs of agents that remember, which share one tiny compiled population."""

from pathlib import Path

import numpy as np
import pytest
from agent_runs import agent_options
from toy_runs import P, kill_run
from toys import final_state, same_bits, same_records, share

import bgpbt
from bgpbt.config.errors import BadInput
from bgpbt.tasks.ppo import minibatches
from bgpbt.tasks.ppo.recurrent import SPACE

ROOT = Path(__file__).resolve().parents[2]
UNITS = 8
pytestmark = pytest.mark.long


def options(folder, **changes):
    settings = {
        "env_name": f"{ROOT / 'envs' / 'probes.py'}:remembered",
        "recurrent": True,
        "recurrent_units": UNITS,
    }
    return agent_options(folder, **(settings | changes))


@pytest.fixture(autouse=True)
def quick(monkeypatch, engines, no_figures):
    """One compilation, of one number of minibatches."""
    monkeypatch.setattr(minibatches, "NUM_MINIBATCHES", (2,))
    share(monkeypatch, engines)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, engines):
    """Five rounds of 15 decisions, in episodes of 8."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(minibatches, "NUM_MINIBATCHES", (2,))
        share(patch, engines)
        return bgpbt.run(options(tmp_path_factory.mktemp("unbroken"), render=False))


def test_every_member_has_a_length_of_its_own_and_a_memory(unbroken):
    rows = unbroken.records
    (name,) = SPACE
    assert rows[name].between(5, 15).all() and rows[name].nunique() > 1
    (group,) = final_state(unbroken).population
    carry = group.env_state.carry
    assert carry["value"][1].shape == (P, 32, UNITS)
    assert np.any(carry["policy"][1], axis=(1, 2)).sum() >= P - 1  # one has inherited
    assert unbroken.report is not None


@pytest.mark.parametrize("number", [0, 3])
def test_a_run_killed_within_an_episode_goes_on_to_the_same_bits(
    tmp_path, after_save, unbroken, number
):
    kill_run(after_save, number, lambda: bgpbt.run(options(tmp_path)))
    result = bgpbt.run(options(tmp_path))
    assert same_bits(final_state(result), final_state(unbroken))
    same_records(result.records, unbroken.records)
    assert result.report == unbroken.report


def test_the_policy_of_a_run_remembers(unbroken):
    policy = unbroken.policy()
    assert list(policy.carry) == ["policy"]
    first, last = np.array([[1.0, 0], [-1, 0]]), np.array([[0.0, 1], [0, 1]])
    carry, _ = policy(policy.carry, first)  # of two episodes at once
    _, dist = policy(carry, last)
    actions = np.asarray(dist.mode())
    assert actions.shape == (2, 1) and actions[0] != actions[1]
    _, forgetful = policy(policy.carry, last)
    assert forgetful.mode()[0] == forgetful.mode()[1]


def test_a_run_begins_with_the_weights_of_another(tmp_path, unbroken):
    begun = options(tmp_path, init_from=str(unbroken.path), max_timesteps=480)
    result = bgpbt.run(begun)
    # On the same start states the same weights earn the same.
    assert result.records.query("round == 0")["fitness"].nunique() == 1
    assert unbroken.records.query("round == 0")["fitness"].nunique() == P


def test_weights_with_memory_do_not_fit_networks_without(tmp_path, unbroken):
    folder = tmp_path / "new"
    without = options(folder, recurrent=False, init_from=str(unbroken.path))
    with pytest.raises(BadInput) as caught:
        bgpbt.run(without)
    assert str(caught.value).startswith("init_from: ")
    assert len(str(caught.value).splitlines()) == 1
    assert not folder.exists()
