"""The mixed kernel, worked by hand, and what its fit finds in made-up data."""

import jax
import numpy as np

from bgpbt.gp import pb2_process
from bgpbt.gp.kernels import Point
from bgpbt.gp.pb2_kernels import MixedParams, PB2Params
from bgpbt.gp.posterior import Data
from bgpbt.gp.precision import float64

PARAMS = MixedParams(*np.array([1.0, 1, 0.1, 1, 0.2, 0.5, 0.01]))


def point(z, categories, t) -> Point:
    return Point(np.array(z, float), np.array(categories, np.int32), np.float64(t))


def test_the_mixed_kernel():
    """|dz|^2 0.25, one round, one of two categories equal: k1 0.738835, k2 0.447214."""
    p, q = point([0, 0.5], [1, 2], 3), point([0.5, 0.5], [1, 0], 4)
    np.testing.assert_allclose(PARAMS.kernel(p, q), 0.461721, atol=1e-6)
    numbers = PARAMS._replace(mixture_weight=0.0)
    np.testing.assert_allclose(numbers.kernel(p, q), 0.593025, atol=1e-6)
    product = PARAMS._replace(mixture_weight=1.0)
    np.testing.assert_allclose(product.kernel(p, q), 0.330417, atol=1e-6)
    other = point([0.5, 0.5], [0, 0], 4)  # no category is equal
    np.testing.assert_allclose(product.kernel(p, other), 0, atol=1e-6)


def test_the_variance_before_any_data():
    """0.7 (2 + 0.5) / 2 + 0.3 (2 * 0.5)."""
    params = PARAMS._replace(variance=2.0, category_variance=0.5, mixture_weight=0.3)
    same = point([0.2], [1, 1], 7)
    np.testing.assert_allclose(params.prior(), 1.175)
    np.testing.assert_allclose(params.kernel(same, same), 1.175, rtol=1e-6)


@float64
def starts():
    return MixedParams.start().natural(), PB2Params.start().natural()


def test_where_the_fit_starts():
    mixed, plain = starts()
    np.testing.assert_allclose(mixed, [1, 1, 0.1, 1, 0.1, 0.5, 0.01], rtol=1e-3)
    np.testing.assert_allclose(plain, [1, 1, 0.1, 0.01], rtol=1e-3)


def test_what_depends_on_the_category_is_learnt():
    """The slope changes its sign with the category: on the average there is none."""
    rng = np.random.default_rng(0)
    x, category = rng.uniform(size=40), np.repeat(np.array([0, 1], np.int32), 20)
    y = (2 * x - 1) * np.where(category == 0, 1, -1) + 0.05 * rng.normal(size=40)
    points = Point(x[:, None], category[:, None], np.zeros(40))
    data = Data(points, y / y.std(), np.ones(40, bool))

    @float64
    def means(data, at):
        params = pb2_process.fit(MixedParams.start, data)
        nobody = jax.tree.map(lambda x: x[:0], data)
        known = pb2_process.condition(params, data, nobody)
        return jax.vmap(lambda p: pb2_process.predict(params, known, p)[0])(at)

    at = Point(
        np.array([[0.05], [0.95]] * 2),
        np.array([[0], [0], [1], [1]], np.int32),
        np.zeros(4),
    )
    np.testing.assert_allclose(
        means(data, at), np.array([-1, 1, 1, -1]) * 0.9 / y.std(), atol=0.2
    )
