"""Fitness where rounds are shorter than episodes, which never terminate."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from agent_runs import agent_options

import bgpbt
from bgpbt.environment import Env, EnvState
from bgpbt.networks.mlp import MLP
from bgpbt.tasks.ppo import minibatches
from bgpbt.tasks.ppo.spaces import hyperparameter_space
from bgpbt.tasks.ppo.task import ppo

FITNESS = ["evaluation", "training", "concurrent"]


def endless(length: int) -> Env:
    """Pays the position that the first observation shows, for ever."""

    def reset(key):
        obs = jax.random.uniform(key, (1,), minval=1.0, maxval=2.0)
        return EnvState((), obs, jnp.zeros(()), jnp.zeros((), bool))

    def step(state, action):
        return state._replace(reward=state.obs[0])

    return Env("endless", 1, 1, length, 1, 1.0, reset, step)


def endless_task(fitness: str):
    """PPO without a search, in episodes of 1,000 decisions."""
    mlps = {"policy": MLP(1, 2, 1, 8, 8, False), "value": MLP(1, 1, 1, 8, 8, False)}
    fixed = {name: dim.default for name, dim in hyperparameter_space(32).items()}
    for block in mlps:
        fixed[f"{block}_depth"] = 1
        fixed[f"{block}_width"] = 8
        fixed[f"{block}_spectral_norm"] = 0
    return ppo(
        endless(1000),
        num_envs=32,
        space={},
        fixed=fixed,
        fitness=fitness,
        eval_episodes=4,
        **mlps,
    )


@pytest.mark.parametrize("fitness", FITNESS)
def test_fitness_exists_in_every_round_however_short(monkeypatch, fitness):
    """Rounds of 90 decisions, episodes of 1,000.

    The first clocks reach the end, those of `concurrent` never do.
    """
    # Not what is tested here, and most of the compile time.
    monkeypatch.setattr(minibatches, "NUM_MINIBATCHES", (2,))
    task = endless_task(fitness)
    train = jax.jit(lambda key, state: task.train(key, state, {}, 6, ()))
    evaluate = jax.jit(lambda key, state: task.evaluate(key, state, {}))
    state = jax.jit(lambda key: task.init(key, {}))(jax.random.PRNGKey(0))
    assert task.fitness_from_training == (fitness != "evaluation")
    for number in range(3):
        state, metrics = train(jax.random.PRNGKey(number + 1), state)
        beside = 4 if fitness == "concurrent" else 0
        assert int(metrics["env_steps"]) == 6 * 15 * (32 + beside)
        if fitness == "evaluation":
            returns, steps = evaluate(jax.random.PRNGKey(9), state)
            assert int(steps) == 4000 and returns.shape == (4,)
        else:
            returns = metrics["episode_returns"]
            assert returns.shape == (4 if beside else 32,)
        # The mean reward is 1 to 2 a step; a return that is not of a whole episode is
        # stretched to one.
        known = np.asarray(returns)[~np.isnan(returns)]
        assert len(known) and (known >= 999).all() and (known <= 2001).all()
        if fitness == "concurrent":
            position = np.asarray(state.env_state.env.obs)[32:, 0]
            np.testing.assert_allclose(known, 1000 * position, rtol=1e-4)


@pytest.mark.long
@pytest.mark.parametrize("fitness", FITNESS)
def test_fitness_exists_in_every_round_of_halfcheetah(tmp_path, monkeypatch, fitness):
    """About 100 steps a round of episodes of 1,000."""
    monkeypatch.setattr(minibatches, "NUM_MINIBATCHES", (2, 8))
    changes = {
        "env_name": "halfcheetah",
        "episode_length": 1000,
        "pop_size": 2,
        "quantile_fraction": 0.5,
        "t_ready": 32 * 105,
        "max_timesteps": 3 * 32 * 105,
    }
    result = bgpbt.run(agent_options(tmp_path, fitness=fitness, **changes))
    rows = result.records
    assert rows["round"].max() == 3 and np.isfinite(rows["fitness"]).all()
    assert result.report["episodes"] >= 8 and np.isfinite(result.report["mean"])
