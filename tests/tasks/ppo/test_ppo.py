"""PPO's update against a plain one: Python loops, dense networks, static values.

`T`, `G`, `K` as in `bgpbt.tasks.ppo.experience`.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bgpbt.networks.mlp import MLP
from bgpbt.tasks.ppo import actor_critic, learner
from bgpbt.tasks.ppo.batch import estimate
from bgpbt.tasks.ppo.distributions import NUMBERS
from bgpbt.tasks.ppo.experience import Experience
from bgpbt.tasks.ppo.minibatches import NUM_MINIBATCHES
from bgpbt.tasks.ppo.networks import Feedforward

# Compiling is all that takes time.
QUICKLY = {
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
}
T = 15
G = 32
O = 3  # noqa: E741
A = 2
SIZES = (1, 2, 4, 8, 16)
UNROLLS = range(5, 16)
MLPS = {"policy": MLP(O, 2 * A, 2, 8, 8, False), "value": MLP(O, 1, 2, 8, 8, False)}
NETWORKS = Feedforward(MLPS)
H = {
    "learning_rate": 3e-4,
    "entropy_cost": 1e-2,
    "discounting": 0.97,
    "gae_lambda": 0.95,
    "clipping_epsilon": 0.2,
    "reward_scaling": 2.0,
    "batch_size": 16,
    "num_update_epochs": 2,
    "unroll_length": 5,
} | {
    f"{b}_{k}": v
    for b in MLPS
    for k, v in (("depth", 2), ("width", 8), ("spectral_norm", 0))
}
# Not bgpbt's own arithmetic: the numbers of minibatches that the ratios 1/32 ..
# 1/2 and the unroll lengths 5 .. 15 must meet, nearest in log.
REQUESTED = {
    (size, unroll): T * G / (size * unroll) for size in SIZES for unroll in UNROLLS
}
COUNTS = {
    pair: min(NUM_MINIBATCHES, key=lambda count: abs(np.log(count / requested)))
    for pair, requested in REQUESTED.items()
}


def hyperparams(**changes):
    """Of the dtypes that a decoded configuration has: one compilation serves all."""
    return {
        name: np.asarray(value, np.int32 if isinstance(value, int) else np.float32)
        for name, value in (H | changes).items()
    }


@pytest.fixture(scope="module")
def weights():
    @jax.jit
    def draw(key):
        params, opt_state = actor_critic.init(key, MLPS, H)
        # Not zero anywhere, so that every path carries a gradient.
        return jax.tree.map(lambda x: x + 0.1, params), opt_state

    return draw(jax.random.PRNGKey(0))


@pytest.fixture(scope="module")
def experience(weights):
    """A rollout in which episodes end in both ways.

    It is acted by a policy close to the one that learns.
    """

    @jax.jit
    def play(key, params):
        keys = jax.random.split(key, 6)
        obs = jax.random.normal(keys[0], (T + 1, G, O))
        raw_action = 0.5 * jax.random.normal(keys[1], (T, G, A))
        ending = jax.random.uniform(keys[2], (T, G))
        _, _, log_prob = plain_forward(params, obs[:-1], raw_action)
        return Experience(
            obs=obs[:-1],
            raw_action=raw_action,
            log_prob=log_prob + 0.3 * jax.random.normal(keys[3], (T, G)),
            reward=jax.random.normal(keys[4], (T, G)),
            terminated=(ending < 0.1).astype(jnp.float32),
            truncated=(ending > 0.9).astype(jnp.float32),
            last_obs=obs[-1],
        )

    return play(jax.random.PRNGKey(1), weights[0])


@partial(jax.jit, static_argnames="normalize", compiler_options=QUICKLY)
def traced(key, params, opt_state, experience, h, normalize=True):
    layers, _ = actor_critic.normalised_layers(params, opt_state, h)
    batch = estimate(NETWORKS, layers, lambda obs: obs, experience, h)
    return learner.learn(
        key,
        params,
        opt_state,
        batch,
        h,
        normalize_advantage=normalize,
        networks=NETWORKS,
        kind=NUMBERS,
        action_size=A,
    )[:2]


# The plain one


def dense(layers, x):
    for layer in layers[:-1]:
        x = x @ layer["kernel"] + layer["bias"]
        x = x / (1 + jnp.exp(-x))
    return x @ layers[-1]["kernel"] + layers[-1]["bias"]


def squashing(u):
    """ln(1 - tanh(u)^2) = -2 ln cosh(u)."""
    return -2 * (jnp.logaddexp(u, -u) - np.log(2))


def plain_forward(params, obs, raw_action):
    """Location, scale and log-probability of an action, with its squashing."""
    out = dense(params["policy"], obs)
    loc = out[..., :A]
    scale = jnp.log(1 + jnp.exp(out[..., A:])) + 0.001
    normal = (
        -((raw_action - loc) ** 2) / (2 * scale**2)
        - jnp.log(scale)
        - 0.5 * np.log(2 * np.pi)
    )
    return loc, scale, jnp.sum(normal - squashing(raw_action), axis=-1)


def plain_advantages(params, experience, h):
    """Every segment and environment by itself.

    An advantage is the sum of discounted errors from a step to the end of its trace.
    """
    e = Experience(*(np.asarray(x, np.float64) for x in experience))
    obs = np.concatenate([e.obs, e.last_obs[None]])
    values = np.asarray(dense(params["value"], obs.astype(np.float32)))[..., 0].astype(
        np.float64
    )
    rewards = e.reward * h["reward_scaling"]
    gamma = h["discounting"]
    lam = h["gae_lambda"]
    targets = values[:-1].copy()
    advantages = np.zeros((T, G))
    for start in range(0, T, h["unroll_length"]):
        end = min(start + h["unroll_length"], T)
        for g in range(G):
            for t in range(start, end):
                factor = 1.0
                for k in range(t, end):
                    if e.truncated[k, g]:
                        break
                    following = 0.0 if e.terminated[k, g] else values[k + 1, g]
                    targets[t, g] += factor * (
                        rewards[k, g] + gamma * following - values[k, g]
                    )
                    if e.terminated[k, g]:
                        break
                    factor *= gamma * lam
            for t in range(start, end):
                following = targets[t + 1, g] if t + 1 < end else values[t + 1, g]
                following = 0.0 if e.terminated[t, g] else following
                if not e.truncated[t, g]:
                    advantages[t, g] = rewards[t, g] + gamma * following - values[t, g]
    flat = lambda x: np.asarray(x, np.float32).reshape(T * G, *np.shape(x)[2:])  # noqa: E731
    return [
        flat(x)
        for x in (
            experience.obs,
            experience.raw_action,
            experience.log_prob,
            advantages,
            targets,
        )
    ]


@partial(jax.jit, compiler_options=QUICKLY)
def plain_gradient(params, piece, noise, epsilon, cost):
    obs, raw_action, log_prob_old, advantage, target = piece

    def loss(params):
        loc, scale, log_prob = plain_forward(params, obs, raw_action)
        ratio = jnp.exp(log_prob - log_prob_old)
        policy = -jnp.minimum(
            ratio * advantage, jnp.clip(ratio, 1 - epsilon, 1 + epsilon) * advantage
        )
        sampled = loc + scale * noise
        entropy = jnp.sum(
            0.5 * np.log(2 * np.pi * np.e) + jnp.log(scale) + squashing(sampled),
            axis=-1,
        )
        value = 0.25 * (dense(params["value"], obs)[:, 0] - target) ** 2
        return jnp.mean(policy + value - cost * entropy)

    return jax.grad(loss)(params)


def plain(key, params, experience, h, count, normalize=True):
    """The same keys, `count` minibatches, Adam by its formula."""
    data = plain_advantages(params, experience, h)
    structure = jax.tree.structure(params)
    weights = [np.asarray(x, np.float64) for x in jax.tree.leaves(params)]
    first = [0.0] * len(weights)
    second = [0.0] * len(weights)
    step = 0
    for epoch in range(h["num_update_epochs"]):
        key_order, key_noise = jax.random.split(jax.random.fold_in(key, epoch))
        order = np.asarray(jax.random.permutation(key_order, T * G))
        noise = np.asarray(jax.random.normal(key_noise, (T * G, A)))
        size = T * G // count
        for start in range(0, T * G, size):
            piece = [x[order[start : start + size]] for x in data]
            if normalize:
                advantage = piece[3].astype(np.float64)
                piece[3] = (
                    (advantage - advantage.mean()) / (advantage.std() + 1e-8)
                ).astype(np.float32)
            current = jax.tree.unflatten(
                structure, [w.astype(np.float32) for w in weights]
            )
            grads = plain_gradient(
                current,
                piece,
                noise[start : start + size],
                h["clipping_epsilon"],
                h["entropy_cost"],
            )
            step += 1
            for i, grad in enumerate(
                np.asarray(x, np.float64) for x in jax.tree.leaves(grads)
            ):
                first[i] = 0.9 * first[i] + 0.1 * grad
                second[i] = 0.999 * second[i] + 0.001 * grad**2
                scale = np.sqrt(second[i] / (1 - 0.999**step)) + 1e-8
                weights[i] = (
                    weights[i] - h["learning_rate"] * first[i] / (1 - 0.9**step) / scale
                )
    return weights


def difference(params, expected, start):
    """How far two updates lie apart, relative to the length of the update."""
    pairs = list(
        zip(jax.tree.leaves(params), expected, jax.tree.leaves(start), strict=True)
    )
    apart = np.sqrt(
        sum(np.sum((np.asarray(f, np.float64) - w) ** 2) for f, w, _ in pairs)
    )
    return apart / np.sqrt(
        sum(np.sum((w - np.asarray(s, np.float64)) ** 2) for _, w, s in pairs)
    )


# The tests


@pytest.fixture(scope="module")
def updates(weights, experience):
    """The update for every batch size and unroll length, from one compilation."""
    before = traced._cache_size()
    key = jax.random.PRNGKey(2)
    by_setting = {
        (size, unroll): traced(
            key,
            *weights,
            experience,
            hyperparams(batch_size=size, unroll_length=unroll),
        )
        for size in SIZES
        for unroll in UNROLLS
    }
    assert traced._cache_size() == before + 1
    return by_setting


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("unroll", UNROLLS)
def test_the_update_equals_the_plain_one(updates, weights, experience, size, unroll):
    h = H | {"batch_size": size, "unroll_length": unroll}
    expected = plain(
        jax.random.PRNGKey(2), weights[0], experience, h, COUNTS[size, unroll]
    )
    params, opt_state = updates[size, unroll]
    assert difference(params, expected, weights[0]) < 2e-4
    for actual, right in zip(jax.tree.leaves(params), expected, strict=True):
        np.testing.assert_allclose(actual, right, rtol=1e-5, atol=2e-6)
    steps = 2 * COUNTS[size, unroll]
    assert all(int(opt_state[b]["adam"].count) == steps for b in MLPS)


def test_all_updates_are_pairwise_different(updates):
    flat = {
        pair: np.concatenate([np.ravel(x) for x in jax.tree.leaves(params)])
        for pair, (params, _) in updates.items()
    }
    pairs = list(flat)
    for i, a in enumerate(pairs):
        for b in pairs[:i]:
            assert np.abs(flat[a] - flat[b]).max() > 1e-5, (a, b)


@pytest.mark.parametrize(
    "changes",
    [
        {"num_update_epochs": 1},
        {"num_update_epochs": 5},
        {"learning_rate": 1e-3},
        {"entropy_cost": 0.1},
        {"discounting": 0.9},
        {"gae_lambda": 1.0},
        {"clipping_epsilon": 0.1},
        {"reward_scaling": 0.05},
    ],
    ids=lambda c: "-".join(f"{k}_{v}" for k, v in c.items()),
)
def test_every_other_hyperparameter_means_the_same(weights, experience, changes):
    key = jax.random.PRNGKey(3)
    params, _ = traced(key, *weights, experience, hyperparams(**changes))
    expected = plain(key, weights[0], experience, H | changes, COUNTS[16, 5])
    assert difference(params, expected, weights[0]) < 2e-4
    default, _ = traced(key, *weights, experience, hyperparams())
    assert (
        difference(
            params, [np.asarray(x) for x in jax.tree.leaves(default)], weights[0]
        )
        > 1e-2
    )


@pytest.fixture(scope="module")
def together(weights, experience):
    """Members with all numbers of minibatches in one vmapped chunk.

    All but the one with most minibatches accumulate gradients.
    """
    pairs = [(1, 5), (1, 10), (1, 15), (2, 15), (4, 15), (8, 15), (16, 15), (16, 5)]
    epochs = [2, 3, 2, 1, 2, 4, 3, 2]
    h = {
        **{name: np.repeat(value, len(pairs)) for name, value in hyperparams().items()},
        "batch_size": np.array([size for size, _ in pairs], np.int32),
        "unroll_length": np.array([unroll for _, unroll in pairs], np.int32),
        "num_update_epochs": np.array(epochs, np.int32),
    }
    keys = jax.random.split(jax.random.PRNGKey(4), len(pairs))
    vmapped = jax.jit(
        jax.vmap(traced.__wrapped__, in_axes=(0, None, None, None, 0)),
        compiler_options=QUICKLY,
    )
    return pairs, h, keys, vmapped(keys, *weights, experience, h)


@pytest.mark.parametrize("index", range(8))
def test_accumulation_equals_the_switch(together, weights, experience, index):
    pairs, h, keys, (params, opt_state) = together
    alone, opt_state_alone = traced(
        keys[index], *weights, experience, {name: x[index] for name, x in h.items()}
    )
    actual = jax.tree.map(lambda x: x[index], params)
    assert (
        difference(
            actual,
            [np.asarray(x, np.float64) for x in jax.tree.leaves(alone)],
            weights[0],
        )
        < 1e-3
    )
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(alone), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    # Adam hides the size of a gradient; its moments do not.
    for a, b in zip(
        *(
            jax.tree.leaves({n: m[n]["adam"].mu for n in MLPS})
            for m in (opt_state, opt_state_alone)
        ),
        strict=True,
    ):
        np.testing.assert_allclose(a[index], b, rtol=1e-3, atol=1e-3 * np.abs(b).max())
    steps = int(h["num_update_epochs"][index]) * COUNTS[pairs[index]]
    assert int(opt_state["policy"]["adam"].count[index]) == steps
