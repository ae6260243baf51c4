"""TV.EXP3.M's rules, worked by hand; the figures were computed apart from this code."""

import numpy as np

from bgpbt.gp import exp3m
from bgpbt.gp.precision import float64

rates = float64(lambda batch, rounds: exp3m.rates(8, batch, rounds))
play = float64(exp3m.play)
cap = float64(exp3m.cap)
distribution = float64(exp3m.distribution)
probabilities = float64(lambda *rows: exp3m.probabilities(*rows, num_arms=3))
# One arm is worth far more than a member's share of all: three members, six arms.
UNEQUAL = np.array([10.0, 1, 1, 1, 1, 5])


def test_the_rates():
    np.testing.assert_allclose(rates(4.0, 50.0), [0.401694, 1 / 500], atol=1e-6)
    np.testing.assert_allclose(rates(8.0, 50.0), [0.2, 1 / 500], atol=1e-6)
    np.testing.assert_allclose(rates(4.0, 2.0), [1, 1 / 20], atol=1e-6)  # at most 1


def test_a_round():
    """Arms 0, 0, 1, 2 gave 1, 0.5, 0.5, 0; the gains of an arm are summed."""
    weights = play(np.ones(3), np.array([1.5, 0.5, 0]), 4.0, 0.2, 1 / 500)
    np.testing.assert_allclose(weights, [0.390424, 0.319936, 0.289639], atol=1e-6)
    np.testing.assert_allclose(
        distribution(weights, 0.2, 1 / 500), [0.378759, 0.322674, 0.298567], atol=1e-6
    )


def test_an_arm_that_would_be_played_twice_is_cut_and_does_not_grow():
    """s = (1 / 3 - 0.1 / 6) / 0.9; with two arms cut, a = 4 s / (1 - 2 s) = 4.75."""
    weights, capped = cap(UNEQUAL, 3.0, 0.1)
    np.testing.assert_allclose(weights, [4.75, 1, 1, 1, 1, 4.75], atol=1e-6)
    assert capped.tolist() == [True, False, False, False, False, True]
    chances = distribution(weights, 0.1, 0.0)
    np.testing.assert_allclose(3 * chances[[0, 5]], 1, atol=1e-6)
    after = play(UNEQUAL, np.array([1.0, 1, 0, 0, 0, 0]), 3.0, 0.1, 1 / 500)
    np.testing.assert_allclose(
        after, [0.345609, 0.088401, 0.073461, 0.073461, 0.073461, 0.345609], atol=1e-6
    )
    for batch, gamma in ((6.0, 0.2), (3.0, 1.0), (1.0, 0.1)):  # nothing to cut
        weights, capped = cap(UNEQUAL, batch, gamma)
        assert (weights == UNEQUAL).all() and not capped.any()


def test_the_replay():
    """Three rows of one round, two of the next; an empty one, and one that failed."""
    arm = np.array([0, 0, 1, 1, 2, 0, 1], np.int32)
    reward = np.array([9, 1, 0.5, 0, 0.25, 0.75, 9])
    time = np.array([0.0, 3, 3, 3, 5, 5, 5])
    valid = np.array([False, *[True] * 5, False])
    np.testing.assert_allclose(
        probabilities(arm, reward, time, valid),
        [0.369076, 0.318820, 0.312104],
        atol=1e-6,
    )
    one = probabilities(arm[1:2], reward[1:2], time[1:2], valid[1:2])
    assert np.isfinite(one).all() and one.argmax() == 0  # the history is full


def test_an_arm_that_becomes_the_best_is_found():
    """Thirty rounds of one best arm, then ten of another."""
    time = np.repeat(np.arange(1.0, 41), 6)
    arm = np.tile(np.array([0, 0, 1, 1, 2, 2], np.int32), 40)
    best = np.where(time <= 30, 0, 1)
    valid = np.ones(240, bool)
    before = time <= 30
    first = probabilities(arm, 1.0 * (arm == best), time, valid & before)
    assert first[0] > 0.6
    assert probabilities(arm, 1.0 * (arm == best), time, valid).argmax() == 1


def test_a_large_population_does_not_overflow():
    arm = np.zeros(5000, np.int32)
    chances = probabilities(arm, np.ones(5000), np.ones(5000), np.ones(5000, bool))
    # One arm has all weight: (0.8 + 0.2 / 3 + 0.1 e / 3) / (1 + 0.1 e).
    np.testing.assert_allclose(chances, [0.752677, 0.123661, 0.123661], atol=1e-6)
