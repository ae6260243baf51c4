"""Parity with GPyTorch in float64: same parameters, same jitter, exact Cholesky.

Skips where it is not installed.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("gpytorch")

from bgpbt.gp import fit, gpytorch_inference, gpytorch_model, posterior
from bgpbt.gp.bandit import make_bandit
from bgpbt.gp.history import History
from bgpbt.gp.in_turn import Situation
from bgpbt.gp.inference import make_inference
from bgpbt.gp.kernels import Params, Point
from bgpbt.gp.posterior import Data
from bgpbt.gp.trust_region import start
from bgpbt.space import Categorical, Float, Integer
from bgpbt.strategies.bgpbt import bgpbt
from bgpbt.types import Outcome, Source

pytestmark = pytest.mark.gpytorch
KERNELS = {"numeric": (4, 0), "categories": (0, 3), "mixture": (4, 3)}
SPACE = {
    "rate": Float(1e-4, 1e-1, 1e-2, log=True),
    "epochs": Integer(2, 16, 4, log=True),
    "kind": Categorical(("a", "b", "c"), 0),
}


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def example(kernel: str, count: int, seed: int = 0) -> tuple[Params, Data, Point]:
    """Raw parameters, observations, and points to predict at."""
    rng = np.random.default_rng(seed)
    numeric, categories = KERNELS[kernel]

    def points(n):
        return Point(
            jnp.asarray(rng.uniform(size=(n, numeric))),
            jnp.asarray(rng.integers(0, 3, (n, categories))),
            jnp.asarray(rng.integers(0, 20, n).astype(float)),
        )

    centre, spread = fit.prior(numeric, categories)
    raw = jax.tree.map(
        lambda m, s: m + 0.5 * s * rng.normal(size=m.shape), centre, spread
    )
    return (
        raw,
        Data(points(count), jnp.asarray(rng.normal(size=count)), jnp.ones(count, bool)),
        points(7),
    )


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("count", [5, 50, 100])
def test_predictions_are_gpytorchs(kernel, count):
    raw, data, points = example(kernel, count)
    known = posterior.condition(fit.natural(raw), data)
    mean, variance = jax.vmap(lambda p: posterior.predict(known, p))(points)
    theirs = gpytorch_inference.moments(raw, data, points)
    np.testing.assert_allclose(mean, theirs[0], atol=1e-6)
    np.testing.assert_allclose(variance, theirs[1], atol=1e-6)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("count", [5, 50, 100])
def test_the_marginal_likelihood_and_its_gradient_are_gpytorchs(kernel, count):
    raw, data, _ = example(kernel, count)
    value, slope = jax.value_and_grad(
        lambda r: posterior.log_marginal_likelihood(fit.natural(r), data)
    )(raw)
    model = gpytorch_model.process(raw, data)
    theirs = gpytorch_inference.log_marginal_likelihood(model)
    theirs.backward()
    np.testing.assert_allclose(value / count, theirs.item() / count, atol=1e-6)
    for name, ours, tensor in zip(Params._fields, slope, model.raw(), strict=True):
        expected = (
            np.zeros(ours.shape)
            if tensor.grad is None
            else tensor.grad.numpy().reshape(ours.shape)
        )
        np.testing.assert_allclose(
            ours / count, expected / count, atol=1e-6, err_msg=name
        )


@pytest.mark.parametrize("kernel", KERNELS)
def test_predictions_have_gpytorchs_slope(kernel):
    """The search follows the slope of the callback: it is that of the predictions."""
    raw, data, points = example(kernel, 20)
    known, ours = (raw, data), posterior.condition(fit.natural(raw), data)

    def total(predict, known):
        def of(numeric, categories, time):
            mean, variance = predict(known, Point(numeric, categories, time))
            return mean - 2 * variance

        return jax.vmap(jax.grad(of))(*points)

    np.testing.assert_allclose(
        total(gpytorch_inference.predict, known),
        total(posterior.predict, ours),
        rtol=1e-5,
        atol=1e-5,
    )


def test_both_inferences_fit_alike():
    raw, data, _ = example("mixture", 30)
    key = jax.random.PRNGKey(0)
    ours, theirs = fit.fit(key, raw, data), gpytorch_inference.fit(key, raw, data)
    assert ours[2] and theirs[2]
    np.testing.assert_allclose(ours[1], theirs[1], atol=0.1)
    np.testing.assert_allclose(
        fit.log_posterior(theirs[0], data), theirs[1], atol=1e-4
    )  # float32 crosses


def test_both_inferences_suggest_the_same():
    with jax.enable_x64(False):
        rng = np.random.default_rng(0)
        config = rng.uniform(size=(20, len(SPACE))).astype(np.float32)
        rows = History(
            config,
            np.linspace(0, 5, 20, dtype=np.float32),
            np.arange(20, dtype=np.float32) // 4,
            rng.normal(size=20).astype(np.float32),
            np.arange(20) < 17,
        )
        raw = jax.tree.map(lambda x: np.asarray(x, np.float32), fit.prior(3, 1)[0])
        asked = Situation(config[:4], rows.context[:4], np.arange(4) < 3, np.int32(5))
        region = jax.tree.map(np.asarray, start())
        key, last = jax.random.PRNGKey(1), np.arange(4) == 3
        found = [
            make_bandit(SPACE, make_inference(name)).suggest(
                key, raw, rows, asked, last, region
            )
            for name in ("jax", "gpytorch")
        ]
        np.testing.assert_allclose(*found, atol=1e-5)


def test_bgpbt_runs_on_gpytorch():
    with jax.enable_x64(False):
        strategy = bgpbt(SPACE, ("all",), quantile_fraction=0.25, gp="gpytorch")
        rng, config, fitness = (
            np.random.default_rng(0),
            np.random.default_rng(1).uniform(size=(4, 3)).astype(np.float32),
            np.zeros(4),
        )

        def outcome(steps):
            clock = np.full(4, steps, np.int32)
            return Outcome(
                config,
                fitness.astype(np.float32),
                fitness[:, None],
                clock,
                clock,
                np.ones(4, bool),
            )

        state = strategy.init(jax.random.PRNGKey(0), outcome(0))
        for number in range(1, 4):
            fitness = fitness + rng.normal(size=4)
            state, decision = strategy.step(
                jax.random.PRNGKey(number), state, outcome(100 * number)
            )
            config = np.asarray(decision.config)
            assert (np.asarray(decision.source) == Source.gp).sum() == 1 and bool(
                state.fitted
            )
            assert (config >= 0).all() and (config <= 1).all()
