"""Our losses against Brax's own functions.

On random trajectories with terminations and truncations.
"""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bgpbt.networks import mlp
from bgpbt.networks.mlp import Arch
from bgpbt.tasks.ppo import losses, tanh_normal

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from brax.training import types
    from brax.training.agents.ppo import losses as brax_losses
    from brax.training.agents.ppo import networks as brax_networks
    from brax.training.distribution import NormalTanhDistribution

OBS = 4
ACT = 3
HYPERPARAMS = {
    "entropy_cost": 0.03,
    "discounting": 0.96,
    "reward_scaling": 0.7,
    "gae_lambda": 0.9,
    "clipping_epsilon": 0.2,
}
ARCH = Arch(2, 16, 0)
gae = jax.jit(losses.gae)


def trajectory(seed: int, length: int = 15, envs: int = 8) -> dict:
    """A random rollout. Shapes `[T, G]`.

    About a fifth of the steps terminates, another fifth is truncated.
    """
    rng = np.random.default_rng(seed)
    kind = rng.choice(3, p=[0.6, 0.2, 0.2], size=(length, envs))
    return {
        "rewards": jnp.asarray(rng.normal(size=(length, envs)), jnp.float32),
        "values": jnp.asarray(rng.normal(size=(length, envs)), jnp.float32),
        "bootstrap_value": jnp.asarray(rng.normal(size=envs), jnp.float32),
        "terminated": jnp.asarray(kind == 1, jnp.float32),
        "truncated": jnp.asarray(kind == 2, jnp.float32),
    }


@jax.jit
def brax_gae(path: dict, discounting: float, gae_lambda: float):
    return brax_losses.compute_gae(
        truncation=path["truncated"],
        termination=path["terminated"],
        rewards=path["rewards"],
        values=path["values"],
        bootstrap_value=path["bootstrap_value"],
        lambda_=gae_lambda,
        discount=discounting,
    )


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("discounting", "gae_lambda"), [(0.97, 0.95), (0.9, 1.0), (0.9999, 0.0)]
)
def test_gae_is_that_of_brax(seed, discounting, gae_lambda):
    path = trajectory(seed)
    ours = gae(
        **path,
        segment_end=jnp.zeros(15),
        discounting=discounting,
        gae_lambda=gae_lambda,
    )
    for actual, expected in zip(
        ours, brax_gae(path, discounting, gae_lambda), strict=True
    ):
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("unroll", [5, 7, 11, 15])
def test_gae_of_segments_is_that_of_separate_rollouts(unroll):
    """With 7 and 11, the last segment is shorter."""
    path = trajectory(unroll)
    end = (jnp.arange(1, 16) % unroll == 0).astype(jnp.float32)
    targets, advantages = gae(
        **path, segment_end=end, discounting=0.97, gae_lambda=0.95
    )
    after = jnp.concatenate([path["values"], path["bootstrap_value"][None]])
    for first in range(0, 15, unroll):
        last = min(first + unroll, 15)
        piece = {
            name: x[first:last] for name, x in path.items() if name != "bootstrap_value"
        }
        expected = brax_gae(piece | {"bootstrap_value": after[last]}, 0.97, 0.95)
        np.testing.assert_allclose(
            targets[first:last], expected[0], rtol=1e-5, atol=1e-5
        )
        np.testing.assert_allclose(
            advantages[first:last], expected[1], rtol=1e-5, atol=1e-5
        )


def test_gae_by_hand():
    """Two steps, no ending.

    The first advantage looks through the second value, as Brax's does.
    """
    column = lambda *x: jnp.asarray(x, jnp.float32)[:, None]  # noqa: E731
    targets, advantages = gae(
        column(1, 2),
        column(3, 4),
        jnp.array([5.0]),
        column(0, 0),
        column(0, 0),
        jnp.zeros(2),
        discounting=0.5,
        gae_lambda=0.5,
    )
    # deltas: 1 + 2 - 3 = 0 and 2 + 2.5 - 4 = 0.5
    # traces: 0 + 0.25 * 0.5 = 0.125 and 0.5
    np.testing.assert_allclose(targets[:, 0], [3.125, 4.5])
    np.testing.assert_allclose(advantages[:, 0], [1 + 0.5 * 4.5 - 3, 0.5])


def test_a_truncated_step_teaches_nothing_and_an_end_cuts_the_future():
    path = trajectory(9)
    targets, advantages = gae(
        **path, segment_end=jnp.zeros(15), discounting=0.97, gae_lambda=0.95
    )
    truncated = path["truncated"] == 1
    terminated = path["terminated"] == 1
    assert truncated.any() and terminated.any()
    np.testing.assert_array_equal(advantages[truncated], 0)
    np.testing.assert_array_equal(targets[truncated], path["values"][truncated])
    np.testing.assert_allclose(
        targets[terminated], path["rewards"][terminated], rtol=1e-5, atol=1e-6
    )


def test_gae_has_no_gradient():
    path = trajectory(0)

    def total(values):
        out = gae(
            **path | {"values": values},
            segment_end=jnp.zeros(15),
            discounting=0.9,
            gae_lambda=0.9,
        )
        return sum(x.sum() for x in out)

    np.testing.assert_array_equal(jax.grad(total)(path["values"]), 0)


# The full loss


def layers_from(params) -> list:
    """Our layers with the weights of a Brax network."""
    return [dict(layer) for layer in params["params"].values()]


def our_loss(
    params,
    transition,
    noise,
    *,
    entropy_cost,
    discounting,
    reward_scaling,
    gae_lambda,
    clipping_epsilon,
):
    """Our loss of one minibatch that holds a full rollout.

    Inputs are `[B, T]`, flattened as `[T, B]`.
    """
    flip = lambda x: jnp.swapaxes(x, 0, 1)  # noqa: E731
    obs, extras = flip(transition.observation), transition.extras
    truncated = flip(extras["state_extras"]["truncation"])
    values_of = lambda x: mlp.apply(layers_from(params.value), x, ARCH)[..., 0]  # noqa: E731
    values = values_of(obs)
    bootstrap = values_of(flip(transition.next_observation)[-1])
    targets, advantages = losses.gae(
        flip(transition.reward) * reward_scaling,
        values,
        bootstrap,
        (1 - flip(transition.discount)) * (1 - truncated),
        truncated,
        jnp.zeros(len(values)),
        discounting=discounting,
        gae_lambda=gae_lambda,
    )
    flat = lambda x: x.reshape(-1, *x.shape[2:])  # noqa: E731
    advantages, targets = flat(advantages), flat(targets)
    advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    dist = tanh_normal.tanh_normal(
        mlp.apply(layers_from(params.policy), flat(obs), ARCH)
    )
    log_prob = dist.log_prob(flat(flip(extras["policy_extras"]["raw_action"])))
    total = (
        losses.ppo_policy_loss(
            log_prob,
            flat(flip(extras["policy_extras"]["log_prob"])),
            advantages,
            clipping_epsilon,
        )
        + losses.value_loss(flat(values), targets)
        - entropy_cost * dist.entropy(flat(noise))
    )
    return jnp.mean(total)


@pytest.fixture(scope="module")
def brax_ppo():
    """Brax's networks, and its loss and ours.

    Both losses are compiled functions of weights, transitions and noise.
    """
    network = brax_networks.make_ppo_networks(
        OBS, ACT, policy_hidden_layer_sizes=(16, 16), value_hidden_layer_sizes=(16, 16)
    )

    def theirs(params, transition, key):
        return brax_losses.compute_ppo_loss(
            params, None, transition, key, network, **HYPERPARAMS
        )[0]

    def ours(params, transition, key):
        batch, length = transition.reward.shape
        noise = jax.random.normal(
            key, (length, batch, ACT)
        )  # as the sample in Brax's entropy draws it
        return our_loss(params, transition, noise, **HYPERPARAMS)

    return (
        network,
        jax.jit(jax.value_and_grad(theirs)),
        jax.jit(jax.value_and_grad(ours)),
    )


@pytest.mark.parametrize("seed", range(3))
def test_ppo_loss_and_its_gradient_are_those_of_brax(brax_ppo, seed):
    network, theirs, ours = brax_ppo
    rng = np.random.default_rng(seed)
    batch = 6
    length = 15
    normal = lambda *shape: jnp.asarray(rng.normal(size=shape), jnp.float32)  # noqa: E731
    kind = rng.choice(3, p=[0.6, 0.2, 0.2], size=(batch, length))
    keys = jax.random.split(jax.random.PRNGKey(seed), 3)
    params = brax_losses.PPONetworkParams(
        network.policy_network.init(keys[0]), network.value_network.init(keys[1])
    )
    obs, raw_action = normal(batch, length, OBS), normal(batch, length, ACT)
    logits = network.policy_network.apply(None, params.policy, obs)
    behaviour = logits + 0.3 * normal(
        *logits.shape
    )  # an older policy, so that some ratios are clipped
    dist = network.parametric_action_distribution
    transition = types.Transition(
        observation=obs,
        action=jnp.tanh(raw_action),
        reward=normal(batch, length),
        discount=jnp.asarray(kind == 0, jnp.float32),
        next_observation=normal(batch, length, OBS),
        extras={
            "state_extras": {"truncation": jnp.asarray(kind == 2, jnp.float32)},
            "policy_extras": {
                "raw_action": raw_action,
                "log_prob": dist.log_prob(behaviour, raw_action),
                "distribution_params": behaviour,
            },
        },
    )
    expected, expected_grad = theirs(params, transition, keys[2])
    actual, actual_grad = ours(params, transition, keys[2])
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5),
        actual_grad,
        expected_grad,
    )


# The distribution


def logits(seed: int, *shape: int):
    return jnp.asarray(
        np.random.default_rng(seed).normal(size=(*shape, 2 * ACT)), jnp.float32
    )


def test_log_prob_and_entropy_are_those_of_brax():
    brax_dist = NormalTanhDistribution(ACT)
    x = logits(0, 50)
    key = jax.random.PRNGKey(0)
    raw_action = 2 * logits(1, 50)[:, :ACT]
    dist = tanh_normal.tanh_normal(x)
    np.testing.assert_allclose(
        dist.log_prob(raw_action),
        brax_dist.log_prob(x, raw_action),
        rtol=1e-5,
        atol=1e-5,
    )
    noise = jax.random.normal(key, (50, ACT))
    np.testing.assert_allclose(
        dist.entropy(noise),
        brax_dist.entropy(x, key),
        rtol=1e-5,
        atol=1e-5,
    )


def test_log_prob_is_a_density_of_the_squashed_action():
    """It integrates to 1 over (-1, 1).

    It is finite far out, where tanh is 1 in float32.
    """
    dist = tanh_normal.tanh_normal(jnp.array([0.3, 0.2]))
    action = jnp.linspace(-1, 1, 20_001)[1:-1]
    density = jnp.exp(dist.log_prob(jnp.arctanh(action)[:, None]))
    assert float(density.sum() * 1e-4) == pytest.approx(1.0, abs=1e-3)
    assert np.isfinite(dist.log_prob(jnp.array([[20.0], [-20.0]]))).all()


def test_entropy_is_minus_the_mean_log_prob():
    dist = tanh_normal.tanh_normal(logits(2))
    noise = jax.random.normal(jax.random.PRNGKey(1), (200_000, ACT))
    expected = -jnp.mean(dist.log_prob(dist.sample(noise)))
    np.testing.assert_allclose(jnp.mean(dist.entropy(noise)), expected, atol=0.01)


def test_entropy_pulls_the_location_towards_zero_and_the_scale_up():
    """Squashing takes entropy from actions near the ends.

    A policy that saturates is pulled back.
    """

    def mean_entropy(x):
        return jnp.mean(
            tanh_normal.tanh_normal(x).entropy(
                jax.random.normal(jax.random.PRNGKey(0), (2000, 1))
            )
        )

    location, raw_scale = jax.grad(mean_entropy)(jnp.array([1.5, -1.0]))
    assert location < -0.1 and raw_scale > 0.1


def test_kl_is_the_mean_over_actions_of_that_before_tanh():
    p, q = tanh_normal.tanh_normal(logits(3)), tanh_normal.tanh_normal(logits(4))
    raw_action = p.loc + p.scale * jax.random.normal(
        jax.random.PRNGKey(2), (400_000, ACT)
    )
    monte_carlo = jnp.mean(p.log_prob(raw_action) - q.log_prob(raw_action)) / ACT
    np.testing.assert_allclose(p.kl(q), monte_carlo, rtol=0.02)
    create = NormalTanhDistribution(ACT).create_dist
    theirs = create(logits(4)).kl_divergence(create(logits(3))) / ACT
    np.testing.assert_allclose(
        p.kl(q), theirs, atol=1e-4
    )  # Brax adds 1e-5 in a logarithm
    np.testing.assert_allclose(p.kl(p), 0, atol=1e-6)


def test_the_clip_stops_the_gradient_only_where_it_helps():
    ratio = jnp.log(jnp.array([1.5, 1.5, 0.5, 0.5, 1.1]))
    advantage = jnp.array([1.0, -1.0, 1.0, -1.0, 1.0])
    slope = jax.grad(
        lambda x: losses.ppo_policy_loss(x, jnp.zeros(5), advantage, 0.2).sum()
    )(ratio)
    np.testing.assert_allclose(slope, [0, 1.5, -0.5, 0, -1.1], rtol=1e-6)


def test_value_loss_is_a_quarter_of_the_square():
    np.testing.assert_allclose(
        losses.value_loss(jnp.array([1.0, 3.0]), jnp.array([3.0, 3.0])), [1.0, 0.0]
    )
