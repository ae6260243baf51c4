"""A policy that has left the house acts as it did at home."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bgpbt import onnx_policy
from bgpbt.config.errors import BadInput
from bgpbt.environment import Env, EnvState
from bgpbt.networks.mlp import ACTIVATIONS, MLP
from bgpbt.numpy_policy import load_policy
from bgpbt.tasks.ppo.actor_critic import BLOCKS
from bgpbt.tasks.ppo.normalizer import Normalizer
from bgpbt.tasks.ppo.task import ppo

OBS, ACTIONS, UNITS = 5, 3, 8
SEEN = np.random.default_rng(0).normal(0.5, 3, (1000, OBS)).astype(np.float32)
H = {
    "learning_rate": 1e-3,
    "entropy_cost": 0.0,
    "discounting": 0.9,
    "gae_lambda": 0.9,
    "clipping_epsilon": 0.2,
    "reward_scaling": 1.0,
    "batch_size": 16,
    "num_update_epochs": 1,
    "unroll_length": 15,
    "bptt_length": 15,
}


def still(discrete: bool) -> Env:
    """An environment that nothing happens in."""

    def reset(key):
        obs = jax.random.uniform(key, (OBS,))
        return EnvState(obs, obs, jnp.zeros(()), jnp.zeros((), bool))

    def step(state, action):
        return state

    return Env("still", OBS, ACTIONS, 10, 1, 1.0, reset, step, discrete=discrete)


CASES = {
    "deep": {"depth": 3, "width": 16},
    "shallow and normed": {"depth": 1, "width": 8, "spectral_norm": 1},
    "choices": {"discrete": True},
    "with a memory": {"units": UNITS},
} | {name: {"activation": place} for place, name in enumerate(ACTIVATIONS)}


def policy_of(discrete=False, units=None, depth=2, width=8, spectral_norm=0, **more):
    """A fresh policy within padding, with biases and statistics of their own."""
    outputs = ACTIONS if discrete else 2 * ACTIONS
    mlps = {
        "policy": MLP(units or OBS, outputs, 3, 16, 16, not units),
        "value": MLP(units or OBS, 1, 3, 16, 16, not units),
    }
    arch = {"depth": depth, "width": width, "spectral_norm": spectral_norm}
    fixed = H | {f"{b}_{k}": v for b in BLOCKS for k, v in arch.items()} | more
    env = still(discrete)
    task = ppo(env, num_envs=32, space={}, fixed=fixed, recurrent_units=units, **mlps)
    state = task.init(jax.random.PRNGKey(1), {})
    biased = jax.tree.map(lambda x: x + 0.1 * (x != 0), state.params)
    statistics = Normalizer(
        jnp.array(50, jnp.int32), jnp.arange(OBS) / OBS, 50 * jnp.linspace(0.5, 9, OBS)
    )
    state = state._replace(params=biased, statistics=statistics)
    assert task.playback is not None
    return task.playback.policy(state, {})


def actions_of(policy, steps: int = 3) -> list[np.ndarray]:
    """Actions of several decisions, which a memory tells apart."""
    carry = jax.tree.map(lambda x: jnp.broadcast_to(x, (1000, *x.shape)), policy.carry)
    found = []
    for _ in range(steps):
        carry, distribution = policy(carry, SEEN)
        found.append(np.asarray(distribution.mode()))
    return found


@pytest.fixture(params=CASES)
def case(request):
    return policy_of(**CASES[request.param])


def test_arrays_act_as_the_policy_did(case, tmp_path):
    np.savez(tmp_path / "policy.npz", **case.arrays())
    act, memory = load_policy(tmp_path / "policy.npz")
    memory = tuple(np.broadcast_to(x, (1000, *x.shape)) for x in memory)
    for expected in actions_of(case):
        memory, actions = act(memory, SEEN)
        assert actions.shape == expected.shape
        if expected.ndim == 2:
            assert np.abs(expected).max() > 0.05
        np.testing.assert_allclose(actions, expected, atol=1e-5)


def test_nothing_of_the_padding_is_left():
    arrays = policy_of(**CASES["shallow and normed"]).arrays()
    assert arrays["kernel_0"].shape == (OBS, 8) and int(arrays["layers"]) == 2
    assert arrays["kernel_1"].shape == (8, ACTIONS)


ELSEWHERE = """
import sys
import numpy as np
sys.modules["jax"] = None  # it cannot be imported
from bgpbt.numpy_policy import load_policy
act, memory = load_policy(sys.argv[1])
_, actions = act(memory, np.load(sys.argv[2]))
np.save(sys.argv[3], actions)
"""


def test_another_process_without_jax_acts_alike(tmp_path):
    policy = policy_of()
    np.savez(tmp_path / "policy.npz", **policy.arrays())
    np.save(tmp_path / "seen.npy", SEEN)
    files = [tmp_path / name for name in ("policy.npz", "seen.npy", "actions.npy")]
    subprocess.run([sys.executable, "-c", ELSEWHERE, *files], check=True, timeout=60)
    (expected,) = actions_of(policy, 1)
    np.testing.assert_allclose(np.load(files[-1]), expected, atol=1e-5)


@pytest.mark.onnx
def test_a_graph_acts_as_the_policy_did(case, tmp_path):
    import onnxruntime

    path = tmp_path / "policy.onnx"
    onnx_policy.save_onnx(case.arrays(), path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [x.name for x in session.get_inputs()[1:]]
    memory = dict.fromkeys(names, np.zeros((1000, UNITS), np.float32))
    for expected in actions_of(case):
        outputs = session.run(None, {"observations": SEEN} | memory)
        memory = dict(zip(names, outputs[1:], strict=True))
        np.testing.assert_allclose(outputs[0], expected, atol=1e-5)


def test_where_onnx_is_not_installed_it_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_policy, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match="ONNX is not installed here: pip install"):
        onnx_policy.save_onnx({}, tmp_path / "policy.onnx")
    assert list(tmp_path.iterdir()) == []
