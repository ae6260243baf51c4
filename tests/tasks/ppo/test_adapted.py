"""Environments as their authors write them, and what the trainer gets of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from bgpbt.assembly.environment_contract import check_environment
from bgpbt.config.errors import BadInput
from bgpbt.environment import Env, EnvState, repeated
from bgpbt.storage.checkpoints import read_checkpoint, write_checkpoint
from bgpbt.tasks.ppo import episodes
from bgpbt.tasks.ppo.adapted import adapted
from bgpbt.types import Policy

WORD = "mine.py:make"


def walk(**changes) -> Env:
    """A random walk with a typed key, an empty array and plain Python numbers.

    Its clock ends an episode after four steps; `changes` break its states.
    """

    def state(key, place, clock):
        obs = {"far": place > 1, "at": jnp.stack([place, -place]), "clock": clock}
        physics = {"key": key, "nothing": jnp.zeros((0, 3)), "walk": (place, clock)}
        return EnvState(physics, obs, place, place > 100, clock >= 4)._replace(
            **{name: change(place, clock) for name, change in changes.items()}
        )

    def reset(key):
        return state(jax.random.wrap_key_data(key), 0.0, 0)

    def step(before, action):
        place, clock = before.physics["walk"]
        key, used = jax.random.split(before.physics["key"])
        return state(key, place + jax.random.normal(used) * action[0], clock + 1)

    return Env("walk", 4, 1, 1000, 1, 1.0, reset, step)


def played(env: Env, state, steps: int):
    """The states after `steps` decisions, and what each gave."""
    fresh = state.env
    act = jax.jit(
        lambda s: episodes.advance(env, s, jnp.ones((2, 1)), fresh, jnp.arange(2))
    )
    infos = []
    for _ in range(steps):
        state, info = act(state)
        infos.append(info)
    return state, infos


@pytest.fixture(scope="module")
def env():
    return adapted(WORD, walk())


@pytest.fixture(scope="module")
def begun(env):
    return episodes.start(jax.random.PRNGKey(0), env, 2, staggered=False)


def test_observations_become_one_vector_in_the_order_of_their_names(env, begun):
    state, _ = played(env, begun, 1)
    assert env.observation_size == 4 and state.env.obs.dtype == jnp.float32
    place, clock = state.env.physics["walk"]
    expected = jnp.stack([place, -place, clock, place > 1], axis=1)
    np.testing.assert_array_equal(state.env.obs, expected)


def test_the_environments_own_clock_truncates(env, begun):
    state, infos = played(env, begun, 9)
    ends = [bool(info.truncated[0]) for info in infos]
    assert ends == [False] * 3 + [True] + [False] * 3 + [True, False]
    assert not any(info.terminated.any() for info in infos)
    assert state.clock.tolist() == [1, 1] and not state.env.truncated.any()


def test_an_evaluation_ends_with_the_environments_clock(env):
    class Push:
        def mode(self):
            return jnp.ones((3, 1))

    policy = Policy(lambda carry, obs: (carry, Push()))
    returns, _, steps = episodes.play(jax.random.PRNGKey(0), env, policy, 3)
    assert int(steps) == 3 * 4 and len(set(np.asarray(returns).tolist())) == 3


def test_states_are_saved_and_go_on_with_the_same_bits(env, begun, tmp_path):
    """Typed keys and empty arrays among the physics."""
    state, _ = played(env, begun, 2)
    write_checkpoint(tmp_path / "it", state, pd.DataFrame({"round": [1]}), {})
    read = read_checkpoint(tmp_path / "it", state)
    for one, other in zip(
        jax.tree.leaves(played(env, state, 3)),
        jax.tree.leaves(played(env, read, 3)),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


def test_the_second_call_compiles_nothing(env, begun, compilations):
    step = jax.jit(jax.vmap(env.step))
    state = step(begun.env, jnp.ones((2, 1)))
    compilations.clear()
    step(state, jnp.ones((2, 1)))
    assert not compilations


def test_no_array_has_a_weak_type(env, begun):
    one = jax.tree.map(lambda x: x[0], begun.env)
    shapes = jax.eval_shape(env.step, one, jnp.ones(1))
    assert not any(x.weak_type for x in jax.tree.leaves(shapes))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"reward": lambda x, t: jnp.zeros(1)}, "reset: reward is an array [1]"),
        ({"terminated": lambda x, t: jnp.zeros(2, bool)}, "terminated is an array [2]"),
        ({"truncated": lambda x, t: None}, "reset: truncated is NoneType"),
        ({"obs": lambda x, t: {}}, "reset: obs is a dict of (), give numbers"),
        ({"obs": lambda x, t: jnp.zeros(3)}, "observation_size is 4, reset gives 3"),
    ],
)
def test_a_state_that_cannot_be_is_one_line(change, why):
    with pytest.raises(BadInput) as caught:
        adapted(WORD, walk(**change))
    message = str(caught.value)
    assert message.startswith(f"env_name: {WORD}: ") and why in message


def test_the_size_of_a_tree_of_observations_is_counted():
    with pytest.raises(BadInput, match="observation_size is 5, reset gives 4 numbers"):
        adapted(WORD, walk()._replace(observation_size=5))


def test_a_step_that_changes_types_is_one_line():
    plain = walk()

    def step(state, action):
        state = plain.step(state, action)
        place, clock = state.physics["walk"]
        return state._replace(physics=state.physics | {"walk": (place, 0.5 * clock)})

    with pytest.raises(BadInput, match=r"walk'\]\[1\] is float32\[\], was int32\[\]"):
        adapted(WORD, plain._replace(step=step))


def odd(begins, goes_on) -> Env:
    """What `reset` gives, and a step makes of it; without physics."""
    begins = EnvState((), jnp.zeros(1), 0, False)._replace(**begins)
    return Env(
        "odd",
        sum(jnp.size(x) for x in jax.tree.leaves(begins.obs)),
        1,
        9,
        1,
        1.0,
        lambda key: begins,
        lambda state, action: state._replace(**goes_on(state)),
    )


@pytest.mark.parametrize(
    ("obs", "later", "why"),
    [
        (jnp.zeros(1, int), jnp.zeros(1), "obs'] is float32[1], was int32[1]"),
        (jnp.zeros((2, 3)), jnp.zeros((3, 2)), "obs'] is float32[3, 2], was"),
        (
            {"a": jnp.zeros(2), "b": jnp.zeros(1)},
            {"a": jnp.zeros(1), "b": jnp.zeros(2)},
            "obs']['a'] is float32[1], was float32[2]",
        ),
        (jax.random.key(0), None, "obs has the type key<fry>, give real numbers"),
        (jnp.zeros(1, complex), None, "obs has the type complex64, give real numbers"),
    ],
)
def test_observations_that_cannot_be_are_one_line(obs, later, why):
    env = odd({"obs": obs}, lambda state: {"obs": obs if later is None else later})
    with pytest.raises(BadInput) as caught:
        adapted(WORD, env)
    assert why in str(caught.value)


def test_an_author_may_go_on_from_rewards_and_whole_observations():
    """A reward that begins as a whole number does not stay one."""
    env = adapted(
        WORD,
        odd(
            {"obs": jnp.array([2])},
            lambda state: {"reward": state.reward + 0.25, "obs": 3 * state.obs},
        ),
    )
    state = env.reset(jax.random.PRNGKey(0))
    for _ in range(3):
        state = env.step(state, jnp.zeros(1))
    assert float(state.reward) == 0.75 and state.obs.tolist() == [54.0]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("action_size", 0),
        ("action_size", True),
        ("episode_length", 2.5),
        ("step", None),
        ("discrete", "no"),
        ("seconds_per_step", 0.0),
        ("name", None),
    ],
)
def test_fields_that_cannot_be_are_one_line(field, value):
    with pytest.raises(BadInput, match=f"{field} is "):
        adapted(WORD, walk()._replace(**{field: value}))


def test_a_repeated_step_stops_paying_where_the_clock_runs_out():
    """Three steps at a time: the fourth ends the episode, two more pay nothing."""

    def reset(key):
        return EnvState(0, jnp.zeros(1), 0, False, False, {"even": True})

    def step(state, action):
        clock = state.physics + 1
        metrics = {"even": clock % 2 == 0}
        return EnvState(clock, jnp.zeros(1), 1, clock >= 5, clock >= 4, metrics)

    env = Env("clock", 1, 1, 99, 3, 1.0, reset, repeated(step, 3))
    env = adapted(WORD, env)
    first = env.step(env.reset(jax.random.PRNGKey(0)), jnp.ones(1))
    second = env.step(first, jnp.ones(1))
    assert (float(first.reward), bool(first.over)) == (3, False)
    assert float(second.reward) == 1
    assert [float(x.metrics["even"]) for x in (first, second)] == [1, 1]
    assert (bool(second.truncated), bool(second.terminated)) == (True, False)


def heavy(**changes) -> Env:
    """A place, and arrays that each step computes anew: a map, and its number."""

    def state(place):
        physics = {"place": place, "map": place * jnp.ones((50, 20)), "number": 7}
        return EnvState(physics, place[None], place, False)

    def step(before, action):
        return state(before.physics["place"] + 0.1 * action[0])

    env = Env("heavy", 1, 1, 1000, 1, 1.0, lambda key: state(jnp.ones(())), step)
    return env._replace(**changes)


def test_only_what_is_declared_is_kept_and_steps_are_the_same(tmp_path):
    """Saved, read and stepped equals the uninterrupted one, and one that keeps all."""
    all_of_it = adapted(WORD, heavy())
    env = adapted(WORD, heavy(saved=lambda physics: physics["place"]))
    begun = episodes.start(jax.random.PRNGKey(0), env, 2, staggered=False)
    assert {name: x.shape for name, x in begun.env.physics.items()} == {"place": (2,)}
    assert not any(x.weak_type for x in jax.tree.leaves(begun.env))
    state, _ = played(env, begun, 2)
    write_checkpoint(tmp_path / "it", state, pd.DataFrame({"round": [1]}), {})
    read = read_checkpoint(tmp_path / "it", state)
    full = episodes.start(jax.random.PRNGKey(0), all_of_it, 2, staggered=False)
    expected = played(all_of_it, full, 5)[1]
    for infos in (played(env, read, 3)[1], played(env, state, 3)[1]):
        for one, other in zip(infos, expected[2:], strict=True):
            np.testing.assert_array_equal(one.reward, other.reward)


def test_a_step_that_reads_what_is_not_kept_is_told():
    def step(before, action):
        return heavy().step(before, action + before.physics["map"][0, 0])

    env = heavy(step=step, saved=lambda physics: [physics["place"]])
    with pytest.raises(BadInput, match="is not finite after 1 steps"):
        check_environment(WORD, adapted(WORD, env))


@pytest.mark.parametrize(
    ("saved", "why"),
    [
        (lambda physics: jnp.zeros(1), r"saved gives an array \[1\], give parts of"),
        (3, "saved is no function"),
    ],
)
def test_a_declaration_chooses_parts_of_physics(saved, why):
    with pytest.raises(BadInput, match=why):
        adapted(WORD, heavy(saved=saved))
