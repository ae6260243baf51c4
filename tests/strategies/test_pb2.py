"""PB2's rules, worked by hand; the figures were computed apart from this code."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toys import SPACE, outcome

from bgpbt.gp import pb2_process
from bgpbt.gp.kernels import Point
from bgpbt.gp.pb2_kernels import PB2Params
from bgpbt.gp.posterior import Data
from bgpbt.gp.precision import float64
from bgpbt.strategies.pb2 import pb2
from bgpbt.types import Source

NAN = float("nan")
COLUMNS = [0, 1, 2, 3, 4]  # numbers that are hyperparameters
NONE = np.zeros(0, np.int32)  # no categories


def data(z, t, y, valid) -> Data:
    """Observations without categories."""
    return Data(Point(z, np.zeros((len(z), 0), np.int32), t), y, valid)


KNOWN = data(
    z=np.array([[0, 0.2], [0, 0.8], [1, 0.2], [1, 0.8], [0.5, 0.5]]),
    t=np.array([0.0, 0, 1, 1, 9]),
    y=np.array([1.0, -1, 0.5, -0.5, 0]),
    valid=np.array([True] * 4 + [False]),
)
PARAMS = PB2Params(np.float64(1), np.float64(1), np.float64(0.1), np.float64(0.01))


def test_targets_are_standardised_and_clipped():
    y = pb2_process.standardise(
        jnp.array([6.0, 3, 2, 1, 99]), jnp.array([True] * 4 + [False])
    )
    np.testing.assert_allclose(y, [1.603567, 0, -0.534522, -1.069045, 0], atol=1e-5)
    far = pb2_process.standardise(jnp.array([0.0] * 99 + [1]), jnp.ones(100, bool))
    assert far[-1] == 2
    assert (
        pb2_process.standardise(jnp.ones(3), jnp.ones(3, bool)) == 0
    ).all()  # no spread


def test_the_kernel():
    value = PARAMS.kernel(
        Point(jnp.array([0.0, 0.0]), NONE, 1.0), Point(jnp.array([0.5, 0.0]), NONE, 2.0)
    )
    np.testing.assert_allclose(value, 0.738835, atol=1e-6)


def test_the_bound_grows_with_the_rows():
    np.testing.assert_allclose(
        np.sqrt(pb2_process.beta(jnp.array([16.0, 2.0]))),
        [1.433980, 0.447214],
        atol=1e-6,
    )


@float64
def posterior(rows, others, h, params=PARAMS):
    """Mean and variance at T = R = 1, with the `others` pending."""
    params = jax.tree.map(jnp.asarray, params)
    known = pb2_process.condition(params, rows, others)
    one = jnp.ones((), h.dtype)

    def predict(x):
        point = Point(jnp.stack([one, x]), NONE, one)
        return pb2_process.predict(params, known, point)

    return jax.vmap(predict)(h)


def test_the_process_and_its_pending_points():
    h = np.array([0.0, 0.5, 1.0])
    nothing = data(np.zeros((1, 2)), np.zeros(1), np.zeros(1), np.array([False]))
    mean, variance = posterior(KNOWN, nothing, h)
    np.testing.assert_allclose(mean, [0.708537, 0, -0.708537], atol=1e-5)
    np.testing.assert_allclose(variance, [0.050751, 0.021742, 0.050751], atol=1e-5)
    mean, variance = posterior(
        KNOWN, data(np.ones((1, 2)), np.ones(1), np.zeros(1), np.array([True])), h
    )
    np.testing.assert_allclose(
        mean, [0.708537, 0, -0.708537], atol=1e-5
    )  # the mean is that of the observations
    np.testing.assert_allclose(variance, [0.043902, 0.016637, 0.008354], atol=1e-5)


def test_the_suggestion_is_where_the_bound_is_highest():
    """The bound is the mean and sqrt(beta) standard deviations.

    Neither of them alone, nor one with the variance, has its maximum there.
    """

    @float64
    def suggest(key, rows, pending, params):
        one = jnp.ones((), rows.y.dtype)
        return pb2_process.suggest(key, params, rows, pending, one, NONE, one)

    h, y = np.array([0.57, 0.37, 0.73, 0.93]), np.array([0.8, 1.2, 0.2, -0.6])
    rows, params = (
        data(np.stack([np.ones(4), h], axis=1), np.ones(4), y, np.ones(4, bool)),
        PARAMS._replace(lengthscale=0.05),
    )
    nothing = data(np.zeros((1, 2)), np.zeros(1), np.zeros(1), np.array([False]))
    grid = np.linspace(0, 1, 201)
    mean, variance = (np.asarray(x) for x in posterior(rows, nothing, grid, params))
    weight = np.sqrt(0.2 + np.log(0.4 * 4))
    highest, others = (
        grid[np.argmax(mean + weight * np.sqrt(variance))],
        (mean, variance, mean + weight * variance),
    )
    assert all(abs(highest - grid[np.argmax(other)]) > 0.1 for other in others)
    for seed in range(3):
        assert (
            abs(suggest(jax.random.PRNGKey(seed), rows, nothing, params)[0] - highest)
            < 0.01
        )
    near = data(
        np.array([[1, highest]]), np.ones(1), np.zeros(1), np.array([True])
    )  # pending there: go elsewhere
    assert abs(suggest(jax.random.PRNGKey(0), rows, near, params)[0] - highest) > 0.05


@float64
def fit(rows):
    return pb2_process.fit(PB2Params.start, rows)


def test_the_fit_finds_what_made_the_data():
    """120 draws of a process with little noise."""
    rng = np.random.default_rng(0)
    z, t = rng.uniform(size=(120, 2)), np.repeat(np.arange(12.0), 10)
    rows = data(z, t, np.zeros(120), np.ones(120, bool))
    truth = PB2Params(np.float64(1), np.float64(0.3), np.float64(0.2), np.float64(0.01))

    @float64
    def covariance(params, rows):
        return pb2_process.covariance(params, rows)

    matrix = covariance(truth, rows).astype(float)
    rows = rows._replace(
        y=np.linalg.cholesky(matrix + 1e-5 * np.eye(120)) @ rng.normal(size=120)
    )
    found = fit(rows)
    assert (
        0.1 < found.lengthscale < 1
        and 0.05 < found.eps < 0.45
        and 0.003 < found.noise < 0.05
    )


def test_the_fit_has_limits():
    """A slow wave would have a lengthscale above 1.

    Where every round is another, more than half of it would be forgotten.
    """
    x, nothing = np.linspace(0, 1, 60), np.zeros(60)
    slow = data(
        np.stack([nothing, x], axis=1),
        nothing,
        1.5 * np.cos(np.pi * x),
        np.ones(60, bool),
    )
    assert fit(slow).lengthscale == 1
    y = np.repeat(np.random.default_rng(0).normal(size=20), 3)
    other = data(np.zeros((60, 2)), np.repeat(np.arange(20.0), 3), y, np.ones(60, bool))
    assert 0.45 < fit(other).eps <= 0.5


def play(strategy, seen, *rounds):
    """Steps through outcomes. Returns the states and decisions."""
    state, found = strategy.init(jax.random.PRNGKey(0), seen), []
    for number, one in enumerate(rounds):
        state, decision = strategy.step(jax.random.PRNGKey(number), state, one)
        found.append((state, decision))
    return found


def test_a_row_is_the_change_per_step_and_copying_is_no_progress():
    """Member 3, the worst, copies the best: its next row starts from that score."""
    strategy = pb2(SPACE, ("first", "second"), quantile_fraction=0.25)
    seen = outcome([0.0, 0, 0, 0])._replace(timesteps=np.zeros(4, np.int32))
    one = seen._replace(
        fitness=np.array([4, 2, 3, 1], np.float32), timesteps=np.full(4, 10, np.int32)
    )
    ((state, decision),) = play(strategy, seen, one)
    rows = state.history
    np.testing.assert_allclose(-rows.cost[rows.valid], [0.4, 0.2, 0.3, 0.1], rtol=1e-6)
    np.testing.assert_allclose(rows.context[rows.valid], 0)
    assert (rows.time[rows.valid] == 1).all()
    assert (
        np.asarray(decision.parents)[:, 0].tolist() == [0, 1, 2, 0]
        and decision.source[3] == Source.gp
    )
    np.testing.assert_array_equal(state.before, [4, 2, 3, 4])
    two = one._replace(
        fitness=np.array([5, NAN, 3, 6], np.float32), timesteps=np.full(4, 30, np.int32)
    )
    _, (state, _) = play(strategy, seen, one, two)
    rows = state.history
    np.testing.assert_allclose(
        -rows.cost[rows.valid][4:], [0.05, 0, 0.1], atol=1e-6
    )  # who failed has no row


def test_what_a_suggestion_knows(monkeypatch):
    """Its context is the score that the copied weights have now.

    Pending are survivors and what was suggested before.
    """
    asked = []

    def suggest(key, params, rows, pending, context, categories, t, starts):
        jax.debug.callback(
            lambda *x: asked.append(jax.tree.map(np.asarray, x)),
            rows,
            pending,
            context,
            t,
            ordered=True,
        )
        return jnp.full(len(COLUMNS), 0.25, rows.y.dtype)

    monkeypatch.setattr(pb2_process, "suggest", suggest)
    strategy = pb2(SPACE, ("first", "second"), quantile_fraction=0.5)
    seen = outcome([0.0, 0, 0, 1])._replace(timesteps=np.zeros(4, np.int32))
    one = seen._replace(
        fitness=np.array([8, 2, NAN, 5], np.float32), timesteps=np.full(4, 10, np.int32)
    )
    play(strategy, seen, one)
    jax.effects_barrier()
    (rows, pending, context, t), (_, later, other, _) = (
        asked  # members 1 and 2 are replaced, by copies of 0 or 3
    )
    scores = np.array([8.0, np.nan, np.nan, 5]) / 8  # 0 to 8 is all that is compared
    assert t == 2 and context in scores and other in scores
    np.testing.assert_allclose(rows.points.numeric[rows.valid][:, 0], [0, 0, 1 / 8])
    assert pending.valid.tolist() == [
        True,
        False,
        False,
        True,
    ] and later.valid.tolist() == [True, True, False, True]
    np.testing.assert_allclose(pending.points.numeric[[0, 3]][:, 0], scores[[0, 3]])
    np.testing.assert_allclose(
        pending.points.numeric[[0, 3]][:, 1:],
        seen.config[[0, 3]][:, COLUMNS],
        atol=1e-6,
    )
    np.testing.assert_allclose(
        later.points.numeric[1], [context] + [0.25] * len(COLUMNS)
    )
    assert (
        (pending.points.time == 2).all()
        and (rows.points.time[rows.valid] == 1).all()
        and (pending.y == 0).all()
    )


@pytest.mark.long
def test_progress_far_beyond_the_first_scores_is_learnt_from_at_once():
    """Untrained scores are alike and scores after a round are not.

    The first suggestions already go where progress was.
    """
    space, distances = {"weight": SPACE["weight"]}, []
    strategy = pb2(space, ("first",), quantile_fraction=0.25)
    for seed in range(8):
        config = np.random.default_rng(seed).uniform(size=(8, 1)).astype(np.float32)
        seen = outcome(np.linspace(0, 1, 8), space=space)._replace(
            config=config, timesteps=np.zeros(8, np.int32)
        )
        state = strategy.init(jax.random.PRNGKey(seed), seen)
        progress = 100 * (1 - 4 * (config[:, 0] - 0.8) ** 2)
        after = seen._replace(
            fitness=(seen.fitness + progress).astype(np.float32),
            timesteps=np.ones(8, np.int32),
        )
        _, decision = strategy.step(jax.random.PRNGKey(seed), state, after)
        distances += np.abs(
            np.asarray(decision.config)[np.asarray(decision.source) == Source.gp, 0]
            - 0.8
        ).tolist()
    assert len(distances) == 16 and np.mean(distances) < 0.34  # that of uniform draws


@pytest.mark.long
def test_the_newest_200_rows_are_remembered():
    strategy = pb2(SPACE, ("first", "second"))
    seen = outcome(np.arange(64.0))._replace(timesteps=np.zeros(64, np.int32))
    state = strategy.init(jax.random.PRNGKey(0), seen)
    for number in range(1, 5):
        seen = seen._replace(timesteps=np.full(64, number, np.int32))
        state, _ = strategy.step(jax.random.PRNGKey(0), state, seen)
    assert np.bincount(
        state.history.time[state.history.valid].astype(int)
    ).tolist() == [0, 8, 64, 64, 64]


def test_numbers_are_searched_and_the_rest_goes_with_the_weights():
    strategy = pb2(SPACE, ("first", "second"), quantile_fraction=0.25)
    seen = outcome([4.0, 2, 3, 1])._replace(timesteps=np.zeros(4, np.int32))
    ((_, decision),) = play(
        strategy, seen, seen._replace(timesteps=np.full(4, 10, np.int32))
    )
    config = np.asarray(decision.config)
    np.testing.assert_array_equal(config[3, [5, 6]], seen.config[0, [5, 6]])
    assert (config[3, COLUMNS] != seen.config[0, COLUMNS]).all()
    np.testing.assert_array_equal(config[:3], seen.config[:3])


def test_several_suggestions_of_a_round_differ():
    strategy = pb2(SPACE, ("first", "second"), quantile_fraction=0.5)
    seen = outcome([4.0, 2, 3, 1, 0, 0, 5, 6])._replace(timesteps=np.zeros(8, np.int32))
    ((_, decision),) = play(
        strategy, seen, seen._replace(timesteps=np.full(8, 10, np.int32))
    )
    new = np.asarray(decision.config)[np.asarray(decision.source) == Source.gp][
        :, COLUMNS
    ]
    assert (
        len(new) == 4
        and np.linalg.norm(new[:, None] - new[None], axis=-1)[
            ~np.eye(4, dtype=bool)
        ].min()
        > 1e-3
    )


@pytest.mark.long
def test_it_goes_where_progress_is():
    """Progress is larger near a `weight` of 0.8, and suggestions move there."""
    space = {"weight": SPACE["weight"]}
    strategy = pb2(space, ("first",), quantile_fraction=0.25)
    seen = outcome(np.zeros(8), space=space)._replace(timesteps=np.zeros(8, np.int32))
    state, fitness, suggested = (
        strategy.init(jax.random.PRNGKey(0), seen),
        np.zeros(8),
        [],
    )
    for number in range(12):
        fitness = fitness + 1 - 4 * (seen.config[:, 0] - 0.8) ** 2
        seen = seen._replace(
            fitness=fitness.astype(np.float32), timesteps=seen.timesteps + 1
        )
        state, decision = strategy.step(jax.random.PRNGKey(number), state, seen)
        seen = seen._replace(config=np.asarray(decision.config))
        fitness = fitness[np.asarray(decision.parents)[:, 0]]
        suggested.append(seen.config[np.asarray(decision.source) == Source.gp, 0])
    assert np.median(np.abs(np.concatenate(suggested[-4:]) - 0.8)) < 0.05
