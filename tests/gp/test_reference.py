"""The bandit beside BG-PBT's rules, written once more in NumPy.

With the kernel and the constants of the paper and its code: one lengthscale for all
coordinates and the context, time in rounds, three standard deviations with noise, the
last hundred rows (Wan et al., 2022, Sections 3.1 and 3.2).
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import norm, rankdata

from bgpbt.gp import acquisition, trust_region
from bgpbt.gp.acquisition import Box, search_layout
from bgpbt.gp.kernels import Params, Point
from bgpbt.gp.posterior import Data, condition, predict
from bgpbt.space import Float

ROWS = 100
D = 9  # searched dimensions; the context is one coordinate more
# What its code begins with, and never leaves: the middle of [0.01, sqrt(D + 1)].
LENGTHSCALE = (0.01 + np.sqrt(D + 1)) / 2
OUTPUTSCALE, NOISE, EPS = 1.0, 0.05, 0.1
KAPPA = 3.0
CONTEXT, NOW = 0.4, 30.0  # of the next round


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


class History:
    """A hundred rows, and the process of them in NumPy."""

    def __init__(self, seed: int):
        rng = np.random.default_rng(seed)
        self.x = rng.uniform(size=(ROWS, D + 1))
        self.time = np.sort(rng.integers(0, 30, ROWS)).astype(float)
        slope = np.sin(4 * self.x[:, :3]).sum(axis=1) + 0.3 * rng.normal(size=ROWS)
        self.y = norm.ppf(rankdata(slope, "max") / (ROWS + 1))
        noisy = self.kernel(self.x, self.time) + NOISE * np.eye(ROWS)
        self.precision = np.linalg.inv(noisy)

    def kernel(self, x: np.ndarray, t: np.ndarray | float) -> np.ndarray:
        """Of new points with all rows."""
        d = np.linalg.norm(x[:, None] - self.x[None], axis=-1) / LENGTHSCALE
        d *= np.sqrt(5)
        matern = (1 + d + d**2 / 3) * np.exp(-d)
        ago = np.abs(np.asarray(t)[..., None] - self.time)
        return OUTPUTSCALE * matern * (1 - EPS) ** (ago / 2)

    def moments(self, x: np.ndarray, t: np.ndarray | float):
        """Mean and variance of the process."""
        cross = self.kernel(x, t)
        share = cross @ self.precision
        return share @ self.y, OUTPUTSCALE - (share * cross).sum(axis=1)

    def bound(self, config: np.ndarray) -> np.ndarray:
        """Of the next round."""
        context = np.full((len(config), 1), CONTEXT)
        mean, variance = self.moments(np.hstack([config, context]), NOW)
        return mean - KAPPA * np.sqrt(variance + NOISE)


def data_of(history: History) -> Data:
    return Data(points_of(history.x, history.time), history.y, jnp.ones(ROWS, bool))


def points_of(x: np.ndarray, t: np.ndarray) -> Point:
    return Point(jnp.asarray(x), jnp.zeros((len(x), 0), jnp.int32), jnp.asarray(t))


def params() -> Params:
    numbers = map(jnp.asarray, (0.0, OUTPUTSCALE, NOISE))
    lengths = jnp.full(D + 1, LENGTHSCALE), jnp.zeros(0)
    return Params(*numbers, *lengths, jnp.asarray(0.5), jnp.asarray(EPS))


def test_posterior_and_bound_at_a_thousand_points():
    history, rng = History(0), np.random.default_rng(1)
    x, t = rng.uniform(size=(1000, D + 1)), rng.integers(0, 35, 1000).astype(float)
    posterior = condition(params(), data_of(history))
    mean, variance = jax.jit(jax.vmap(lambda p: predict(posterior, p)))(points_of(x, t))
    right_mean, right_variance = history.moments(x, t)
    np.testing.assert_allclose(mean, right_mean, atol=1e-6, rtol=0)
    np.testing.assert_allclose(variance, right_variance, atol=1e-6, rtol=0)
    bound = acquisition.lower_confidence_bound(mean, variance + NOISE, KAPPA)
    right = right_mean - KAPPA * np.sqrt(right_variance + NOISE)
    np.testing.assert_allclose(bound, right, atol=1e-6, rtol=0)


@jax.jit
def suggestion(key, data: Data, centre, low, high):
    """Our search in a box; its bound."""
    space = {f"x{i}": Float(0.0, 1.0, 0.5) for i in range(D)}
    posterior = condition(params(), data)

    def score(config):
        x = jnp.append(config, CONTEXT)
        point = Point(x, jnp.zeros(0, jnp.int32), jnp.asarray(NOW))
        mean, variance = predict(posterior, point)
        return acquisition.lower_confidence_bound(mean, variance + NOISE, KAPPA)

    box = Box(centre, low, high, jnp.asarray(0))
    return acquisition.search(key, score, search_layout(space), box)


def test_suggestions_are_as_good_as_those_of_independent_searches():
    """SciPy's L-BFGS-B from twenty places of the same box; and the search of its code:
    three walks of 41 steps of 0.1 along the signs of the gradient.

    Differences are shares of the range of a thousand draws.
    """
    less = []
    for seed in range(6):
        history, rng = History(seed), np.random.default_rng(seed)
        centre = rng.uniform(size=D)
        region = trust_region.start()
        low, high = map(np.asarray, trust_region.box(region, centre, np.ones(D)))
        found, value = suggestion(
            jax.random.PRNGKey(seed), data_of(history), centre, low, high
        )
        assert (found >= low).all() and (found <= high).all()
        np.testing.assert_allclose(value, history.bound(found[None])[0], atol=1e-6)
        scale = np.ptp(history.bound(rng.uniform(low, high, size=(1000, D))))
        climbed = min(
            climb(history, begin, low, high)
            for begin in rng.uniform(low, high, size=(20, D))
        )
        walked = min(
            walk(history, np.clip(centre * factor, low, high), low, high)
            for factor in rng.uniform(0.8, 1.2, size=(3, D))
        )
        less.append([(value - climbed) / scale, (value - walked) / scale])
    less = np.array(less)
    assert (less < 0.01).all() and less.mean(axis=0)[0] < 0.002
    assert less.mean(axis=0)[1] < 0


def slope(history: History, config: np.ndarray) -> np.ndarray:
    """Of the bound, by central differences."""
    steps = 1e-5 * np.eye(D)
    ends = history.bound(np.vstack([config + steps, config - steps]))
    return (ends[:D] - ends[D:]) / 2e-5


def climb(history: History, config, low, high) -> float:
    """The bound where L-BFGS-B ends."""
    return minimize(
        lambda c: history.bound(c[None])[0],
        config,
        jac=lambda c: slope(history, c),
        bounds=list(zip(low, high, strict=True)),
    ).fun


def walk(history: History, config, low, high) -> float:
    """The bound where signed steps end."""
    for _ in range(41):
        config = np.clip(config - 0.1 * np.sign(slope(history, config)), low, high)
    return history.bound(config[None])[0]


def test_lengths_of_the_region_over_150_rounds():
    """Its rules as a loop: 3 successes in a row lengthen it, 10 failures shorten it."""
    rng = np.random.default_rng(0)
    region, length, wins, losses = trust_region.start(), 0.4, 0, 0
    seen = set()
    for number in range(150):
        tried, won = rng.random() < 0.9, rng.random() < (0.6 if number < 40 else 0.1)
        region = trust_region.update(region, tried, won)
        if tried:
            wins, losses = (wins + 1, 0) if won else (0, losses + 1)
            if wins == 3:
                length, wins = min(1.0, 1.5 * length), 0
            elif losses == 10:
                length, losses = length / 1.5, 0
        np.testing.assert_allclose(region.length, length, rtol=1e-5)
        assert bool(trust_region.exhausted(region, D)) == (length <= 0.15)
        seen.add(round(length, 3))
    assert len(seen) > 5 and 1.0 in seen
