"""Clocks, endings and counts of episodes, where every number is known."""

import warnings
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bgpbt.environment import Env, EnvState
from bgpbt.tasks.ppo import episodes
from bgpbt.tasks.ppo.environments import make_environment
from bgpbt.types import Policy

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from brax import envs as brax_envs
    from brax.envs.base import State


def counter(length: int = 1000, *, repeat: int = 1, ends_at: int = 10**6) -> Env:
    """Pays the action; observes its own step count, which is its `physics`.

    It ends by itself after `ends_at` steps.
    """

    def reset(key):
        zero = jnp.zeros((), jnp.int32)
        return EnvState(
            zero,
            jnp.stack([jnp.zeros(()), jax.random.uniform(key)]),
            jnp.zeros(()),
            jnp.zeros((), bool),
        )

    def step(state, action):
        count = state.physics + 1
        obs = jnp.stack([count.astype(jnp.float32), state.obs[1]])
        return EnvState(count, obs, action[0], count >= ends_at)

    return Env("counter", 2, 1, length, repeat, 1.0, reset, step)


class Sure(NamedTuple):
    """A distribution with one action."""

    value: jax.Array

    def mode(self):
        return self.value


def acting(act) -> Policy:
    """The policy without memory that takes `act(obs)`."""
    return Policy(lambda carry, obs: (carry, Sure(act(obs))))


def counting(first: int) -> Policy:
    """Remembers how often it has acted in an episode, from `first` on; acts that."""

    def act(carry, obs):
        action = jnp.broadcast_to(carry[..., None], (*obs.shape[:-1], 1))
        return carry + 1, Sure(action.astype(obs.dtype))

    return Policy(act, jnp.int32(first))


def bank(env: Env, count: int) -> EnvState:
    """Start states that can be told from all others: their physics are negative."""
    state = jax.vmap(env.reset)(jax.random.split(jax.random.PRNGKey(7), count))
    return state._replace(physics=-100 - jnp.arange(count, dtype=jnp.int32))


def rollout(env: Env, env_state, steps: int, pay=1.0):
    """The states after each of `steps` decisions and what they gave.

    The leading axis is time.
    """
    fresh = bank(env, len(env_state.clock))

    def decide(env_state, _):
        env_state, step = episodes.advance(
            env,
            env_state,
            jnp.full((len(env_state.clock), 1), pay),
            fresh,
            jnp.arange(len(env_state.clock)),
        )
        return env_state, (env_state, step)

    return jax.lax.scan(decide, env_state, None, steps)[1]


def test_running_out_of_time_is_truncation():
    env = counter(4)
    states, steps = rollout(
        env, episodes.start(jax.random.PRNGKey(0), env, 2, staggered=False), 9
    )
    np.testing.assert_array_equal(steps.truncated[:, 0], [0, 0, 0, 1, 0, 0, 0, 1, 0])
    assert not steps.terminated.any()
    np.testing.assert_array_equal(states.clock[:, 1], [1, 2, 3, 0, 1, 2, 3, 0, 1])
    np.testing.assert_array_equal(
        states.episode_return[:, 1], [1, 2, 3, 0, 1, 2, 3, 0, 1]
    )


def test_the_environments_own_end_is_termination():
    env = counter(1000, ends_at=3)
    states, steps = rollout(
        env, episodes.start(jax.random.PRNGKey(0), env, 2, staggered=False), 3
    )
    np.testing.assert_array_equal(steps.terminated[:, 0], [0, 0, 1])
    assert not steps.truncated.any()
    assert not states.env.terminated.any()  # the new episode has not ended
    np.testing.assert_array_equal(steps.finished_return[:, 0], [np.nan, np.nan, 3])


def test_an_end_on_the_last_step_is_termination_only():
    env = counter(3, ends_at=3)
    _, steps = rollout(
        env, episodes.start(jax.random.PRNGKey(0), env, 1, staggered=False), 3
    )
    assert (float(steps.terminated[2, 0]), float(steps.truncated[2, 0])) == (1, 0)


def test_an_ended_environment_continues_from_its_row_of_the_bank():
    env = counter(2)
    fresh = bank(env, 3)
    states, _ = rollout(
        env, episodes.start(jax.random.PRNGKey(0), env, 3, staggered=False), 3
    )
    np.testing.assert_array_equal(
        states.env.physics, [[1, 1, 1], [-100, -101, -102], [-99, -100, -101]]
    )
    np.testing.assert_array_equal(states.env.obs[1], fresh.obs)


def test_only_the_environment_that_ended_starts_again():
    env = counter(1000, ends_at=3)
    env_state = episodes.start(jax.random.PRNGKey(0), env, 3, staggered=False)
    env_state = env_state._replace(
        env=env_state.env._replace(physics=jnp.array([0, 2, 1], jnp.int32))
    )
    states, steps = rollout(env, env_state, 1)
    np.testing.assert_array_equal(steps.terminated[0], [0, 1, 0])
    np.testing.assert_array_equal(states.env.physics[0], [1, -101, 2])
    np.testing.assert_array_equal(states.clock[0], [1, 0, 1])


def test_staggered_clocks_spread_the_cut_offs_and_only_complete_episodes_count():
    env = counter(8)
    env_state = episodes.start(jax.random.PRNGKey(0), env, 4, staggered=True)
    np.testing.assert_array_equal(env_state.clock, [0, 2, 4, 6])
    np.testing.assert_array_equal(env_state.complete, [True, False, False, False])
    states, steps = rollout(env, env_state, 16)
    np.testing.assert_array_equal(
        steps.truncated.sum(axis=1), [0, 1] * 8
    )  # never all at once
    np.testing.assert_array_equal(np.argmax(steps.truncated, axis=0), [7, 5, 3, 1])
    finished = np.asarray(steps.finished_return)
    # Of the cut episodes, the first one counts only where it began at clock 0; later
    # ones are complete everywhere.
    assert [np.flatnonzero(~np.isnan(finished[:, g])).tolist() for g in range(4)] == [
        [7, 15],
        [13],
        [11],
        [9],
    ]
    np.testing.assert_array_equal(finished[~np.isnan(finished)], 8)
    assert states.complete[-1].all()


def test_more_environments_than_steps_stagger_too():
    env = counter(3)
    env_state = episodes.start(jax.random.PRNGKey(0), env, 7, staggered=True)
    np.testing.assert_array_equal(env_state.clock, [0, 0, 0, 1, 1, 2, 2])
    np.testing.assert_array_equal(env_state.complete, env_state.clock == 0)


def test_the_state_keeps_its_shapes_and_dtypes():
    env = counter(4)
    env_state = episodes.start(jax.random.PRNGKey(0), env, 2, staggered=True)
    after, _ = episodes.advance(
        env, env_state, jnp.ones((2, 1)), bank(env, 2), jnp.arange(2)
    )
    assert jax.tree.map(lambda x: (x.shape, x.dtype), after) == jax.tree.map(
        lambda x: (x.shape, x.dtype), env_state
    )
    assert not any(x.weak_type for x in jax.tree.leaves(after))


# Evaluation


@pytest.mark.parametrize(("repeat", "decisions"), [(1, 10), (3, 4)])
def test_play_counts_every_step_it_simulates(repeat, decisions):
    env = counter(10, repeat=repeat)
    returns, lengths, steps = jax.jit(
        lambda key: episodes.play(key, env, acting(lambda obs: jnp.ones((5, 1))), 5)
    )(jax.random.PRNGKey(0))
    np.testing.assert_array_equal(returns, decisions)
    np.testing.assert_array_equal(lengths, decisions)
    assert int(steps) == decisions * repeat * 5 and steps.dtype == jnp.int32


def test_play_stops_when_all_have_ended_and_counts_only_living_rewards():
    """Two of the starts are near their end.

    The loop lasts as long as the longest episode, not as the limit.
    """
    env = counter(1000, ends_at=6)
    start = env.reset

    def reset(key):
        state = start(key)
        return state._replace(physics=(state.obs[1] * 5).astype(jnp.int32))

    env = env._replace(reset=reset)
    key = jax.random.PRNGKey(3)
    begun = np.asarray(episodes.start(key, env, 8, staggered=False).env.physics)
    assert len(set(begun)) > 2
    played = episodes.play(key, env, acting(lambda obs: jnp.ones((8, 1))), 8)
    returns, lengths, steps = played
    np.testing.assert_array_equal(returns, 6 - begun)
    np.testing.assert_array_equal(lengths, 6 - begun)
    assert int(steps) == (6 - begun.min()) * 8


def test_play_asks_the_policy_about_what_it_sees():
    """Actions are functions of the present observation: the count so far."""
    env = counter(5)
    returns, *_ = episodes.play(
        jax.random.PRNGKey(0), env, acting(lambda obs: obs[:, :1]), 3
    )
    np.testing.assert_array_equal(returns, 0 + 1 + 2 + 3 + 4)


def test_a_policy_remembers_within_an_episode_and_begins_the_next_one_anew():
    env = counter(4)
    policy = counting(10)
    returns, *_ = episodes.play(jax.random.PRNGKey(0), env, policy, 3)
    np.testing.assert_array_equal(returns, 10 + 11 + 12 + 13)

    env_state = episodes.start(
        jax.random.PRNGKey(0), env, 2, staggered=True, carry=policy.carry
    )
    seen = []
    for _ in range(6):
        carry, dist = policy(env_state.carry, env_state.env.obs)
        seen.append(np.asarray(dist.mode())[:, 0].tolist())
        env_state, _ = episodes.advance(
            env,
            env_state._replace(carry=carry),
            dist.mode(),
            bank(env, 2),
            jnp.arange(2),
            policy.carry,
        )
    # The clock of the second environment begins at 2 of 4.
    assert [first for first, _ in seen] == [10, 11, 12, 13, 10, 11]
    assert [second for _, second in seen] == [10, 11, 10, 11, 12, 13]


def test_a_filmed_policy_remembers_within_an_episode():
    """The pose is the count of the last action and the environment's own."""
    env = counter(ends_at=3)._replace(
        pose=lambda state: (state.reward, state.physics.astype(jnp.float32))
    )
    filmed = episodes.record_poses(
        jax.random.PRNGKey(0), env, counting(10), num_frames=5, decisions_per_frame=1
    )
    paid, counts = filmed.pose
    np.testing.assert_array_equal(counts, [0, 1, 2, 0, 1])
    np.testing.assert_array_equal(paid, [0, 10, 11, 0, 10])
    np.testing.assert_array_equal(filmed.reward, [10, 11, 12, 10, 11])
    np.testing.assert_array_equal(filmed.over, [0, 0, 1, 0, 0])


def test_play_differs_by_key_and_repeats_by_key():
    env = counter(5)
    act = acting(lambda obs: obs[:, 1:])
    first, again, other = (
        np.asarray(episodes.play(jax.random.PRNGKey(k), env, act, 4)[0])
        for k in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).all() and len(set(first)) == 4


def test_decisions_cover_the_episode():
    assert [counter(10, repeat=r).decisions_per_episode for r in (1, 2, 3, 10, 11)] == [
        10,
        5,
        4,
        1,
        1,
    ]


# Action repeat of Brax environments


class Numbered:
    """An environment as Brax writes them, without physics.

    Rewards are 1, 2, 3, ..., and it is done at its second step only.
    """

    observation_size = 2
    action_size = 1
    dt = 0.1
    sys = None

    def reset(self, key):
        count = jnp.zeros(())
        return State(
            None,
            jax.random.uniform(key, (2,)),
            count,
            count,
            {"metric": count},
            {"count": count},
        )

    def step(self, state, action):
        count = state.info["count"] + 1
        return state.replace(
            obs=state.obs + action[0],
            reward=count,
            done=jnp.where(count == 2, 1.0, 0.0),
            info={"count": count},
        )


@pytest.fixture
def numbered(monkeypatch):
    monkeypatch.setattr(brax_envs, "get_environment", lambda name, backend: Numbered())
    return lambda repeat: make_environment(
        "reacher", episode_length=10, action_repeat=repeat
    )


@pytest.mark.parametrize(
    ("repeat", "reward", "terminated"), [(1, 1, False), (2, 3, True), (4, 3, True)]
)
def test_rewards_after_an_end_within_the_repeat_do_not_count(
    numbered, repeat, reward, terminated
):
    env = numbered(repeat)
    state = env.reset(jax.random.PRNGKey(0))
    after = env.step(state, jnp.ones(1))
    assert float(after.reward) == reward and bool(after.terminated) is terminated
    np.testing.assert_allclose(
        after.obs, state.obs + repeat, rtol=1e-6
    )  # the action is held
    assert jax.tree.map(lambda x: (x.shape, x.dtype), after) == jax.tree.map(
        lambda x: (x.shape, x.dtype), state
    )
    assert not any(x.weak_type for x in jax.tree.leaves((state, after)))


def test_an_end_does_not_outlive_its_step(numbered):
    """The trainer resets.

    The environment itself says `terminated` for the last decision only.
    """
    env = numbered(2)
    state = env.step(env.reset(jax.random.PRNGKey(0)), jnp.zeros(1))
    again = env.step(state, jnp.zeros(1))
    assert bool(state.terminated) and not bool(again.terminated)
    assert float(again.reward) == 3 + 4


def test_the_environment_without_physics_can_be_built():
    env = make_environment("fast", episode_length=10)
    state = env.step(env.reset(jax.random.PRNGKey(0)), jnp.zeros(env.action_size))
    assert state.obs.shape == (env.observation_size,) and env.pose is None
