"""Truncation and perturbation, worked by hand."""

import jax
import numpy as np
import pytest
from toys import outcome

from bgpbt import space as spaces
from bgpbt.space import Categorical, Float, Integer
from bgpbt.strategies.explore import perturb
from bgpbt.strategies.operators import rank, replaced_count, truncation
from bgpbt.strategies.pbt import pbt
from bgpbt.types import Source

NAN = float("nan")
SPACE = {"rate": Float(0.01, 1.0, 0.1, log=True), "share": Float(0.0, 1.0, 0.5)}
KEYS = jax.random.split(jax.random.PRNGKey(0), 40)


def explored(dim, value, scale: float = 0.2) -> list[float]:
    """All values that perturbing `value` can give, ascending."""
    space = {"x": dim}
    config = spaces.encode(space, {"x": value})
    moved = jax.jit(
        jax.vmap(lambda key: perturb(key, space, config, 1 - scale, 1 + scale))
    )(KEYS)
    return sorted(
        set(
            np.asarray(spaces.decode(space, moved)["x"]).astype(float).round(5).tolist()
        )
    )


def test_the_worst_quarter_inherits_from_the_best_quarter():
    seen = outcome([3, 9, 1, 7, 8, 2, 5, 6], space=SPACE)
    strategy = pbt(SPACE, ("a", "b"), quantile_fraction=0.25)
    donors = {2: set(), 5: set()}
    for seed in range(30):
        _, decision = strategy.step(jax.random.PRNGKey(seed), (), seen)
        parents = np.asarray(decision.parents)
        np.testing.assert_array_equal(parents[:, 0], parents[:, 1])
        assert [m for m in range(8) if parents[m, 0] != m] == [2, 5]
        before, after = (
            spaces.decode(SPACE, np.asarray(c)) for c in (seen.config, decision.config)
        )
        for member in (2, 5):
            parent = int(parents[member, 0])
            donors[member].add(parent)
            for name, dim in SPACE.items():
                factors = np.clip(
                    float(before[name][parent]) * np.array([0.8, 1.2]),
                    dim.low,
                    dim.high,
                )
                assert np.isclose(after[name][member], factors, rtol=1e-4).any()
        assert np.asarray(decision.source)[[2, 5]].tolist() == [Source.perturbed] * 2
        assert (
            np.asarray(decision.shrink).all() and not np.asarray(decision.perturb).any()
        )
    assert donors == {2: {1, 4}, 5: {1, 4}}  # both donors are met, nobody else


def test_resampling_draws_from_the_prior():
    seen = outcome([3, 9, 1, 7], config=np.full((4, 2), 0.5), space=SPACE)
    strategy = pbt(SPACE, ("a",), quantile_fraction=0.25, explore="resample")
    draws = []
    for seed in range(200):
        _, decision = strategy.step(jax.random.PRNGKey(seed), (), seen)
        draws.append(np.asarray(decision.config)[2])
        assert int(decision.source[2]) == Source.resampled
    np.testing.assert_allclose(np.mean(draws, axis=0), 0.5, atol=0.08)
    np.testing.assert_allclose(np.std(draws, axis=0), 12**-0.5, atol=0.04)


@pytest.mark.parametrize(
    ("fitness", "expected"),
    [
        ([3, 9, 1], [1, 0, 2]),
        ([NAN, 2, NAN, 5], [3, 1, 0, 2]),
        ([1, 1, 1], [0, 1, 2]),
        ([-np.inf, NAN, 0], [2, 0, 1]),
        ([NAN, -np.inf, 0], [2, 1, 0]),
    ],
)
def test_rank(fitness, expected):
    assert rank(np.array(fitness, np.float32)).tolist() == expected


@pytest.mark.parametrize(
    ("size", "share", "count"),
    [
        (8, 0.125, 1),
        (8, 0.25, 2),
        (8, 0.3, 2),
        (8, 0.5, 4),
        (7, 0.5, 3),
        (20, 0.15, 3),
        (10, 0.3, 3),
        (4, 0.1, 0),
        (100, 0.29, 29),
    ],
)
def test_replaced_count(size, share, count):
    assert replaced_count(size, share) == count


def test_failed_members_are_replaced_beyond_the_quantile():
    """Three failed, two are the share: they alone inherit, all three of them."""
    fitness = np.array([NAN, 4, NAN, 3, NAN, 2, 1, 0], np.float32)
    parents = np.asarray(truncation(KEYS[0], fitness, 0.25))
    assert set(parents[[0, 2, 4]]) <= {1, 3}
    np.testing.assert_array_equal(parents[[1, 3, 5, 6, 7]], [1, 3, 5, 6, 7])


def test_the_only_healthy_member_is_everybodys_parent():
    fitness = np.array([NAN, NAN, -5, NAN], np.float32)
    for key in KEYS[:5]:
        assert truncation(key, fitness, 0.5).tolist() == [2, 2, 2, 2]


def test_with_two_members_the_worse_one_is_replaced():
    assert truncation(KEYS[0], np.array([1.0, 2.0], np.float32), 0.5).tolist() == [1, 1]


# Perturbation


def test_floats_are_multiplied():
    assert explored(Float(0.0, 1.0, 0.5), 0.5) == [0.4, 0.6]
    assert explored(Float(0.001, 1.0, 0.5, log=True), 0.1) == [0.08, 0.12]
    assert explored(Float(0.0, 1.0, 0.5), 0.5, scale=0.5) == [0.25, 0.75]


def test_a_complement_is_perturbed_by_its_distance_to_one():
    assert explored(Float(0.9, 0.9999, 0.97, log=True, complement=True), 0.97) == [
        0.964,
        0.976,
    ]


def test_values_are_clipped_to_their_range():
    assert explored(Float(0.1, 0.4, 0.2), 0.4) == [0.32, 0.4]
    assert explored(Float(0.1, 0.4, 0.2), 0.1) == [0.1, 0.12]
    assert explored(Integer(2, 16, 4, log=True), 16) == [13, 16]


def test_integers_move_by_at_least_one():
    assert explored(Integer(2, 16, 4, log=True), 10) == [8, 12]
    assert explored(Integer(2, 16, 4, log=True), 3) == [2, 4]
    assert explored(Integer(5, 15, 5), 5) == [5, 6]


def test_doubling_integers_move_to_a_neighbour():
    assert explored(Integer(2, 32, 32, doubling=True), 8) == [4, 16]
    assert explored(Integer(2, 32, 32, doubling=True), 32) == [16, 32]
    assert explored(Integer(2, 32, 32, doubling=True), 2) == [2, 4]


def test_categories_are_drawn_anew():
    assert explored(Categorical(("a", "b", "c"), 0), 1) == [0, 1, 2]


def test_factors_leave_nothing_but_an_exact_zero_where_it_is():
    """From either end of its range, every dimension can move inwards.

    `gae_lambda` may be exactly 1.
    """
    assert explored(Float(0.0, 10.0, 1.0), 0.0) == [
        0.0
    ]  # as the method has it; noise and drawing anew move it
    for dim in (
        Float(0.9, 1.0, 0.95, complement=True),
        Float(0.9, 0.999, 0.95, complement=True),
        Float(0.05, 20.0, 1.0, log=True),
    ):
        assert len(explored(dim, dim.low)) == 2
        assert len(explored(dim, dim.high)) == 2, f"no way back from {dim.high}"
