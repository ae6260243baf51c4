"""Designing chains as an environment of agents by PPO."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bgpbt.assembly.environment_contract import check_environment
from bgpbt.config.errors import BadInput
from bgpbt.tasks.nas import table
from bgpbt.tasks.ppo.environments import environment_names, load_environment_file

DEPTH, SIDE = 2, 6


@pytest.fixture(scope="module")
def rewards(tmp_path_factory) -> Path:
    """Every chain that can be built is worth its number of layers, in tenths."""
    worths = np.array(
        [len(table.layers_of(n)) / 10 for n in range(table.chains(DEPTH))], np.float32
    )
    path = tmp_path_factory.mktemp("table") / "rewards.npz"
    table.write_all(path, {"made_up": worths}, {"side": SIDE, "depth": DEPTH})
    return path


@pytest.fixture(scope="module")
def env(rewards):
    return load_environment_file("designs").make("made_up", table=rewards)


def test_the_contract(env):
    check_environment("designs:made_up", env)


def test_designs_follow_one_another_and_what_was_gained_is_seen(env):
    step = jax.jit(env.step)
    state = env.reset(jax.random.PRNGKey(0))
    assert env.discrete and env.action_size == 8
    gained, sizes = [], []
    # conv5 leaves 2 pixels, so that another one cannot be built; then two of conv1.
    for action in (2, 2, 0, 0, 7):
        state = step(state, jnp.int32(action))
        gained.append(round(float(state.reward), 4))
        sizes.append(int(state.physics.design.layers))
        assert float(state.obs[-2]) == float(state.reward)
        assert state.obs[-10:-2].argmax() == action and not bool(state.terminated)
    assert gained == [0.1, 0, 0.1, 0.2, 0]
    assert sizes == [1, 0, 1, 0, 0]


def test_a_data_set_that_the_table_lacks_is_refused(rewards):
    make = load_environment_file("designs").make
    with pytest.raises(
        BadInput, match=r"designs:mnits: .* has no 'mnits', known: made"
    ):
        make("mnits", table=rewards)
    with pytest.raises(BadInput, match=r"No such file.*; scripts/reward_table\.py"):
        make("mnist", table=rewards.with_name("none.npz"))


def test_a_damaged_table_has_no_data_sets(rewards, tmp_path, monkeypatch):
    designs = load_environment_file("designs")
    monkeypatch.setattr(designs, "TABLE", rewards)
    assert designs.names() == ("made_up",)
    assert environment_names()["designs"] == ("designs:made_up",)
    (tmp_path / "bad.npz").write_text("bad")
    monkeypatch.setattr(designs, "TABLE", tmp_path / "bad.npz")
    assert designs.names() == ()
    assert "designs" not in environment_names()
