"""Random search and Q-learning, in a world whose best decisions are known."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bgpbt.networks.dueling import DuelingNetwork
from bgpbt.tasks.nas import dqn
from bgpbt.tasks.nas.designer import Happened, World
from bgpbt.tasks.nas.dqn import Agent, Replay
from bgpbt.tasks.nas.uniform import uniform

ACTIONS = 3


def corridor() -> World:
    """Three rooms; action 1 leads on, and the last one pays; all else pays a little."""

    def decide(key, place, action):
        right = action == 1
        last = place == 2
        reward = jnp.where(right, jnp.where(last, 1.0, 0.0), 0.1)
        over = ~right | last
        place = jnp.where(over, 0, place + 1)
        return place, Happened(reward, over, jnp.bool_(False))

    return World(
        ACTIONS,
        3,
        lambda key: jnp.int32(0),
        lambda place: jax.nn.one_hot(place, 3),
        decide,
    )


def test_q_learning_finds_what_pays_later():
    agent = Agent(DuelingNetwork(ACTIONS, (16,), 16), corridor(), horizon=4000)
    designer = dqn.dqn(agent)
    hyperparams = {"learning_rate": 1e-3, "discounting": 1.0, "exploration": 0.1}
    learner = designer.init(jax.random.PRNGKey(0))
    run = partial(designer.update, hyperparams)
    keys = jax.random.split(jax.random.PRNGKey(1), 200)
    learner, (losses, steps) = jax.jit(partial(jax.lax.scan, run))(learner, keys)
    assert int(learner.experience.decisions) == 4000
    assert (np.asarray(losses)[:49] == 0).all() and (np.asarray(losses)[60:] > 0).all()
    values = agent.network.values(learner.params, jnp.eye(3))
    assert values.argmax(axis=1).tolist() == [1, 1, 1]
    assert values[:, 1] == pytest.approx([1, 1, 1], abs=0.15)
    # Epsilon falls from 1: at first all actions are as likely, then the best one is.
    shares = [
        (steps.action[part] == 1).mean() for part in (slice(0, 40), slice(-40, None))
    ]
    assert shares[0] == pytest.approx(1 / 3, abs=0.1) and shares[1] > 0.8
    assert steps.entropy[0, 0] == pytest.approx(np.log(3), abs=1e-3)


def test_targets_are_double_and_end_with_the_episode():
    agent = Agent(DuelingNetwork(ACTIONS, (4,), 4), corridor(), horizon=100)
    one, other = (dqn.init(agent, jax.random.PRNGKey(i)) for i in range(2))
    learner = one._replace(averages=other.params)
    following = jnp.eye(3, dtype=bool)[:2]
    batch = Replay(
        following, following, jnp.zeros(2, int), jnp.array([0.5, 0.25]),
        jnp.array([False, True]), jnp.zeros(2, int),
    )  # fmt: skip
    found = dqn._targets(agent, jnp.float32(0.9), learner, batch)
    best = int(agent.network.values(one.params, jnp.eye(3)[0]).argmax())
    expected = float(agent.network.values(other.params, jnp.eye(3)[0])[best])
    assert found.tolist() == pytest.approx([0.5 + 0.9 * expected, 0.25])


def test_the_oldest_decision_is_written_over():
    agent = Agent(DuelingNetwork(ACTIONS, (4,), 4), corridor(), horizon=60)
    designer = dqn.dqn(agent)
    learner = designer.init(jax.random.PRNGKey(0))
    assert agent.capacity == 30
    hyperparams = {"learning_rate": 1e-3, "discounting": 1.0, "exploration": 0.1}
    run = jax.jit(partial(designer.update, hyperparams))
    actions = []
    for i in range(2):
        learner, (_, steps) = run(learner, jax.random.PRNGKey(i))
        actions += steps.action.tolist()
    kept = learner.experience.action.tolist()
    assert kept == actions[30:40] + actions[10:30]


@pytest.mark.parametrize(("weight", "share"), [(1.0, 1 / 3), (6.0, 0.75)])
def test_random_search_ends_designs_as_often_as_it_is_told(weight, share):
    designer = uniform(corridor(), terminal=2)
    learner = designer.init(jax.random.PRNGKey(0))
    run = partial(designer.update, {"terminal_weight": jnp.float32(weight)})
    keys = jax.random.split(jax.random.PRNGKey(1), 200)
    _, (_, steps) = jax.jit(partial(jax.lax.scan, run))(learner, keys)
    assert float((steps.action == 2).mean()) == pytest.approx(share, abs=0.03)
    others = (1 - share) / 2
    entropy = -share * np.log(share) - 2 * others * np.log(others)
    assert float(steps.entropy.mean()) == pytest.approx(entropy, rel=1e-4)
