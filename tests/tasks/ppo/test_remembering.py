"""Agents that remember: what is learnt through the memory, and where it is emptied.

Shapes as in `bgpbt.tasks.ppo.experience`.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bgpbt.networks.mlp import MLP
from bgpbt.networks.recurrent import LSTM
from bgpbt.tasks.ppo import learner, minibatches, normalizer, recurrent, rollout
from bgpbt.tasks.ppo.actor_critic import BLOCKS
from bgpbt.tasks.ppo.batch import estimate
from bgpbt.tasks.ppo.distributions import NUMBERS
from bgpbt.tasks.ppo.environments import load_environment_file
from bgpbt.tasks.ppo.recurrent import Recurrent
from bgpbt.tasks.ppo.rollout import RoundInputs
from bgpbt.tasks.ppo.settings import PPOSettings
from bgpbt.tasks.ppo.task import ppo

PROBE = load_environment_file("probes").remembered()
CHOICES = PROBE._replace(
    discrete=True,
    action_size=2,
    step=lambda state, action: PROBE.step(state, 2.0 * action[None] - 1),
)
T, G, UNITS = 15, 32, 16
CELL = LSTM(UNITS)
H = {
    "learning_rate": 3e-3,
    "entropy_cost": 1e-2,
    "discounting": 0.97,
    "gae_lambda": 0.95,
    "clipping_epsilon": 0.2,
    "reward_scaling": 1.0,
    "batch_size": 16,
    "num_update_epochs": 4,
    "unroll_length": 15,
    "bptt_length": 15,
} | {
    f"{b}_{k}": v
    for b in BLOCKS
    for k, v in (("depth", 1), ("width", 16), ("spectral_norm", 0))
}


def mlps(inputs, outputs=2):
    return {
        "policy": MLP(inputs, outputs, 1, 16, 16, False),
        "value": MLP(inputs, 1, 1, 16, 16, False),
    }


def task_of(env, units):
    return ppo(
        env,
        num_envs=G,
        space={},
        fixed=H,
        eval_episodes=64,
        recurrent_units=units,
        **mlps(units or 2),
    )


# The memory by itself


@pytest.fixture(scope="module")
def cell():
    """Weights of an LSTM, a memory, and a sequence that it sees."""
    keys = jax.random.split(jax.random.PRNGKey(0), 3)
    params = CELL.init(keys[0], CELL.nothing(), jnp.zeros(2))
    memory = tuple(jax.random.normal(keys[1], (2, UNITS)))
    return params, memory, jax.random.normal(keys[2], (T, 2))


def by_hand(params, memory, obs, begins, length):
    """The outputs, in a loop of Python; every `length` decisions begin a new one."""
    outputs = []
    for t in range(T):
        if t % length == 0:
            memory = jax.lax.stop_gradient(memory)
        memory = CELL.nothing() if begins[t] else memory
        memory = CELL.step(params, memory, obs[t])
        outputs.append(memory[1])
    return jnp.stack(outputs)


NOWHERE = np.zeros(T, bool)


@pytest.fixture(scope="module")
def gradient():
    """That of the last output by weights and observations; the length is traced."""

    @jax.jit
    def gradient(length, params, memory, obs):
        def last(params, memory, obs):
            outputs = recurrent.remembered(CELL, params, length, memory, obs, NOWHERE)
            return outputs[-1].sum()

        return jax.grad(last, argnums=(0, 1, 2))(params, memory, obs)

    return gradient


@pytest.mark.parametrize("length", [1, 4, 15])
def test_the_gradient_is_cut_every_so_many_decisions(cell, gradient, length):
    *of_weights, of_obs = gradient(length, *cell)
    seen = np.abs(of_obs).max(axis=1) > 0
    assert seen.tolist() == [t // length == 14 // length for t in range(T)]
    assert not any(np.any(x) for x in of_weights[1])  # where the sequence began
    right = jax.grad(lambda p: by_hand(p, *cell[1:], NOWHERE, length)[-1].sum())(
        cell[0]
    )
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4), of_weights[0], right)
    assert gradient._cache_size() == 1


def test_a_cut_changes_no_output(cell):
    outputs = [
        recurrent.remembered(CELL, cell[0], length, *cell[1:], NOWHERE)
        for length in (1, 15)
    ]
    np.testing.assert_array_equal(*outputs)


def test_episodes_in_a_sequence_are_as_episodes_apart(cell):
    params, memory, obs = cell
    begins = np.isin(np.arange(T), (4, 5, 11))
    together = recurrent.remembered(CELL, params, 15, memory, obs, begins)
    apart = [
        recurrent.remembered(CELL, params, 15, begun, part, NOWHERE[: len(part)])
        for begun, part in zip(
            (memory, *[CELL.nothing()] * 3), jnp.split(obs, (4, 5, 11)), strict=True
        )
    ]
    np.testing.assert_allclose(together, jnp.concatenate(apart), rtol=1e-5, atol=1e-6)


# In an environment


@pytest.fixture(scope="module")
def played():
    """Two rollouts of an untrained member, the second from the middle of episodes.

    Episodes have 8 decisions, and end inside of both, at different times.
    """
    networks = Recurrent(mlps(UNITS), 2, UNITS)
    settings = PPOSettings(PROBE, networks, G, {}, H, "concurrent", 3, True)

    @jax.jit
    def play(key):
        params, opt_state = networks.init(key, H)
        world = rollout.start(settings, key, {})
        statistics = normalizer.init(2)
        state = rollout.TrainState(params, opt_state, statistics, world)
        inputs = RoundInputs(world.env, rollout.policy_of(settings, state, {}), None)
        signs, _ = world.env.physics
        staggered = world.env._replace(physics=(signs, jnp.arange(G + 3.0) % 8))
        state = state._replace(env_state=world._replace(env=staggered))
        for number in range(2):
            world, experience, _ = rollout.rollout(
                settings, jax.random.fold_in(key, number), state, params, H, inputs
            )
            state = state._replace(env_state=world)
        normalise = partial(normalizer.normalise, statistics)
        batch = estimate(networks, params, normalise, experience, H)
        outputs = networks.policy_outputs(params, batch.seen, H)
        log_prob = settings.distribution.from_outputs(outputs).log_prob(
            batch.raw_action
        )
        return state, experience, batch, log_prob

    return play(jax.random.PRNGKey(0))


def test_what_is_learnt_from_is_what_acted(played):
    """From the memory with which the rollout began, and emptied where episodes end."""
    _, experience, batch, log_prob = played
    assert (experience.terminated.sum(axis=1) > 0).all()
    assert all(np.any(memory[1]) for memory in experience.carry.values())
    np.testing.assert_allclose(log_prob, batch.log_prob, rtol=1e-4, atol=1e-5)
    assert log_prob.shape == (G, T)


def test_the_memory_is_emptied_where_an_episode_ends(played):
    state, *_ = played
    world = state.env_state
    for block in BLOCKS:
        cells, _ = world.carry[block]
        # Also where the environments only measure.
        assert cells.shape == (G + 3, UNITS)
        has_begun = world.env.physics[1] > 0
        np.testing.assert_array_equal(np.any(cells, axis=1), has_begun)
        assert 0 < has_begun.sum() < G + 3


def test_a_member_that_inherits_remembers_nothing(played):
    task = task_of(PROBE, UNITS)
    state, *_ = played
    fresh = task.refresh(jax.random.PRNGKey(1), state, {})
    assert not any(np.any(x) for x in jax.tree.leaves(fresh.env_state.carry))
    assert fresh.params is state.params


@pytest.mark.parametrize(
    ("num_envs", "numbers"),
    [
        (32, (2, 4, 8, 16, 32)),
        (64, (2, 4, 8, 16, 32)),
        (96, minibatches.NUM_MINIBATCHES),
    ],
)
def test_minibatches_are_of_whole_environments(num_envs, numbers):
    assert minibatches.numbers_for(num_envs) == numbers
    assert minibatches.numbers_for(T * num_envs) == minibatches.NUM_MINIBATCHES


@pytest.mark.long
def test_members_together_learn_as_apart(monkeypatch, played):
    """Also where they have other numbers of minibatches, which one of them gathers."""
    monkeypatch.setattr(minibatches, "NUM_MINIBATCHES", (2, 8))
    state, _, batch, _ = played
    learn = partial(
        learner.learn,
        jax.random.PRNGKey(2),
        state.params,
        state.opt_state,
        batch,
        normalize_advantage=True,
        networks=Recurrent(mlps(UNITS), 2, UNITS),
        kind=NUMBERS,
        action_size=1,
    )
    h = {
        "batch_size": jnp.array([16, 4, 16]),
        "num_update_epochs": jnp.array([2, 2, 3]),
        "bptt_length": jnp.array([15, 5, 15]),
    }
    one = jax.jit(lambda h: learn(H | h).params)
    together = jax.jit(jax.vmap(lambda h: learn(H | h).params))(h)
    for index in range(3):
        alone = one({name: x[index] for name, x in h.items()})
        for a, b in zip(*map(jax.tree.leaves, (together, alone)), strict=True):
            np.testing.assert_allclose(a[index], b, rtol=1e-3, atol=1e-4)


# Learning


def returns_after(task, updates):
    """Of 64 episodes after training."""

    @jax.jit
    def learn(key):
        state = task.init(key, {})
        state, _ = task.train(key, state, {}, updates, ())
        return task.evaluate(jax.random.PRNGKey(1), state, {})[0]

    return learn(jax.random.PRNGKey(0))


@pytest.mark.long
@pytest.mark.parametrize("env", [PROBE, CHOICES], ids=["numbers", "choices"])
def test_memory_is_what_it_takes_to_repeat_the_first_observation(monkeypatch, env):
    """Without, the best mean is 0; that of 64 signs has a deviation of 0.125."""
    monkeypatch.setattr(minibatches, "NUM_MINIBATCHES", (2,))  # it compiles sooner
    assert abs(returns_after(task_of(env, None), 100).mean()) < 0.4
    assert returns_after(task_of(env, UNITS), 100).mean() > 0.95
