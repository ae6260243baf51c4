"""Worked cases by hand."""

import numpy as np
import pytest

from bgpbt.gp import trust_region
from bgpbt.gp.trust_region import TrustRegion


def after(outcomes: str, region: TrustRegion | None = None) -> TrustRegion:
    """`s` a success, `f` a failure, `-` a round in which nothing was tried."""
    region = region or trust_region.start()
    for outcome in outcomes:
        region = trust_region.update(region, outcome != "-", outcome == "s")
    return region


@pytest.mark.parametrize(
    ("outcomes", "length", "successes", "failures"),
    [
        ("", 0.4, 0, 0),
        ("ss", 0.4, 2, 0),
        ("sss", 0.6, 0, 0),
        ("ssfs", 0.4, 1, 0),
        ("sss" * 3, 1.0, 0, 0),  # 0.4 * 1.5^3 = 1.35 is cut
        ("f" * 9, 0.4, 0, 9),
        ("f" * 10, 0.4 / 1.5, 0, 0),
        ("f" * 9 + "s", 0.4, 1, 0),
        ("f" * 5 + "----" + "f" * 5, 0.4 / 1.5, 0, 0),
        ("f" * 5 + "s-", 0.4, 1, 0),
    ],
)
def test_length_and_counters(outcomes, length, successes, failures):
    found = after(outcomes)
    np.testing.assert_allclose(found.length, length, rtol=1e-6)
    assert (int(found.successes), int(found.failures)) == (successes, failures)


def test_the_longest_edge():
    region = trust_region.start()
    for _ in range(3):
        region = trust_region.update(region, True, True, max_length=0.5)
    np.testing.assert_allclose(region.length, 0.5)


def test_three_shrinks_exhaust_a_region():
    assert not trust_region.exhausted(after("f" * 29), 9)
    assert trust_region.exhausted(after("f" * 30), 9)
    assert not trust_region.exhausted(after("f" * 50), 0) and trust_region.exhausted(
        after("f" * 60), 0
    )


def test_the_box_is_long_where_the_function_is_smooth():
    centre, lengthscale = np.full(3, 0.5), np.array([0.5, 1.0, 2.0])
    low, high = trust_region.box(trust_region.start(), centre, lengthscale)
    np.testing.assert_allclose(high - low, [0.2, 0.4, 0.8], rtol=1e-6)
    np.testing.assert_allclose(np.prod(high - low), 0.4**3, rtol=1e-6)
    low, high = trust_region.box(
        trust_region.start(), np.array([0.05, 0.5, 0.95]), np.ones(3)
    )
    np.testing.assert_allclose(low, [0, 0.3, 0.75], atol=1e-6)
    np.testing.assert_allclose(high, [0.25, 0.7, 1], atol=1e-6)


def test_everywhere_and_nothing_are_boxes_too():
    low, high = trust_region.box(
        trust_region.start()._replace(length=np.inf), np.array([0.3, 0.9]), np.ones(2)
    )
    np.testing.assert_array_equal([low, high], [[0, 0], [1, 1]])
    assert trust_region.box(trust_region.start(), np.zeros(0), np.zeros(0))[
        0
    ].shape == (0,)


@pytest.mark.parametrize(
    ("share", "categories", "may"),
    [(1.0, 3, 3), (1 / 1.5, 3, 2), (0.5, 3, 1), (0.2, 3, 0), (1.0, 0, 0)],
)
def test_how_many_categories_may_differ(share, categories, may):
    region = trust_region.start()._replace(categories=np.float32(share))
    assert int(trust_region.changes(region, categories)) == may
