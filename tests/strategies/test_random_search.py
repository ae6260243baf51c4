import jax
import numpy as np
from toys import SPACE, outcome

from bgpbt import space as spaces
from bgpbt.strategies.random_search import random_search
from bgpbt.types import Source

ARCH_MASK = ~spaces.group_mask(SPACE, "hyperparameter")
STRATEGY = random_search(SPACE, ("first", "second"))


def test_nobody_learns_from_anybody():
    seen = outcome([5, 1, 4, 2])
    _, decision = STRATEGY.step(jax.random.PRNGKey(0), (), seen)
    np.testing.assert_array_equal(decision.parents, [[0, 0], [1, 1], [2, 2], [3, 3]])
    np.testing.assert_array_equal(decision.config, seen.config)
    np.testing.assert_array_equal(decision.shrink, 1)
    np.testing.assert_array_equal(decision.perturb, 0)
    assert np.asarray(decision.source).tolist() == [Source.previous] * 4


def test_a_failed_member_starts_afresh_with_a_new_draw():
    seen = outcome([5, np.nan, 4, np.nan])
    draws = []
    for seed in range(100):
        _, decision = STRATEGY.step(jax.random.PRNGKey(seed), (), seen)
        np.testing.assert_array_equal(decision.parents[:, 0], np.arange(4))
        np.testing.assert_array_equal(decision.shrink, [[1, 1], [0, 0]] * 2)
        np.testing.assert_array_equal(decision.perturb, [[0, 0], [1, 1]] * 2)
        np.testing.assert_array_equal(decision.config[::2], seen.config[::2])
        assert np.asarray(decision.source)[1::2].tolist() == [Source.random] * 2
        draws.append(np.asarray(decision.config)[1::2])
    draws = np.concatenate(draws)
    assert (
        len(np.unique(draws[:, ARCH_MASK])) == 4
    )  # architectures, too: each of four widths
    draws = draws[:, ~ARCH_MASK]
    np.testing.assert_allclose(draws.mean(axis=0), 0.5, atol=0.08)
    assert np.abs(np.corrcoef(draws.T) - np.eye(draws.shape[1])).max() < 0.25


def test_all_failed_at_once_all_start_afresh():
    _, decision = STRATEGY.step(jax.random.PRNGKey(0), (), outcome([np.nan] * 4))
    np.testing.assert_array_equal(decision.shrink, 0)
