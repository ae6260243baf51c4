"""Fresh episodes of a policy, and the lines that tell of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bgpbt import trials
from bgpbt.environment import Env, EnvState
from bgpbt.types import Policy
from bgpbt.viz.trial_table import trial_table


class Push:
    """One action for each environment."""

    def __init__(self, count: int):
        self.count = count

    def mode(self):
        return jnp.ones((self.count, 1))


def walk(metrics: bool = False) -> Env:
    """A walk from a place of its own in 0 to 5, one step a time, until it is at 9."""

    def state(place):
        found = {"places": place} if metrics else ()
        return EnvState(place, place[None], 2 * jnp.ones(()), place >= 9, metrics=found)

    def step(before, action):
        return state(before.physics + action[0])

    def reset(key):
        return state(jnp.floor(jax.random.uniform(key, maxval=6)))

    return Env("walk", 1, 1, 40, 2, 1.0, reset, step)


policy = Policy(lambda carry, obs: (carry, Push(len(obs))))


def test_every_episode_is_fresh_and_counted(monkeypatch):
    monkeypatch.setattr(trials, "SIDE_BY_SIDE", 4)
    tried = trials.try_policy(walk(), policy, 0, 10)
    returns, steps = tried.gained["return"], tried.steps
    assert returns.shape == steps.shape == (10,) and list(tried.gained) == ["return"]
    # From place s it takes 9 - s decisions of two steps each, with a reward of 2.
    np.testing.assert_array_equal(returns, steps)
    assert set(steps) <= {8, 10, 12, 14, 16, 18} and len(set(steps)) > 2
    assert list(steps[:4]) != list(steps[4:8])
    same, other = (trials.try_policy(walk(), policy, seed, 10) for seed in (0, 1))
    np.testing.assert_array_equal(same.steps, steps)
    assert list(other.steps) != list(steps)


def test_an_objective_stands_beside_the_return():
    tried = trials.try_policy(walk(metrics=True), policy, 0, 3)
    assert set(tried.gained) == {"objective", "return"}
    assert (tried.gained["objective"] > tried.gained["return"]).all()


def test_means_in_lines():
    gained = {"return": np.array([1.0, 3.0, 2.0, 2.0])}
    first, second = trial_table(gained, np.array([10, 10, 10, 10]))
    assert first.startswith("return                     2   95 %: 1.")
    assert first.endswith("sd 0.816") and second.endswith(
        "10  95 %: 10 to 10      sd 0"
    )
    (line, _) = trial_table({"return": np.array([7.0])}, np.array([1]))
    assert "one episode has no interval" in line


@pytest.mark.parametrize("count", [1, 130])
def test_any_number_of_episodes(count):
    assert len(trials.try_policy(walk(), policy, 0, count).steps) == count
