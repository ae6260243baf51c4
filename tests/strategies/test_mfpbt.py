"""MF-PBT's exchange, worked by hand, and what its authors' function gave."""

import jax
import numpy as np
import pytest
from toys import SPACE, outcome

from bgpbt import space as spaces
from bgpbt.strategies.mfpbt import mfpbt, select_donors
from bgpbt.types import Source

NAN = float("nan")
SCORES = np.array([10.0, 40, 30, 20, 35, 5, 50, 25])


def test_the_exchange_of_the_authors_function():
    found = select_donors(SCORES, (1, 2), 1)
    assert found.weights.tolist() == [1, 1, 2, 6, 4, 6, 6, 1]
    assert found.config.tolist() == [
        1,
        1,
        2,
        6,
        4,
        6,
        6,
        6,
    ]  # from a faster one, the own best member's configuration
    assert np.flatnonzero(found.explores).tolist() == [0, 5]


def test_a_slow_sub_population_waits():
    found = select_donors(SCORES, (1, 2), 0)
    assert found.weights.tolist() == [1, 1, 2, 6, 4, 5, 6, 7] and np.flatnonzero(
        found.explores
    ).tolist() == [0]


@pytest.mark.parametrize(
    ("finished", "acting"), [(0, [0]), (1, [0, 1]), (2, [0, 2]), (5, [0, 1, 2])]
)
def test_frequencies_count_rounds(finished, acting):
    fitness = np.tile([4.0, 3, 2, 1], 3)
    found = select_donors(fitness, (1, 2, 3), finished)
    assert (np.flatnonzero(found.explores) // 4).tolist() == acting


def test_a_candidate_that_is_not_better_stays_available():
    """Eight in a sub-population; slots are in the order of their rank.

    The second one meets the candidate that the first one refused.
    """
    own, others = [80.0, 70, 60, 50, 40, 10, 5, 4], [41.0, 30, 3, 2, 1, 0, -1, -2]
    found = select_donors(np.array(own + others), (1, 9), 0)
    assert found.weights[:8].tolist() == [0, 1, 2, 3, 8, 9, 0, 1]
    found = select_donors(np.array([*own[:4], 42.0, *own[5:], *others]), (1, 9), 0)
    assert found.weights[:8].tolist() == [0, 1, 2, 3, 4, 8, 0, 1]


def test_the_best_outsider_may_come_from_a_sub_population_that_waits_or_acts():
    found = select_donors(
        np.array([4.0, 3, 2, 1, 14, 13, 12, 11, 24, 23, 22, 21]), (1, 2, 3), 1
    )
    assert found.weights.tolist() == [0, 1, 8, 0, 4, 5, 8, 4, 8, 9, 10, 11]


def test_migrants_are_not_perturbed_and_factors_are_inverse():
    seen = outcome(SCORES, config=np.full((8, 7), 0.5))
    strategy = mfpbt(SPACE, ("first", "second"), frequencies=(1, 2), perturb_scale=0.2)
    _, decision = strategy.step(jax.random.PRNGKey(0), np.array(1, np.int32), seen)
    source, config = np.asarray(decision.source), np.asarray(decision.config)
    expected = np.full(8, int(Source.previous))
    expected[[0, 5]], expected[[3, 7]] = Source.perturbed, Source.copied
    np.testing.assert_array_equal(source, expected)
    np.testing.assert_array_equal(config[[3, 7]], seen.config[[3, 7]])
    weight = spaces.decode(SPACE, config)["weight"]  # 0.5 before
    assert all(round(float(w), 4) in (0.4, 0.625) for w in np.asarray(weight)[[0, 5]])


def test_architectures_go_with_the_weights():
    arch_mask = ~spaces.group_mask(SPACE, "hyperparameter")
    seen = outcome(SCORES)
    _, decision = mfpbt(SPACE, ("first", "second"), frequencies=(1, 2)).step(
        jax.random.PRNGKey(0), np.array(1, np.int32), seen
    )
    config = np.asarray(decision.config)
    np.testing.assert_array_equal(config[7, arch_mask], seen.config[1, arch_mask])
    np.testing.assert_array_equal(config[7, ~arch_mask], seen.config[6, ~arch_mask])


def test_a_failed_members_configuration_is_not_taken():
    """The slow sub-population failed as a whole.

    A migrant from a faster one would get the configuration of its best.
    """
    seen = outcome([1.0, 2, 3, 4, NAN, NAN, NAN, NAN])
    found = select_donors(np.asarray(seen.fitness), (1, 2), 1)
    assert found.weights[6] == 3 and found.config[6] == 4
    _, decision = mfpbt(SPACE, ("first", "second"), frequencies=(1, 2)).step(
        jax.random.PRNGKey(0), np.array(1, np.int32), seen
    )
    assert (np.asarray(decision.source)[4:] == Source.perturbed).all()
    assert set(np.asarray(decision.parents)[4:, 0]) <= {0, 1, 2, 3}


def test_who_failed_is_replaced_even_in_a_sub_population_that_waits():
    seen = outcome([1.0, 2, 3, 4, NAN, NAN, NAN, NAN])
    _, decision = mfpbt(SPACE, ("first", "second"), frequencies=(1, 2)).step(
        jax.random.PRNGKey(0), np.array(0, np.int32), seen
    )
    assert set(np.asarray(decision.parents)[4:, 0]) <= {0, 1, 2, 3}
    assert (np.asarray(decision.source)[4:] == Source.perturbed).all()
