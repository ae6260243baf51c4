"""Exact inference beside NumPy; padding; rows that repeat; no rows at all."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_kernels import dense, params, points

from bgpbt.gp.kernels import Point
from bgpbt.gp.posterior import JITTER, Data, condition, log_marginal_likelihood, predict, sufficient_jitter


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def at(p: Point, i: int) -> Point:
    return jax.tree.map(lambda x: x[i], p)


def data(rng, count: int, numeric: int = 3, categories: int = 2) -> Data:
    return Data(points(rng, count, numeric, categories), jnp.asarray(rng.normal(size=count)), jnp.ones(count, bool))


def padded(d: Data, count: int) -> Data:
    """The same rows among others that do not count and are full of nonsense."""
    rng = np.random.default_rng(9)
    n = len(d.y)
    places = np.sort(rng.choice(count, n, replace=False))

    def spread(x):
        out = np.full((count, *x.shape[1:]), 7 if x.dtype.kind == "i" else 1e3).astype(x.dtype)
        out[places] = x
        return jnp.asarray(out)

    valid = np.zeros(count, bool)
    valid[places] = True
    return Data(jax.tree.map(lambda x: spread(np.asarray(x)), d.points), spread(np.asarray(d.y)), jnp.asarray(valid))


def test_mean_variance_and_likelihood_against_numpy():
    rng = np.random.default_rng(0)
    p, d, new = params(rng, 3, 2), data(rng, 25), points(rng, 6, 3, 2)
    k = dense(p, d.points, d.points) + (float(p.noise) + JITTER * float(p.outputscale)) * np.eye(25)
    across, residual = dense(p, new, d.points), np.asarray(d.y) - float(p.mean)
    mean = float(p.mean) + across @ np.linalg.solve(k, residual)
    variance = float(p.outputscale) - (across * np.linalg.solve(k, across.T).T).sum(1)
    likelihood = -0.5 * residual @ np.linalg.solve(k, residual) - 0.5 * np.linalg.slogdet(2 * np.pi * k)[1]
    posterior = condition(p, d)
    found = [predict(posterior, at(new, i)) for i in range(6)]
    np.testing.assert_allclose([m for m, _ in found], mean, rtol=1e-9)
    np.testing.assert_allclose([v for _, v in found], variance, rtol=1e-8)
    np.testing.assert_allclose(log_marginal_likelihood(p, d), likelihood, rtol=1e-10)


@pytest.mark.parametrize("count", [0, 1, 12])
def test_padding_changes_nothing(count):
    rng = np.random.default_rng(1)
    p, d, new = params(rng, 3, 2), data(rng, count), at(points(rng, 1, 3, 2), 0)
    wide = padded(d, 20)
    np.testing.assert_allclose(log_marginal_likelihood(p, wide), log_marginal_likelihood(p, d), rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(predict(condition(p, wide), new), predict(condition(p, d), new), rtol=1e-10)
    gradients = [jax.tree.leaves(jax.grad(log_marginal_likelihood)(p, each)) for each in (wide, d)]
    for a, b in zip(*gradients, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-9)


def test_without_data_the_prior_speaks():
    rng = np.random.default_rng(2)
    p, new = params(rng, 3, 2), at(points(rng, 1, 3, 2), 0)
    mean, variance = predict(condition(p, padded(data(rng, 0), 5)), new)
    np.testing.assert_allclose([mean, variance], [p.mean, p.outputscale])


def test_the_jitter_grows_until_the_factor_exists():
    broken = jnp.array([[1.0, 1.0 + 1e-5], [1.0 + 1e-5, 1.0]])  # smallest eigenvalue -1e-5
    assert sufficient_jitter(jnp.eye(2), jnp.ones(())) == JITTER
    found = float(sufficient_jitter(broken, jnp.ones(())))
    assert 1e-5 < found < 1.1e-3
    assert np.isfinite(jnp.linalg.cholesky(broken + found * jnp.eye(2))).all()


def test_equal_rows_without_noise_do_no_harm():
    rng = np.random.default_rng(3)
    p, d = params(rng, 3, 2)._replace(noise=jnp.asarray(0.0)), data(rng, 4)
    twice = jax.tree.map(lambda x: jnp.concatenate([x, x]), d)
    value, gradient = jax.value_and_grad(log_marginal_likelihood)(p, twice)
    assert np.isfinite(value) and all(np.isfinite(g).all() for g in jax.tree.leaves(gradient))
    assert np.isfinite(predict(condition(p, twice), at(d.points, 0))).all()
