"""FIRE-PBT's curves, worked by hand, and who inherits from whom of eight.

Members 0, 1, 2 are greedy, 3, 4, 5 patient, 6 and 7 evaluate.
"""

import jax
import numpy as np
import pytest
from toys import SPACE, counted_compilations, outcome, same_bits

from bgpbt import space as spaces
from bgpbt.strategies import firepbt_evaluators as evaluators
from bgpbt.strategies.firepbt import firepbt
from bgpbt.strategies.firepbt_curves import (
    WORSE,
    Curve,
    best_score_difference,
    overlap,
    p_value,
)
from bgpbt.strategies.firepbt_state import initial_state, roles_of
from bgpbt.types import Source

NAN = float("nan")
INTERVAL = 3
ROLES = roles_of(8)


class Raw(Curve):
    """A curve that is not smoothed."""

    @property
    def smooth(self) -> np.ndarray:
        return self.raw


A = Raw(np.arange(1.0, 10))
B = Raw(np.array([2.5, 2.6, 2.7, 2.8, 2.9, 3.0, 3.1, 3.2, 3.3]))
C = Raw(np.array([2, 2.2, 2.6, 3.5, 4, 4.5, 5, 5.5, 6]))

# Curves


def test_the_worked_example():
    assert overlap(A.raw, B.raw) == (2, 0, 7)
    assert best_score_difference(A, B) == pytest.approx(5.9)
    assert best_score_difference(B, A) == pytest.approx(-5.9)
    assert best_score_difference(A, C) == pytest.approx(3.5)
    assert best_score_difference(B, C) == pytest.approx(-2.9)
    assert p_value(A, B) == pytest.approx(1 / 128)  # 7 of 7, promoted
    assert p_value(Raw(A.raw[:8]), B) == pytest.approx(1 / 64)  # 6 of 6, not yet


def test_the_fitness_of_the_worked_example():
    """Three of the four evaluators that 14 members have."""
    roles = roles_of(14)
    state = initial_state(14)
    first = int(roles.patient[0])
    state.parent[:3] = first, first + 1, first + 3
    found = [None] * 14
    for slot, curve in zip(roles.evaluators, (A, B, C), strict=False):
        found[slot] = curve
    fitness = evaluators.patient_fitness(state, roles, found)
    assert fitness == pytest.approx([9.4, -8.8, NAN, -0.6, NAN], nan_ok=True)


def test_curves_that_do_not_overlap():
    high, low = Raw(np.array([10.0, 11, 12])), Raw(np.array([1.0, 3, 2]))
    assert overlap(low.raw, high.raw) is None
    # Shifted down by 7 it is 3, 4, 5, and meets 3, 2: 4 - 3. Further down it is less.
    assert best_score_difference(high, low) == pytest.approx(1)
    assert best_score_difference(low, high) == 0
    assert p_value(high, low) == 0 and p_value(low, high) == WORSE
    flat = Raw(np.array([1.0, 1.0]))
    assert best_score_difference(high, flat) == 0


def test_curves_that_cross_without_overlap_are_compared_as_they_are():
    falling, above = Raw(np.array([2.0, 5, 0])), Raw(np.array([6.0, 4, 3]))
    assert overlap(falling.raw, above.raw) is None
    assert p_value(falling, above) == pytest.approx(7 / 8)  # 1 of 3 or more


def test_smoothed_curves_say_where_and_raw_ones_how_much():
    rng = np.random.default_rng(0)
    slow = Curve(np.arange(30) / 10 + 0.3 * rng.normal(size=30))
    fast = Curve(np.arange(30) / 5 - 1 + 0.3 * rng.normal(size=30))
    assert np.abs(slow.smooth - np.arange(30) / 10).mean() < 0.2
    first, other, number = overlap(fast.smooth, slow.smooth)
    assert 2 <= first <= 8 and other == 0 and number == 30 - first
    expected = fast.raw[first:].max() - slow.raw[:number].max()
    assert best_score_difference(fast, slow) == pytest.approx(expected)


# Evaluators


def evaluating(own: Curve, other: Curve, age: int):
    """Member 6 evaluates member 3 with the hyperparameters of member 1."""
    state = initial_state(8)
    state.parent[0], state.child[0], state.age[0] = 3, 1, age
    found = [None] * 8
    found[6], found[1] = own, other
    return evaluators.judge(state, ROLES, found)


@pytest.mark.parametrize(
    ("own", "other", "age", "goes_on", "promoted"),
    [
        (A, B, 1, False, {1: 6}),  # p 1 / 128
        (Raw(A.raw[:8]), B, 1, True, {}),  # p 1 / 64 is not below 0.01
        (Raw(A.raw[:8]), B, 3, False, {}),  # but above it, and the time is over
        (B, A, 1, False, {}),  # p 1 > 0.01 + 2 / 3
        (Raw(B.raw - 5), B, 2, True, {}),  # no overlap yet
        (Raw(B.raw - 5), B, 3, False, {}),
        (Raw(A.raw + 20), B, 1, False, {1: 6}),  # above everywhere, and faster
        (Raw(B.raw + 5), B, 1, True, {}),  # above everywhere, but as fast
    ],
)
def test_when_an_evaluation_ends(own, other, age, goes_on, promoted):
    state, found = evaluating(own, other, age)
    assert found == promoted
    assert state.parent.tolist() == [3 if goes_on else -1, -1]


def test_of_two_evaluators_of_a_child_the_second_has_to_be_better():
    for second, winner in ((B, 6), (Raw(2 * A.raw + 20), 7)):
        state = initial_state(8)
        state.parent[:], state.child[:], state.age[:] = (3, 4), 1, 1
        found = [None] * 8
        found[6], found[7], found[1] = A, second, B
        state, promoted = evaluators.judge(state, ROLES, found)
        assert promoted == {1: winner} and (state.parent == -1).all()


def test_who_waited_longest_is_next():
    state = initial_state(8)
    state.waiting[:], state.parent[0] = (2, 5, 4), 4  # member 4 is evaluated
    failed = np.zeros(8, bool)
    _, begun = evaluators.assign(state, ROLES, 2, failed | (np.arange(8) == 5))
    assert begun == {7: 3}
    state, begun = evaluators.assign(state, ROLES, 2, failed)
    assert begun == {7: 5} and state.child[1] == 2 and state.age[1] == 0
    assert state.parent.tolist() == [4, 5] and state.waiting.tolist() == [2, 5, 0]


# Decisions


@pytest.fixture(scope="module")
def strategy():
    made = firepbt(SPACE, ("first", "second"), interval=INTERVAL)
    made.prepare(8)
    return made


class Play:
    def __init__(self, strategy):
        self.strategy, self.round = strategy, 0
        self.config = outcome(np.zeros(8)).config
        self.state = strategy.init(jax.random.PRNGKey(0), outcome(np.zeros(8)))

    def turn(self, fitness):
        self.round += 1
        seen = outcome(fitness, config=self.config)
        key = jax.random.PRNGKey(self.round)
        self.state, decision = self.strategy.step(key, self.state, seen)
        self.before = self.config
        self.decision = jax.tree.map(np.asarray, decision)
        self.config = self.decision.config
        return self.decision

    def interval(self, fitness):
        for _ in range(INTERVAL - 1):
            decision = self.turn(fitness)
            assert (decision.parents == np.arange(8)[:, None]).all()
            assert (decision.source == Source.previous).all()
        return self.turn(fitness)


FIRST = [5.0, 1, 3, 9, 8, 7, 0, 0]


def test_the_first_decision(strategy):
    """The greedy ones select by fitness; evaluators take patient weights."""
    play = Play(strategy)
    decision = play.interval(FIRST)
    assert decision.parents[:, 0].tolist() == [0, 0, 2, 3, 4, 5, 3, 4]
    names = [Source(s).name for s in decision.source]
    assert names == [
        *["previous", "perturbed", "previous"],
        *["previous"] * 3,
        *["copied"] * 2,
    ]
    arch_mask = ~spaces.group_mask(SPACE, "hyperparameter")
    for evaluator, parent in ((6, 3), (7, 4)):
        config, before = play.config[evaluator], play.before
        np.testing.assert_array_equal(config[~arch_mask], before[0, ~arch_mask])
        np.testing.assert_array_equal(config[arch_mask], before[parent, arch_mask])
    assert play.state.parent.tolist() == [3, 4] and play.state.child.tolist() == [0, 0]
    assert play.state.waiting.tolist() == [0, 0, 1]
    assert np.isnan(play.state.curves[[1, 6, 7]]).all()


def test_factors_are_2_and_a_half(strategy):
    play = Play(strategy)
    play.config = np.full((8, len(SPACE)), 0.5, np.float32)
    play.interval(FIRST)
    weight = float(spaces.decode(SPACE, play.config[1])["weight"])
    assert round(weight, 4) in (0.25, 1.0)


def test_the_patient_one_that_improves_faster_is_copied(strategy):
    """The evaluator of member 4 begins lower, and overtakes that of member 3."""
    play = Play(strategy)
    others = [52, 50, 51, 9, 8, 7]
    play.interval([*others, 0, 0])
    for number in range(INTERVAL):
        decision = play.turn([*others, 1 + number / 5, 2 * number])
    assert decision.parents[3, 0] == 4 and decision.source[3] == Source.perturbed
    assert decision.source[4] == decision.source[5] == Source.previous
    # Its evaluator is free, and takes the one that was never evaluated.
    assert decision.parents[6, 0] == 5 and decision.parents[7, 0] == 7
    assert play.state.parent.tolist() == [5, 4] and play.state.age.tolist() == [0, 1]
    assert play.state.child[0] == 0  # the best that was not perturbed


def test_a_promoted_child_keeps_its_hyperparameters():
    """Evaluator 7 begins below its child, member 0, and soon is above it."""
    play = Play(firepbt(SPACE, ("first", "second"), interval=10))
    for number in range(20):
        child, evaluator = 1.95 + number / 10, number % 10 + 1
        slow = 2 + number / 20
        decision = play.turn([child, 0, 1, 9, 8, 7, slow, evaluator])
        if number != 19:
            assert decision.parents[0, 0] == 0
    assert decision.parents[0, 0] == 7
    arch_mask = ~spaces.group_mask(SPACE, "hyperparameter")
    expected = np.where(arch_mask, play.before[7], play.before[0])
    np.testing.assert_array_equal(play.config[0], expected)
    assert decision.source[0] == Source.previous
    # It goes on with the evaluator's curve.
    assert play.state.curves[0, -10:].tolist() == list(range(1, 11))
    assert np.isnan(play.state.curves[0, :-10]).all()
    # Both evaluations ended. Member 5 waited longest, and 3 was just perturbed.
    assert play.state.parent.tolist() == [5, 4] and not play.state.age.any()


def test_an_evaluator_that_fails_is_not_promoted():
    """It would be, but for its last round; its child stays as it is."""
    play = Play(firepbt(SPACE, ("first", "second"), interval=10))
    for number in range(20):
        child, evaluator = 1.95 + number / 10, number % 10 + 1
        last = NAN if number == 19 else evaluator
        decision = play.turn([child, 0, 1, 9, 8, 7, 2 + number / 20, last])
    assert decision.parents[0, 0] == 0 and decision.source[0] == Source.previous
    assert np.isfinite(play.state.curves[0]).sum() == 20
    assert decision.parents[7, 0] in (3, 4, 5)  # it begins another evaluation


def test_whoever_fails_copies_its_own_kind(strategy):
    play = Play(strategy)
    play.interval(FIRST)
    decision = play.turn([5, NAN, 3, NAN, 8, 7, NAN, 1])
    assert decision.parents[1, 0] in (0, 2) and decision.parents[3, 0] in (4, 5)
    assert decision.parents[6, 0] == 7
    assert (decision.source[[1, 3, 6]] == Source.perturbed).all()
    # Member 6 evaluated member 3. Member 7 goes on.
    assert play.state.parent.tolist() == [-1, 4] and play.state.waiting[0] == -1
    assert np.isnan(play.state.curves[[1, 3, 6]]).all()


def test_a_kind_that_failed_as_a_whole_copies_anyone(strategy):
    decision = Play(strategy).turn([NAN, NAN, NAN, 9, NAN, 7, 0, 0])
    assert set(decision.parents[:3, 0]) <= {3, 5, 6, 7}
    assert decision.parents[4, 0] in (3, 5)


def test_a_failed_member_is_never_evaluated_nor_a_child(strategy):
    play = Play(strategy)
    for _ in range(INTERVAL - 1):
        play.turn(FIRST)
    decision = play.turn([NAN, 1, 3, NAN, 8, 7, 0, 0])
    assert not np.isin(decision.parents, [0, 3]).any()
    assert play.state.child[play.state.parent != -1].tolist() in ([2], [2, 2])


def test_the_same_state_gives_the_same_bits(strategy):
    rng = np.random.default_rng(0)
    fitness = rng.normal(size=(4 * INTERVAL, 8))
    play, other = Play(strategy), Play(strategy)
    kinds = jax.tree.map(lambda x: (x.shape, x.dtype), play.state)
    for number, values in enumerate(fitness):
        play.turn(values)
        assert jax.tree.map(lambda x: (x.shape, x.dtype), play.state) == kinds
        if number % 4 == 1:  # as read back from a checkpoint
            other.state = jax.tree.map(np.array, other.state)
        other.turn(values)
    assert same_bits(play.state, other.state)
    assert same_bits(play.decision, other.decision)


@pytest.mark.long
def test_nothing_is_compiled_after_the_preparation():
    jax.clear_caches()  # smoothing is the same program for all strategies
    made = firepbt(SPACE, ("first", "second"), interval=INTERVAL)
    made.prepare(8)
    play = Play(made)
    with counted_compilations() as compiled:
        for values in np.random.default_rng(0).normal(size=(4 * INTERVAL, 8)):
            play.turn(values)
    assert compiled == []


@pytest.mark.parametrize(("size", "kinds"), [(8, (3, 3, 2)), (22, (8, 8, 6))])
def test_kinds(size, kinds):
    roles = roles_of(size)
    assert tuple(map(len, roles)) == kinds
    np.testing.assert_array_equal(np.concatenate(roles), np.arange(size))


def test_too_few_are_refused(strategy):
    assert strategy.validate(8) == ""
    assert strategy.validate(7).startswith("pop_size: 7 members are too few for two")
