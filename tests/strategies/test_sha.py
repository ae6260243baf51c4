"""Successive halving with refill: who is stopped, worked by hand."""

import jax
import numpy as np
from toys import SPACE, outcome

from bgpbt.strategies.sha import select_stopped, sha
from bgpbt.types import Source

NAN = float("nan")
FITNESS = np.array([5.0, 1, 7, 3, 8, 2, 6, 4])


def test_eight_become_four_two_one():
    """At 1, 2 and 4 rounds; in between nobody is stopped.

    8 + 4 + 2 + 1 of the first group, 20 member-rounds in all.
    """
    everyone = np.ones(8, int)
    assert np.flatnonzero(~select_stopped(FITNESS, everyone, 2)).tolist() == [
        0,
        2,
        4,
        6,
    ]
    rounds = np.where(np.isin(np.arange(8), [0, 2, 4, 6]), 2, 0)
    assert np.flatnonzero(
        ~select_stopped(FITNESS, rounds, 2) & (rounds == 2)
    ).tolist() == [
        2,
        4,
    ]
    rounds = np.where(np.isin(np.arange(8), [2, 4]), 4, 0)
    assert np.flatnonzero(select_stopped(FITNESS, rounds, 2)).tolist() == [2]
    assert not select_stopped(FITNESS, np.full(8, 3), 2).any()


def test_eta_4_keeps_a_quarter_rounded_up():
    assert np.flatnonzero(~select_stopped(FITNESS[:6], np.full(6, 4), 4)).tolist() == [
        2,
        4,
    ]
    assert not select_stopped(FITNESS, np.full(8, 8), 4).any()  # 8 is no power of 4


def test_groups_that_began_at_different_times_are_judged_apart():
    rounds = np.array([2, 2, 2, 2, 1, 1, 1, 1])
    assert np.flatnonzero(select_stopped(FITNESS, rounds, 2)).tolist() == [1, 3, 5, 7]
    rounds = np.array([2, 2, 2, 2, 2, 2, 1, 3])
    assert np.flatnonzero(select_stopped(FITNESS, rounds, 2)).tolist() == [
        1,
        3,
        5,
    ]  # the lone 1 is the best of its group


def test_who_failed_is_stopped_at_once():
    assert np.flatnonzero(
        select_stopped(np.array([NAN, 1.0, 2, 3]), np.full(4, 3), 2)
    ).tolist() == [0]


def test_a_stopped_slot_begins_afresh_with_a_random_configuration():
    seen, strategy = outcome(FITNESS), sha(SPACE, ("first", "second"))
    rounds, decision = strategy.step(
        jax.random.PRNGKey(0), strategy.init(None, seen), seen
    )
    gone = [1, 3, 5, 7]
    decision = jax.tree.map(np.asarray, decision)
    assert rounds.tolist() == [1, 0, 1, 0, 1, 0, 1, 0]
    assert (np.asarray(decision.parents) == np.arange(8)[:, None]).all()
    assert (decision.shrink[gone] == 0).all() and (decision.perturb[gone] == 1).all()
    assert (np.asarray(decision.source)[gone] == Source.random).all()
    kept = [0, 2, 4, 6]
    np.testing.assert_array_equal(np.asarray(decision.config)[kept], seen.config[kept])
    assert (np.asarray(decision.config)[gone] != seen.config[gone]).any(axis=1).all()


def test_rounds_of_a_member_that_was_idle_do_not_count():
    seen, strategy = (
        outcome(FITNESS, active=np.arange(8) < 4),
        sha(SPACE, ("first", "second")),
    )
    rounds, _ = strategy.step(jax.random.PRNGKey(0), strategy.init(None, seen), seen)
    assert rounds[4:].tolist() == [0] * 4
