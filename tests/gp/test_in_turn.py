"""Suggestions one after the other: who is asked when, and what is pending then."""

import jax
import jax.numpy as jnp
import numpy as np

from bgpbt.gp import in_turn
from bgpbt.gp.in_turn import Situation, nearest_pending, suggest_in_turn

PLACES = np.array([[0.9], [0.1], [0.2], [0.3], [0.25]], np.float32)


def situation(decided, start=(1, 2, 3, 4, 5)) -> Situation:
    decided = np.isin(np.arange(5), decided)
    return Situation(PLACES, np.array(start, np.float32), decided, np.int32(6))


def test_who_was_suggested_is_pending_for_the_next():
    """Each suggestion counts the pending ones, ten of which are a member's number."""

    def count(key, situation, member):
        there = situation.decided.sum() + 10 * member
        return there[None].astype(jnp.float32), member + 100

    replaced = np.isin(np.arange(5), [1, 3, 4])
    config, source = jax.jit(
        lambda asked: suggest_in_turn(count, jax.random.PRNGKey(0), asked, replaced)
    )(situation([0, 2]))
    np.testing.assert_allclose(config[:, 0], [0.9, 12, 0.2, 33, 44])
    assert source.tolist() == [0, 101, 0, 103, 104]


def test_every_suggestion_has_a_key_of_its_own():
    def draw(key, situation, member):
        return jax.random.uniform(key, (1,)), member

    everyone = np.ones(5, bool)
    drawn, _ = suggest_in_turn(draw, jax.random.PRNGKey(0), situation([]), everyone)
    assert len(set(drawn[:, 0].tolist())) == 5


def test_pending_are_the_nearest_whose_fitness_is_known(monkeypatch):
    monkeypatch.setattr(in_turn, "MAX_PENDING", 2)
    members, known = nearest_pending(situation([0, 1, 2, 3]), 4)
    assert members.tolist() == [2, 3] and known.all()
    unknown = situation([0, 1, 2, 3], start=[1, 2, np.nan, 4, 5])
    members, known = nearest_pending(unknown, 4)
    assert members.tolist() == [1, 3] and known.all()
    members, known = nearest_pending(situation([0]), 4)
    assert members[known].tolist() == [0]
