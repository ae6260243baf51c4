"""IPBT's parts by themselves: who survives, in which slots, with what suggestions."""

import numpy as np
import pytest

from bgpbt.strategies import ipbt_state
from bgpbt.strategies.ipbt_draws import Draws
from bgpbt.strategies.ipbt_restart import Meta, donors_of, first_configs
from bgpbt.strategies.ipbt_slots import place

NAN = float("nan")


def test_who_survives_keeps_its_slot_and_the_others_copy_one_of_them():
    fitness, slots = np.array([1.0, 4, NAN, 3]), np.array([6, 1, 0, 3])
    draws = np.array([0, 0.4, 0.6, 0.9, 0.49, 0.5, 0, 0.99])
    assert donors_of(fitness, slots, 2, draws).tolist() == [1, 1, 3, 3, 1, 3, 1, 3]
    assert donors_of(np.full(4, NAN), slots, 2, draws).tolist() == [6] * 8


def test_the_members_move_to_the_slots_that_trained_least():
    slots, clock = np.array([0, 2, 4, 6, 1, 3, 5, 7]), np.array([2, 1] * 4)
    assert place(slots, clock).tolist() == [1, 3, 5, 7, 0, 2, 4, 6]
    assert place(slots, np.full(8, 3)).tolist() == slots.tolist()
    clock = np.array([2, 1, 1, 1, 1, 2, 2, 2])  # 2 and 4 are right where they are
    assert place(slots, clock).tolist() == [1, 2, 4, 3, 0, 5, 6, 7]


class Asked:
    """A bandit that suggests 0, 1, 2, ... for every dimension, and what it is told."""

    def __init__(self):
        self.calls = []

    def fit(self, key, last, rows):
        return "fitted", True

    def suggest(self, key, raw, rows, situation, replaced, region):
        self.calls.append((raw, rows, situation, replaced))
        config = situation.config.copy()
        config[replaced] = np.arange(replaced.sum())[:, None]
        return config


def lineages(start, best) -> ipbt_state.Lineages:
    config = np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]], np.float32)
    start, best = np.array(start, np.float32), np.array(best, np.float32)
    return ipbt_state.Lineages(config, start, best, np.arange(3, dtype=np.int32))


def asked(start, best):
    """Six slots, of which 1, 2 and 5 are random."""
    bandit = Asked()
    drawn = np.full((6, 2), 0.9, np.float32)
    random = np.isin(np.arange(6), [1, 2, 5])
    draws = Draws(drawn, *[None] * 2, random, *[None] * 3)
    meta = Meta(bandit, None, None)
    found = first_configs(meta, "past", lineages(start, best), 4, drawn, draws)
    return *found, bandit.calls


def test_half_of_a_restart_is_suggested_one_after_the_other():
    """Around the first configuration of the lineage that came furthest."""
    config, is_random, calls = asked(start=[1, 2, 3], best=[5, 9, 8])
    assert config[:, 0].tolist() == pytest.approx([0, 0.9, 0.9, 1, 2, 0.9])
    assert is_random.tolist() == [False, True, True, False, False, True]
    ((raw, rows, situation, replaced),) = calls
    assert (raw, rows, situation.round) == ("fitted", "past", 4)
    assert (situation.start == 2).all()
    assert situation.decided.tolist() == is_random.tolist()  # they are pending
    assert replaced.tolist() == (~is_random).tolist()
    donors = np.tile(np.float32([0.3, 0.4]), (3, 1))
    np.testing.assert_array_equal(situation.config[replaced], donors)
    assert (situation.config[~replaced] == np.float32(0.9)).all()


def test_a_lineage_of_unknown_start_or_end_is_no_centre():
    *_, calls = asked(start=[1, NAN, 3], best=[5, 9, NAN])
    situation = calls[0][2]
    np.testing.assert_array_equal(situation.config[0], np.float32([0.1, 0.2]))
    config, is_random, calls = asked(start=[NAN] * 3, best=[5, 9, 8])
    assert not calls and is_random.all() and (config == np.float32(0.9)).all()
