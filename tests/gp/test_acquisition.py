"""The search never leaves box and space, and finds what a dense grid finds."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bgpbt import space as spaces
from bgpbt.gp import acquisition
from bgpbt.gp.acquisition import Box, search_layout
from bgpbt.gp.kernels import Params
from bgpbt.gp.points import point, snap_to_bins
from bgpbt.gp.posterior import Data, condition, predict
from bgpbt.space import Categorical, Float, Integer

MIXED = {
    "rate": Float(1e-4, 1e-1, 1e-2, log=True),
    "epochs": Integer(2, 16, 4, log=True),
    "batch": Integer(2, 32, 8, doubling=True),
    "kind": Categorical(("a", "b", "c"), 0),
    "gate": Categorical(("on", "off"), 0),
}
SMALL = {name: MIXED[name] for name in ("rate", "batch", "kind")}


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def box(space, centre, half, changes) -> Box:
    centre = snap_to_bins(space, jnp.asarray(centre))
    return Box(
        centre,
        jnp.clip(centre - half, 0, 1),
        jnp.clip(centre + half, 0, 1),
        jnp.asarray(changes),
    )


def test_discrete_coordinates_are_snapped_to_where_encode_puts_them():
    for seed in range(5):
        config = spaces.sample(jax.random.PRNGKey(seed), MIXED)
        right = spaces.encode(MIXED, spaces.decode(MIXED, config))
        np.testing.assert_allclose(snap_to_bins(MIXED, config), right, atol=1e-9)
    assert search_layout(MIXED).values.tolist() == [0, 15, 5, 3, 2]


@jax.jit
def downhill(key, b, weights):
    return acquisition.search(
        key, lambda config: weights @ config, search_layout(MIXED), b, rounds=10
    )


@pytest.mark.parametrize("changes", [0, 1, 2])
@pytest.mark.parametrize("half", [0.0, 0.07, 0.5])
def test_the_search_never_leaves_the_box(half, changes):
    """The score pushes out of the box on all sides."""
    layout = search_layout(MIXED)
    away = jnp.asarray(np.random.default_rng(0).normal(size=(6, len(MIXED))))
    for seed, weights in enumerate(away):
        b = box(
            MIXED, np.random.default_rng(seed).uniform(size=len(MIXED)), half, changes
        )
        found, value = downhill(jax.random.PRNGKey(seed), b, weights)
        np.testing.assert_allclose(value, weights @ found)
        np.testing.assert_allclose(snap_to_bins(MIXED, found), found, atol=1e-12)
        assert b.low[0] - 1e-12 <= found[0] <= b.high[0] + 1e-12
        for i in (1, 2):  # whole numbers: in the box, or beside the centre's
            centres = layout.centres[i, : layout.values[i]]
            place, here = (
                np.abs(centres - found[i]).argmin(),
                np.abs(centres - b.centre[i]).argmin(),
            )
            assert (
                b.low[i] - 1e-12 <= found[i] <= b.high[i] + 1e-12
                or abs(place - here) <= 1
            )
        assert (np.abs(found - b.centre)[3:] > 1e-6).sum() <= changes


def test_categories_are_really_searched():
    layout = search_layout(MIXED)
    b = box(MIXED, np.full(5, 0.1), 0.1, 2)
    wanted = np.array([layout.centres[3, 2], layout.centres[4, 1]])
    found, _ = jax.jit(
        lambda key: acquisition.search(
            key, lambda c: jnp.sum((c[3:] - wanted) ** 2), layout, b
        )
    )(jax.random.PRNGKey(0))
    np.testing.assert_allclose(found[3:], wanted)


@jax.jit
def search_and_grid(key, configs, y, grid):
    """What the search finds of a process's bound, and the bound on a grid."""
    layout, one = search_layout(SMALL), jnp.ones(())
    at = jax.vmap(lambda c: point(SMALL, snap_to_bins(SMALL, c), 0 * one, 0 * one))(
        configs
    )
    params = Params(
        0 * one,
        one,
        0.01 * one,
        jnp.array([0.3, 0.5, 1.0]),
        jnp.array([0.8]),
        0.5 * one,
        0.1 * one,
    )
    posterior = condition(params, Data(at, y, jnp.ones(len(y), bool)))

    def score(config):
        mean, variance = predict(posterior, point(SMALL, config, 0 * one, 0 * one))
        return acquisition.lower_confidence_bound(mean, variance + params.noise)

    return acquisition.search(key, score, layout, box(SMALL, np.full(3, 0.5), 0.5, 1))[
        1
    ], jax.vmap(score)(grid)


@pytest.mark.parametrize("seed", range(5))
def test_the_optimum_is_within_one_percent_of_a_dense_grid(seed):
    rng, layout = np.random.default_rng(seed), search_layout(SMALL)
    grid = np.array(
        list(
            itertools.product(
                np.linspace(0, 1, 201), layout.centres[1, :5], layout.centres[2, :3]
            )
        )
    )
    value, values = search_and_grid(
        jax.random.PRNGKey(seed), rng.uniform(size=(12, 3)), rng.normal(size=12), grid
    )
    assert value <= values.min() + 0.01 * (values.max() - values.min())


def test_a_whole_number_of_many_values_is_searched_as_a_float():
    """What a decision costs does not grow with the range."""
    space = {
        "few": Integer(1, 100, 1),
        "many": Integer(1, 1_000_000, 1, log=True),
        "rate": Float(0.0, 1.0, 0.5),
    }
    layout = search_layout(space)
    assert layout.values.tolist() == [100, 0, 0]
    assert layout.centres.shape == (3, 100)
    config = jnp.array([0.123, 0.456, 0.789])
    np.testing.assert_array_equal(snap_to_bins(space, config)[1:], config[1:])
