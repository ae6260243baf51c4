"""The bandit's programs on a history written by hand.

What reaches the model, and what a suggestion keeps away from.
"""

import jax
import numpy as np
import pytest

from bgpbt.gp import fit, trust_region
from bgpbt.gp.bandit import make_bandit
from bgpbt.gp.history import History
from bgpbt.gp.in_turn import Situation
from bgpbt.gp.inference import make_inference
from bgpbt.space import Categorical, Float

SPACE = {
    "x": Float(0.0, 1.0, 0.5),
    "y": Float(0.0, 1.0, 0.5),
    "kind": Categorical(("a", "b"), 0),
}
ROWS = 20
CENTRE = np.array([0.5, 0.5, 0.25], np.float32)
NOBODY = np.zeros((0, 3), np.float32)
BANDITS = {"all": make_bandit(SPACE, make_inference("jax"))}
BANDITS |= {
    name: make_bandit(SPACE, make_inference("jax"), **{name: False})
    for name in ("time", "context")
}


def rows(*, later: float = 0.0, richer: float = 0.0) -> History:
    """The cost falls with x and is lower for kind b."""
    rng = np.random.default_rng(0)
    config = rng.uniform(size=(ROWS, 3)).astype(np.float32)
    cost = -config[:, 0] - 0.5 * (config[:, 2] > 0.5)
    numbers = np.arange(ROWS, dtype=np.float32)
    return History(
        config,
        numbers + richer * numbers**2,
        numbers // 4 + later * (numbers > 9),
        cost,
        numbers > 2,
    )


@pytest.fixture(scope="module")
def raw():
    centre = fit.prior(3, 1)[0]
    centre = centre._replace(
        lengthscale=centre.lengthscale - 0.5, noise=centre.noise - 1
    )
    return jax.tree.map(lambda x: np.asarray(x, np.float32), centre)


def expected(name: str, raw, history: History) -> np.ndarray:
    config = np.array(
        [[0.2, 0.5, 0.25], [0.8, 0.5, 0.25], [0.8, 0.5, 0.75]], np.float32
    )
    ten, three = np.full(3, 10, np.float32), np.ones(3, np.float32)
    return BANDITS[name].predict(raw, history, config, ten, np.int32(6), three)[:, 1]


def situation(others: np.ndarray, decided: bool) -> Situation:
    """The last of four members asks; the first ones have other configurations."""
    config = np.concatenate([np.zeros((3, 3), np.float32), CENTRE[None]])
    config[: len(others)] = others
    pending = decided & (np.arange(4) < len(others))
    return Situation(config, np.full(4, 10, np.float32), pending, np.int32(6))


def suggested(
    raw, history: History, others: np.ndarray = NOBODY, decided: bool = True
) -> np.ndarray:
    region = jax.tree.map(np.asarray, trust_region.start())
    asks = situation(others, decided), np.arange(4) == 3, region
    return BANDITS["all"].suggest(jax.random.PRNGKey(0), raw, history, *asks)[3]


def test_what_was_seen_is_expected_again(raw):
    low, high, other = expected("all", raw, rows())
    assert low < high < other


def test_suggestions_follow_the_data(raw):
    """Upwards in x, to kind b; the other way where costs are turned round."""
    x, _, kind = suggested(raw, rows())
    assert x > 0.6 and kind > 0.5
    x, _, kind = suggested(raw, rows()._replace(cost=-rows().cost))
    assert x < 0.4 and kind < 0.5


def test_a_suggestion_keeps_away_from_what_is_pending(raw):
    """A pending point is taken to come out as predicted (Ginsbourger et al., 2010).

    It promises less to learn.
    """
    first = suggested(raw, rows())
    busy = np.tile(first, (3, 1))
    assert np.abs(suggested(raw, rows(), busy) - first).max() > 0.05
    np.testing.assert_array_equal(suggested(raw, rows(), busy, decided=False), first)


def test_what_is_long_ago_counts_only_where_time_does(raw):
    past, recent = rows(), rows(later=3)
    assert (
        np.abs(expected("all", raw, past) - expected("all", raw, recent)).max() > 1e-3
    )
    np.testing.assert_array_equal(
        expected("time", raw, past), expected("time", raw, recent)
    )


def test_the_fitness_at_the_start_counts_only_where_the_context_does(raw):
    poor, rich = rows(), rows(richer=1)
    assert np.abs(expected("all", raw, poor) - expected("all", raw, rich)).max() > 1e-3
    np.testing.assert_array_equal(
        expected("context", raw, poor), expected("context", raw, rich)
    )
