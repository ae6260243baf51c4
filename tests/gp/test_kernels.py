"""Kernels beside formulas that are written otherwise.

Scikit-learn's Matérn, and one dense NumPy sum of everything.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bgpbt.gp.kernels import (
    Params,
    Point,
    category_kernel,
    forgetting,
    kernel,
    matern52,
)


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def params(rng, numeric: int, categories: int) -> Params:
    draw = lambda *shape: jnp.asarray(np.exp(rng.normal(0, 0.7, shape)))  # noqa: E731
    unit = lambda: jnp.asarray(rng.uniform(0.05, 0.95))  # noqa: E731
    return Params(
        jnp.asarray(rng.normal()),
        draw(),
        draw(),
        draw(numeric),
        draw(categories),
        unit(),
        unit(),
    )


def points(rng, count: int, numeric: int, categories: int) -> Point:
    x, h, t = (
        rng.uniform(size=(count, numeric)),
        rng.integers(0, 3, (count, categories)),
        rng.integers(0, 9, count),
    )
    return Point(jnp.asarray(x), jnp.asarray(h), jnp.asarray(t, float))


def gram(p: Params, a: Point, b: Point) -> np.ndarray:
    return np.asarray(
        jax.vmap(jax.vmap(kernel, (None, None, 0)), (None, 0, None))(p, a, b)
    )


def dense(p: Params, a: Point, b: Point) -> np.ndarray:
    """The whole kernel with nothing but NumPy and broadcasting."""
    p, a, b = (jax.tree.map(np.asarray, tree) for tree in (p, a, b))
    d = np.sqrt((((a.numeric[:, None] - b.numeric[None]) / p.lengthscale) ** 2).sum(-1))
    numeric = (1 + np.sqrt(5) * d + 5 * d**2 / 3) * np.exp(-np.sqrt(5) * d)
    categorical = np.exp(
        -((a.categories[:, None] != b.categories[None]) * p.category_weights).sum(-1)
    )
    if a.categories.shape[1] == 0:
        both = numeric
    elif a.numeric.shape[1] == 0:
        both = categorical
    else:
        both = (
            (1 - p.mixture_weight) / 2 * numeric
            + (1 - p.mixture_weight) / 2 * categorical
            + p.mixture_weight * numeric * categorical
        )
    return (
        p.outputscale
        * both
        * np.sqrt(1 - p.eps) ** np.abs(a.time[:, None] - b.time[None])
    )


def test_matern_against_scikit_learn():
    kernels = pytest.importorskip("sklearn.gaussian_process.kernels")
    rng = np.random.default_rng(0)
    x, lengthscale = rng.uniform(size=(30, 5)), np.exp(rng.normal(size=5))
    right = kernels.Matern(length_scale=lengthscale, nu=2.5)(x)
    found = jax.vmap(jax.vmap(matern52, (None, 0, None)), (0, None, None))(
        jnp.asarray(x), jnp.asarray(x), jnp.asarray(lengthscale)
    )
    np.testing.assert_allclose(found, right, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("numeric", "categories"), [(4, 0), (4, 3), (0, 3)])
def test_the_whole_kernel_against_numpy(numeric, categories):
    rng = np.random.default_rng(1)
    p, a, b = (
        params(rng, numeric, categories),
        points(rng, 20, numeric, categories),
        points(rng, 15, numeric, categories),
    )
    np.testing.assert_allclose(gram(p, a, b), dense(p, a, b), rtol=1e-12, atol=1e-14)


def test_a_point_with_itself_has_the_outputscale():
    rng = np.random.default_rng(2)
    p, a = params(rng, 3, 2), points(rng, 6, 3, 2)
    np.testing.assert_allclose(np.diag(gram(p, a, a)), p.outputscale, rtol=1e-12)


def test_categories_have_no_order():
    """Renaming categories changes nothing, nor does their order with their weights."""
    rng = np.random.default_rng(3)
    p, a = params(rng, 2, 3), points(rng, 12, 2, 3)
    renamed = a._replace(categories=jnp.asarray(rng.permutation(3))[a.categories])
    np.testing.assert_array_equal(gram(p, a, a), gram(p, renamed, renamed))
    order = np.array([2, 0, 1])
    moved, weights = (
        a._replace(categories=a.categories[:, order]),
        p._replace(category_weights=p.category_weights[order]),
    )
    np.testing.assert_allclose(gram(p, a, a), gram(weights, moved, moved), rtol=1e-13)
    assert not np.allclose(gram(p, a, a), gram(p, moved, moved))


def test_what_is_long_ago_counts_less():
    assert forgetting(jnp.asarray(3.0), jnp.asarray(3.0), jnp.asarray(0.3)) == 1
    np.testing.assert_allclose(
        forgetting(jnp.asarray(7.0), jnp.asarray(3.0), jnp.asarray(0.3)), 0.7**2
    )
    assert category_kernel(
        jnp.array([0, 1]), jnp.array([0, 2]), jnp.array([5.0, 0.5])
    ) == jnp.exp(-0.5)


def test_the_gradient_is_finite_at_equal_points():
    value, slope = jax.value_and_grad(matern52)(jnp.ones(3), jnp.ones(3), jnp.ones(3))
    assert value == 1 and np.array_equal(slope, np.zeros(3))
    second = jax.hessian(matern52)(jnp.ones(3), jnp.ones(3), jnp.ones(3))
    np.testing.assert_allclose(second, -5 / 3 * np.eye(3), atol=1e-12)


@pytest.mark.parametrize("corner", itertools.product([0, 1], repeat=4))
def test_positive_definite_at_the_corners(corner):
    short, weak, mixed, forgets = corner
    rng = np.random.default_rng(4)
    a = points(rng, 40, 3, 2)
    p = Params(
        jnp.zeros(()),
        jnp.ones(()),
        jnp.asarray(1e-6),
        jnp.full(3, 1e-2 if short else 30.0),
        jnp.full(2, 1e-2 if weak else 30.0),
        jnp.asarray(0.999 if mixed else 1e-3),
        jnp.asarray(0.999 if forgets else 1e-3),
    )
    assert np.linalg.eigvalsh(gram(p, a, a)).min() > -1e-9
