"""However a population is laid out on devices, its members compute the same.

Every searched dimension is data, not shape.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toys import same_bits

from bgpbt import space as spaces
from bgpbt.execution.devices import DeviceLayout
from bgpbt.execution.programs import make_programs
from bgpbt.networks.mlp import MLP
from bgpbt.tasks.ppo import minibatches
from bgpbt.tasks.ppo.environments import load_environment_file, make_environment
from bgpbt.tasks.ppo.spaces import architecture_space, hyperparameter_space
from bgpbt.tasks.ppo.task import ppo

SCRIPT = Path(__file__).with_name("agreement_float64.py")
PROBES = load_environment_file("probes").PROBES
P = 8
SEED = np.uint32(1)
ONE = np.int32(1)
SPACE = hyperparameter_space(32) | architecture_space()
MLPS = {"policy": MLP(2, 2, 2, 64, 64, True), "value": MLP(2, 1, 2, 64, 64, True)}
MIDDLE = spaces.defaults(SPACE) | {
    f"{b}_{k}": v
    for b in MLPS
    for k, v in (("depth", 1), ("width", 32), ("spectral_norm", 0))
}
OTHER = {
    "learning_rate": 1e-3,
    "entropy_cost": 0.1,
    "discounting": 0.9,
    "gae_lambda": 1.0,
    "clipping_epsilon": 0.1,
    "reward_scaling": 0.1,
    "batch_size": 4,
    "num_update_epochs": 2,
    "unroll_length": 6,
} | {
    f"{b}_{k}": v
    for b in MLPS
    for k, v in (("depth", 2), ("width", 64), ("spectral_norm", 1))
}


@pytest.mark.long
def test_in_float64_all_device_layouts_agree():
    """Float64 belongs to a process of its own.

    XLA optimises little: compiling is all that takes time here.
    """
    flags = " ".join(
        [os.environ.get("XLA_FLAGS", ""), "--xla_backend_optimization_level=0"]
    )
    variables = {k: v for k, v in os.environ.items() if k != "JAX_NUM_CPU_DEVICES"}
    variables |= {
        "XLA_FLAGS": flags,
        "PYTHONPATH": str(SCRIPT.parents[3]),
        "JAX_ENABLE_X64": "1",
    }
    done = subprocess.run(
        [sys.executable, SCRIPT],
        env=variables,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["moved"] > 1e-2
    assert set(result["apart"]) == {
        "one chunk",
        "chunks of two",
        "four devices",
        "singles",
    }
    for name, rounds in result["apart"].items():
        assert len(rounds) == 4 and max(rounds) < 1e-9, (name, rounds)


# One program of eight members on a probe, for all that follows


@pytest.fixture(scope="module")
def programs():
    """Few numbers of minibatches: their branches are most of what compiling takes."""
    task = ppo(PROBES["delayed"](), num_envs=32, space=SPACE, fixed={}, **MLPS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(minibatches, "NUM_MINIBATCHES", (4, 8, 32))
        yield make_programs(
            task, P, DeviceLayout(2 if jax.device_count() > 1 else 1, 1)
        )


def trained(programs, configs, members=None, updates: int = 2, spoil=None):
    """The weights, on the host, after a round.

    `spoil` turns a member's weights into NaN first.
    """
    members = np.zeros(P, np.int32) if members is None else members
    population = programs.init(SEED, np.int32(0), members, configs)
    if spoil is not None:
        population = population._replace(
            params=jax.tree.map(lambda x: x.at[spoil].set(jnp.nan), population.params)
        )
        population = jax.tree.map(
            lambda x, y: jax.device_put(x, y.sharding),
            population,
            programs.init(SEED, np.int32(0), members, configs),
        )
    population, metrics = programs.train(
        SEED, ONE, np.int32(updates), members, np.ones(P, bool), population, configs
    )
    return jax.tree.map(np.asarray, (population, metrics))


def member(tree, index: int):
    return jax.tree.map(lambda x: x[index], tree)


@pytest.fixture(scope="module")
def one_at_a_time(programs):
    """Members with the same keys, and the traces they took.

    The first is as it is, each other one has one dimension changed.
    """
    changes = [{}, *({name: OTHER[name]} for name in SPACE)]
    changes += [{}] * (-len(changes) % P)
    configs = np.stack(
        [
            np.asarray(spaces.encode(SPACE, MIDDLE | change), np.float32)
            for change in changes
        ]
    )
    outs, caches = [], []
    for group in np.split(configs, len(configs) // P):
        outs.append(trained(programs, group)[0])
        caches.append((programs.train._cache_size(), programs.init._cache_size()))
    return jax.tree.map(lambda *xs: np.concatenate(xs), *outs), caches


def test_all_fifteen_dimensions_are_searched():
    assert list(SPACE) == list(OTHER) and len(SPACE) == 15


@pytest.mark.parametrize("name", list(SPACE))
def test_every_searched_dimension_changes_the_result(one_at_a_time, name):
    population, _ = one_at_a_time
    index = 1 + list(SPACE).index(name)
    moved = {
        block: max(
            np.abs(layer["kernel"][0] - layer["kernel"][index]).max()
            for layer in population.params[block]
        )
        for block in MLPS
    }
    if name in ("entropy_cost", "clipping_epsilon"):
        assert moved["value"] == 0  # the networks share nothing
    else:
        assert moved["value"] > 1e-5 or name.startswith("policy_")
    assert max(moved.values()) > 1e-5


def test_changed_values_compile_nothing(one_at_a_time):
    _, caches = one_at_a_time
    assert set(caches) == {(1, 1)}


def test_equal_members_with_equal_keys_are_equal_to_the_bit(one_at_a_time):
    population, _ = one_at_a_time
    assert (
        len(jax.tree.leaves(population)[0]) == 16
    )  # none of the fifteen but the first is as it was
    assert not any(
        same_bits(member(population.params, 0), member(population.params, i))
        for i in range(1, 16)
    )


def drawn(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(size=(P, len(SPACE))).astype(np.float32)


def test_the_same_layout_repeats_to_the_bit(programs):
    members = np.arange(P, dtype=np.int32)
    assert same_bits(
        trained(programs, drawn(0), members), trained(programs, drawn(0), members)
    )


def test_members_do_not_depend_on_their_neighbours(programs):
    """Other configurations, other numbers, and one neighbour that is NaN."""
    members = np.arange(P, dtype=np.int32)
    alone = trained(programs, drawn(0), members)
    configs = np.concatenate([drawn(0)[:4], drawn(1)[4:]])
    neighbours = np.concatenate([members[:4], members[4:] + 10]).astype(np.int32)
    beside = trained(programs, configs, neighbours, spoil=5)
    for i in range(4):
        assert same_bits(member(alone, i), member(beside, i))
    assert not same_bits(member(alone, 4), member(beside, 4)) and np.isnan(
        beside[1]["loss"][5]
    )


# A simulator in float32: the first rollout and the first gradient


@pytest.fixture(scope="module")
def pendulums():
    """Two members after one rollout that is learnt from without moving.

    Adam's first moment holds the first gradients. Few numbers of minibatches: their
    branches are most of what compiling takes.
    """
    env = make_environment("inverted_pendulum", episode_length=100)
    space = {
        "entropy_cost": spaces.Float(1e-3, 1e-1, 1e-2, log=True),
        "batch_size": spaces.Integer(1, 16, 16, doubling=True),
    }
    fixed = {
        name: dim.default
        for name, dim in hyperparameter_space(32).items()
        if name not in space
    }
    fixed |= {"learning_rate": 0.0, "num_update_epochs": 1, "unroll_length": 15}
    fixed |= {
        f"{b}_{k}": v
        for b in MLPS
        for k, v in (("depth", 1), ("width", 8), ("spectral_norm", 0))
    }
    mlps = {
        b: MLP(env.observation_size, out, 1, 8, 8, False)
        for b, out in (("policy", 2 * env.action_size), ("value", 1))
    }
    task = ppo(env, num_envs=32, space=space, fixed=fixed, **mlps)
    config = np.array([[0.3, 0.3], [0.9, 0.9]], np.float32)
    members = np.arange(2, dtype=np.int32)
    results = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(minibatches, "NUM_MINIBATCHES", (2, 8))
        for device_layout in [
            DeviceLayout(1, 1),
            DeviceLayout(1, 2),
            DeviceLayout(2, 1),
        ][: 2 + (jax.device_count() > 1)]:
            programs = make_programs(task, 2, device_layout)
            population = programs.init(SEED, np.int32(0), members, config)
            arguments = (SEED, ONE, ONE, members, np.ones(2, bool), population, config)
            quickly = programs.train.lower(*arguments).compile(
                {"xla_backend_optimization_level": 0}
            )
            results[device_layout] = jax.tree.map(np.asarray, quickly(*arguments))
    return results


@pytest.mark.long
@pytest.mark.parametrize("device_layout", [DeviceLayout(1, 2), DeviceLayout(2, 1)])
def test_the_first_rollout_and_gradient_of_a_pendulum_agree(pendulums, device_layout):
    if device_layout not in pendulums:
        pytest.skip("JAX was started with one device")
    actual, metrics = pendulums[device_layout]
    right, right_metrics = pendulums[DeviceLayout(1, 1)]
    np.testing.assert_allclose(
        metrics["episode_returns"], right_metrics["episode_returns"], rtol=1e-4
    )
    np.testing.assert_allclose(
        actual.env_state.env.obs, right.env_state.env.obs, rtol=1e-4, atol=1e-4
    )
    np.testing.assert_array_equal(actual.env_state.clock, right.env_state.clock)
    np.testing.assert_allclose(
        actual.statistics.mean, right.statistics.mean, rtol=1e-4, atol=1e-5
    )
    for block in MLPS:
        momenta = [
            jax.tree.leaves(state.opt_state[block]["adam"].mu)
            for state in (actual, right)
        ]
        assert max(np.abs(x).max() for x in momenta[1]) > 1e-3
        for x, y in zip(*momenta, strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-4 * np.abs(y).max())
