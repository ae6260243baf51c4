"""Exact inference beside NumPy; padding; rows that repeat; no rows at all."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_kernels import dense, params, points

from bgpbt.gp.kernels import Point
from bgpbt.gp.posterior import (
    JITTER,
    Data,
    condition,
    log_marginal_likelihood,
    predict,
    sufficient_jitter,
)


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


@jax.jit
def inference(p, d: Data, new: Point):
    """ln p(y), its gradient, and means and variances at new points."""
    value, gradient = jax.value_and_grad(log_marginal_likelihood)(p, d)
    known = condition(p, d)
    return value, gradient, *jax.vmap(lambda point: predict(known, point))(new)


def data(rng, count: int, numeric: int = 3, categories: int = 2) -> Data:
    return Data(
        points(rng, count, numeric, categories),
        jnp.asarray(rng.normal(size=count)),
        jnp.ones(count, bool),
    )


def padded(d: Data, count: int) -> Data:
    """The same rows among others that do not count and are full of nonsense."""
    rng = np.random.default_rng(9)
    n = len(d.y)
    places = np.sort(rng.choice(count, n, replace=False))

    def spread(x):
        out = np.full((count, *x.shape[1:]), 7 if x.dtype.kind == "i" else 1e3).astype(
            x.dtype
        )
        out[places] = x
        return jnp.asarray(out)

    valid = np.zeros(count, bool)
    valid[places] = True
    return Data(
        jax.tree.map(lambda x: spread(np.asarray(x)), d.points),
        spread(np.asarray(d.y)),
        jnp.asarray(valid),
    )


def test_mean_variance_and_likelihood_against_numpy():
    rng = np.random.default_rng(0)
    p, d, new = params(rng, 3, 2), data(rng, 25), points(rng, 6, 3, 2)
    k = dense(p, d.points, d.points) + (
        float(p.noise) + JITTER * float(p.outputscale)
    ) * np.eye(25)
    across, residual = dense(p, new, d.points), np.asarray(d.y) - float(p.mean)
    mean = float(p.mean) + across @ np.linalg.solve(k, residual)
    variance = float(p.outputscale) - (across * np.linalg.solve(k, across.T).T).sum(1)
    likelihood = (
        -0.5 * residual @ np.linalg.solve(k, residual)
        - 0.5 * np.linalg.slogdet(2 * np.pi * k)[1]
    )
    value, _, means, variances = inference(p, d, new)
    np.testing.assert_allclose(means, mean, rtol=1e-9)
    np.testing.assert_allclose(variances, variance, rtol=1e-8)
    np.testing.assert_allclose(value, likelihood, rtol=1e-10)


@pytest.mark.parametrize("count", [0, 1, 12])
def test_padding_changes_nothing(count):
    rng = np.random.default_rng(1)
    p, d, new = params(rng, 3, 2), data(rng, count), points(rng, 1, 3, 2)
    (value, gradient, *moments), (plain, plain_gradient, *plain_moments) = (
        inference(p, x, new) for x in (padded(d, 20), d)
    )
    np.testing.assert_allclose(value, plain, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(moments, plain_moments, rtol=1e-10)
    for a, b in zip(gradient, plain_gradient, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-9)


def test_without_data_the_prior_speaks():
    rng = np.random.default_rng(2)
    p, new = params(rng, 3, 2), points(rng, 1, 3, 2)
    _, _, mean, variance = inference(p, padded(data(rng, 0), 20), new)
    np.testing.assert_allclose([mean[0], variance[0]], [p.mean, p.outputscale])


def test_the_jitter_grows_until_the_factor_exists():
    broken = jnp.array(
        [[1.0, 1.0 + 1e-5], [1.0 + 1e-5, 1.0]]
    )  # smallest eigenvalue -1e-5
    assert sufficient_jitter(jnp.eye(2), jnp.ones(())) == JITTER
    found = float(sufficient_jitter(broken, jnp.ones(())))
    assert 1e-5 < found < 1.1e-3
    assert np.isfinite(jnp.linalg.cholesky(broken + found * jnp.eye(2))).all()


def test_equal_rows_without_noise_do_no_harm():
    rng = np.random.default_rng(3)
    p, d = params(rng, 3, 2)._replace(noise=jnp.asarray(0.0)), data(rng, 4)
    twice = jax.tree.map(lambda x: jnp.concatenate([x, x]), d)
    assert all(
        np.isfinite(x).all() for x in jax.tree.leaves(inference(p, twice, d.points))
    )
