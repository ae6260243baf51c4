"""The fit finds what a long one finds, and what data were drawn from."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from bgpbt.gp import fit
from bgpbt.gp.kernels import Params, Point
from bgpbt.gp.posterior import Data, covariance

CAPACITY = 40


@pytest.fixture(scope="module", autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def drawn(
    seed: int, count: int, params: Params, capacity: int | None = None, rounds: int = 1
) -> Data:
    """Observations drawn from the process itself, noise included.

    Time runs over `rounds`.
    """
    rng = np.random.default_rng(seed)
    numeric, categories = len(params.lengthscale), len(params.category_weights)
    capacity = capacity or count
    x, h = (
        rng.uniform(size=(capacity, numeric)),
        rng.integers(0, 3, (capacity, categories)),
    )
    at = Point(
        jnp.asarray(x),
        jnp.asarray(h),
        jnp.asarray(np.arange(capacity) * rounds // max(count, 1), float),
    )
    valid = jnp.arange(capacity) < count
    lower = np.linalg.cholesky(
        np.asarray(covariance(params, Data(at, jnp.zeros(capacity), valid)))
    )
    return Data(
        at,
        jnp.where(valid, float(params.mean) + lower @ rng.normal(size=capacity), 0),
        valid,
    )


def natural(
    lengthscale, *, categories: int = 0, noise: float = 0.02, eps: float = 0.1
) -> Params:
    one = jnp.ones(())
    return Params(
        0 * one,
        one,
        noise * one,
        jnp.asarray(lengthscale),
        jnp.ones(categories),
        0.5 * one,
        eps * one,
    )


@pytest.mark.long
def test_lengthscales_move_together_in_the_prior_and_in_its_draws():
    """Their covariance is OWN_STD^2 I + SHARED_STD^2 11'; the context stands alone.

    Without rows the posterior is the prior.
    """
    nothing, ours = drawn(0, 0, natural([1.0, 1.0, 1.0]), 2), np.array([1, 1, 0])
    covariance = fit.OWN_STD**2 * np.eye(3) + fit.SHARED_STD**2 * np.outer(ours, ours)
    normal = stats.multivariate_normal(
        np.asarray(warm(nothing).lengthscale), covariance
    )
    for seed in range(3):
        lengthscale = np.random.default_rng(seed).normal(0, 2, 3)
        less = fit.log_posterior(
            warm(nothing)._replace(lengthscale=jnp.asarray(lengthscale)), nothing
        )
        expected = normal.logpdf(lengthscale) - normal.logpdf(normal.mean)
        np.testing.assert_allclose(
            less - fit.log_posterior(warm(nothing), nothing), expected, rtol=1e-9
        )
    draws = fit.starts(jax.random.PRNGKey(0), warm(nothing), 20_003).lengthscale[3:]
    np.testing.assert_allclose(np.cov(draws.T), covariance, rtol=0.05, atol=0.02)
    np.testing.assert_allclose(draws.mean(axis=0), normal.mean, atol=0.05)


@pytest.fixture(scope="module")
def quick():
    return jax.jit(lambda key, d: fit.fit(key, warm(d), d))


def warm(data: Data) -> Params:
    return fit.prior(data.points.numeric.shape[1], data.points.categories.shape[1])[0]


@pytest.mark.long
def test_within_a_tenth_of_a_nat_of_a_long_fit(quick):
    """20 data sets of 10 to 40 rows against fits of 50 starts of 500 iterations.

    They have categories, time and irrelevant dimensions.
    """
    long = jax.jit(lambda key, d: fit.fit(key, warm(d), d, number=50, iterations=500))
    behind = []
    for seed in range(20):
        lengthscale = np.exp(np.random.default_rng(seed).normal(-0.5, 1, 4))
        data = drawn(
            seed,
            10 + 30 * seed // 19,
            natural(lengthscale, categories=1),
            CAPACITY,
            rounds=10,
        )
        keys = jax.random.split(jax.random.PRNGKey(seed))
        (_, value, succeeded), (_, best, _) = quick(keys[0], data), long(keys[1], data)
        assert succeeded
        behind.append(float(best - value))
    assert max(behind) < 0.1, behind


@pytest.fixture(scope="module")
def fitted():
    """What a fit finds in 150 observations of three dimensions, in natural units."""
    return jax.jit(lambda key, d: fit.natural(fit.fit(key, warm(d), d)[0]))


@pytest.mark.long
def test_relevant_and_irrelevant_dimensions(fitted):
    true, found = np.array([0.3, 0.5, 1e6]), []
    for seed in range(10):
        found.append(
            fitted(
                jax.random.PRNGKey(seed),
                drawn(seed, 150, natural(true, noise=0.05, eps=0.0)),
            ).lengthscale
        )
    found = np.array(found)
    factor = np.exp(np.abs(np.log(found[:, :2] / true[:2])))
    assert np.median(factor, axis=0).max() < 2
    assert (found[:, 2] >= 3 * found[:, :2].max(axis=1)).all(), found


@pytest.mark.long
@pytest.mark.parametrize("eps", [0.05, 0.3])
def test_forgetting_is_recovered_where_time_matters(fitted, eps):
    data = [
        drawn(seed, 150, natural([0.5, 0.8, 1e6], eps=eps), rounds=20)
        for seed in range(10)
    ]
    found = [fitted(jax.random.PRNGKey(seed), d).eps for seed, d in enumerate(data)]
    assert np.median(np.abs(np.array(found) - eps)) < 0.1, found


@pytest.mark.long
def test_a_warm_start_is_never_lost(quick):
    """Where the fit cannot improve, the answer is at least as probable as the start."""
    data = drawn(3, 30, natural([0.3, 0.5, 1.0, 2.0], categories=1), CAPACITY)
    raw, value, _ = quick(jax.random.PRNGKey(0), data)
    again, better, _ = jax.jit(
        lambda key, w, d: fit.fit(key, w, d, number=1, iterations=3)
    )(jax.random.PRNGKey(1), raw, data)
    assert better >= value - 1e-9
    np.testing.assert_allclose(fit.log_posterior(again, data), better)


@pytest.mark.parametrize("case", ["constant", "two equal rows", "one row", "no rows"])
def test_degenerate_data_do_no_harm(quick, case):
    data = drawn(0, 12, natural([0.3, 0.5, 1.0, 2.0], categories=1), CAPACITY)
    number = {"constant": 12, "two equal rows": 2, "one row": 1, "no rows": 0}[case]
    same = (
        jax.tree.map(lambda x: jnp.broadcast_to(x[:1], x.shape), data.points)
        if case == "two equal rows"
        else data.points
    )
    data = Data(same, jnp.zeros(CAPACITY), jnp.arange(CAPACITY) < number)
    raw, value, succeeded = quick(jax.random.PRNGKey(0), data)
    assert (
        succeeded
        and np.isfinite(value)
        and all(np.isfinite(x).all() for x in jax.tree.leaves(raw))
    )


def test_a_fit_that_fails_keeps_the_last_parameters(quick):
    data = drawn(0, 12, natural([0.3, 0.5, 1.0, 2.0], categories=1), CAPACITY)
    raw, _, succeeded = quick(
        jax.random.PRNGKey(0), data._replace(y=data.y.at[2].set(jnp.nan))
    )
    assert not succeeded
    for x, y in zip(jax.tree.leaves(raw), jax.tree.leaves(warm(data)), strict=True):
        np.testing.assert_array_equal(x, y)
