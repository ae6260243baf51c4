"""IPBT on outcomes written by hand.

When it begins again and with what, in which slots, and what it learns from.
"""

import jax
import numpy as np
import pytest
from toys import counted_compilations, same_bits

from bgpbt.execution.inherit import shrink_perturb
from bgpbt.space import Categorical, Float, Integer
from bgpbt.strategies import ipbt_state
from bgpbt.strategies.ipbt import ipbt
from bgpbt.types import Outcome, Source

N, P = 8, 4  # slots, and members that work between restarts
STEPS = 10  # of a round
LENGTH = 75  # rounds of a slot: a budget of 150 of each of the P members
SPACE = {
    "rate": Float(1e-4, 1e-1, 1e-2, log=True),
    "weight": Float(0.0, 1.0, 0.5),
    "epochs": Integer(2, 16, 4, log=True),
    "kind": Categorical(("a", "b", "c"), 0),
}
NAN = float("nan")
KEY = jax.random.PRNGKey(7)


@pytest.fixture(scope="module")
def strategy():
    return made_with(SPACE)


def made_with(space):
    made = ipbt(
        space,
        ("policy", "value"),
        quantile_fraction=0.25,
        max_timesteps=LENGTH * STEPS,
    )
    made.prepare(N)
    return made


class Play:
    """A population of N slots whose fitness the test says."""

    def __init__(self, strategy, length: int = LENGTH):
        config = np.random.default_rng(0).uniform(size=(N, len(SPACE)))
        self.strategy, self.length = strategy, length * STEPS
        self.config = config.astype(np.float32)
        self.fitness = np.zeros(N, np.float32)
        self.timesteps = np.zeros(N, np.int32)
        self.active = np.ones(N, bool)
        self.round = 0
        self.state = strategy.init(KEY, self.outcome())
        self.decision = None

    def outcome(self) -> Outcome:
        fitness, clock = self.fitness.copy(), self.timesteps.copy()
        return Outcome(
            self.config, fitness, fitness[:, None], clock, clock, self.active.copy()
        )

    def turn(self, fitness):
        """A round; `fitness` is of all slots, or one for those that train."""
        self.round += 1
        self.fitness = np.where(self.active, fitness, self.fitness).astype(np.float32)
        self.timesteps += np.where(self.active, STEPS, 0).astype(np.int32)
        key = jax.random.fold_in(KEY, self.round)
        self.state, decision = self.strategy.step(key, self.state, self.outcome())
        self.decision = jax.tree.map(np.asarray, decision)
        self.config = self.decision.config
        self.active = self.decision.active & (self.timesteps < self.length)
        return self.decision

    @property
    def clock(self) -> float:
        """Rounds that a member has trained, were there always P of them."""
        return self.timesteps.sum() / STEPS / P

    @property
    def interval(self) -> int:
        return ipbt_state.interval(self.state)


def order(base: float) -> np.ndarray:
    """Slot 7 is the best, a little."""
    return base + np.arange(N) / 100


def until_restart(play: Play) -> Play:
    """The start, and then a curve that falls three times."""
    for base in (5.0, 4.0, 3.0, 2.0):
        play.turn(order(base))
    assert play.state.restarts == 1
    return play


# When


def test_the_clock_counts_those_who_train(strategy):
    """2 after the start, 1 for each interval of the half, 4 for the next scoring."""
    play = Play(strategy)
    play.turn(order(5))
    assert play.clock == 2 and play.active.sum() == P
    for clock, base in enumerate((4, 3, 2), start=3):
        play.turn(order(base))
        assert play.clock == clock
    assert play.interval == 2 and play.active.all()
    play.turn(order(1))
    play.turn(order(2))
    assert play.clock == 9 and play.active.sum() == P


@pytest.mark.long
def test_the_clock_of_the_worked_example(strategy):
    """Budget 150, interval 1: 2 after the start, restart at 20, 24 once scored."""
    play = Play(strategy)
    play.turn(order(1))
    assert play.clock == 2 and play.active.sum() == P and play.interval == 1
    for base in range(2, 17):
        play.turn(order(base))
    for base in (10, 9):
        play.turn(order(base))
        assert play.state.restarts == 0
    play.turn(order(8))
    assert play.clock == 20 and play.interval == 2 and play.active.all()
    play.turn(order(3))
    play.turn(order(4))
    assert play.clock == 24 and play.active.sum() == P


def test_a_rise_forgets_failures(strategy):
    play = Play(strategy)
    for base in (5, 4, 3, 6, 5, 4):
        play.turn(order(base))
    assert play.state.restarts == 0 and play.state.failures == 2


def test_no_restart_that_could_not_train_an_interval_of_every_slot():
    """Of 4 rounds a slot has trained 3 when the curve has fallen three times."""
    made = ipbt(SPACE, ("all",), max_timesteps=4 * STEPS)
    play = Play(made, 4)
    for base in (5, 4, 3, 2, 1, 0, -1):
        play.turn(order(base))
        assert play.interval == 1
    assert (play.timesteps == 4 * STEPS).all()  # the end: all alike


# With what


def test_a_restart_by_hand(strategy):
    play = until_restart(Play(strategy))
    decision = play.decision
    assert decision.active.all()
    # Of the four that worked, a quarter survives. The highest slot is the best of them.
    worked = np.flatnonzero(play.timesteps > play.timesteps.min())
    assert len(worked) == P
    assert set(decision.parents.ravel()) == {worked[-1]}
    fresh = decision.shrink[:, 0] == 0
    assert fresh.sum() == N // 2 and (decision.perturb[fresh] == 1).all()
    np.testing.assert_allclose(decision.shrink[~fresh], 0.2)
    np.testing.assert_allclose(decision.perturb[~fresh], 0.1)
    assert (decision.source == Source.random).sum() == N // 2
    assert (decision.source == Source.gp).sum() == N // 2
    assert len(np.unique(play.config, axis=0)) == N


def test_a_weight_of_1_and_a_fresh_one_of_a_half(strategy):
    decision = until_restart(Play(strategy)).decision
    (member, *_) = np.flatnonzero(decision.shrink[:, 0])
    factors = decision.shrink[member, 0], decision.perturb[member, 0]
    weight = shrink_perturb(np.float32(1), np.float32(0.5), *factors)
    assert float(weight) == pytest.approx(0.25)


def test_weights_and_hyperparameters_are_drawn_apart(strategy):
    pairs = set()
    for seed in range(5):
        draws = strategy.step.args[0].draw(jax.random.PRNGKey(seed), N)
        assert draws.fresh.sum() == draws.random.sum() == N // 2
        pairs.add((draws.fresh.tobytes(), draws.random.tobytes()))
    assert len(pairs) == 5 and any(fresh != random for fresh, random in pairs)


def test_a_restart_learns_from_what_became_of_first_configurations(strategy):
    """Three intervals of a start at 0: the best fitness of any descendant counts."""
    play = Play(strategy)
    play.turn(order(5))
    first = play.config[play.state.slots[:P]].copy()
    old = play.state.lineages
    assert old.start.tolist() == [0] * P and sorted(old.of)[0] == 1
    for base in (4.0, 3.0):
        play.turn(order(base))
    before = play.state.lineages
    play.turn(order(2))
    rows = play.state.past
    assert rows.valid.sum() == P and (rows.time[rows.valid] == 0).all()
    np.testing.assert_array_equal(rows.config[rows.valid], before.config)
    np.testing.assert_array_equal(rows.context[rows.valid], np.zeros(P))
    np.testing.assert_allclose(rows.cost[rows.valid], -before.best)
    # The slots 4 to 7 were kept, and the worst of them then copied the best.
    np.testing.assert_allclose(before.best, order(5)[4:], rtol=1e-6)
    assert not np.array_equal(first[0], before.config[0])
    np.testing.assert_array_equal(first[1:], before.config[1:])


def test_what_a_restart_brings_is_measured_from_its_first_round(strategy):
    play = until_restart(Play(strategy))
    play.turn(order(1))
    assert not play.state.bandit.history.valid.any()
    assert (play.decision.source == Source.previous).all() and play.active.all()
    play.turn(order(1) + 0.5 * np.arange(N))
    rows = play.state.bandit.history
    assert rows.valid.sum() == P
    np.testing.assert_allclose(rows.context[rows.valid], order(1)[4:], rtol=1e-6)
    np.testing.assert_allclose(
        rows.cost[rows.valid], -0.05 * np.arange(4, N), rtol=1e-4
    )


# Who trains, and where


def test_the_best_half_goes_on_and_its_worst_is_replaced(strategy):
    play = Play(strategy)
    first = play.config.copy()
    decision = play.turn([5, 1, 7, 3, 8, 2, 6, 4])
    assert play.active.tolist() == [True, False] * 4  # 5, 7, 8, 6
    assert decision.parents[:, 0].tolist() == [4, 1, 2, 3, 4, 5, 6, 7]
    assert decision.source[0] == Source.gp
    np.testing.assert_array_equal(decision.config[1:], first[1:])
    assert (decision.shrink == 1).all() and (decision.perturb == 0).all()


def test_a_member_that_moves_is_a_copy_and_the_bandit_does_not_notice(strategy):
    play = Play(strategy)
    play.turn([5, 1, 7, 3, 8, 2, 6, 4])
    clock = play.timesteps.copy()
    decision = play.turn([9, 0, 8, 0, 10, 0, 7, 0])
    assert play.active.tolist() == [False, True] * 4
    sources = decision.source[play.active].tolist()
    assert sorted(sources) == [Source.gp, *[Source.copied] * 3]
    assert (play.timesteps - clock).tolist() == [STEPS, 0] * 4
    play.turn(np.where(play.active, 11, 0))
    rows = play.state.bandit.history
    latest = rows.cost[rows.valid][-P:]
    # They went on with 9, 8 and 10, and the last of them with the 10 of its parent.
    np.testing.assert_allclose(sorted(latest), [-0.3, -0.2, -0.1, -0.1], rtol=1e-5)


def test_all_slots_train_alike():
    """Restarts included: at the end every slot has all its steps."""
    play = Play(ipbt(SPACE, ("all",), max_timesteps=16 * STEPS), 16)
    rng = np.random.default_rng(1)
    while (play.timesteps < play.length).any():
        assert play.active.any()
        play.turn(rng.normal(size=N) - play.round)
    assert (play.timesteps == play.length).all() and play.state.restarts >= 1


# Who fails


def test_a_failed_member_is_replaced_within_an_interval(strategy):
    play = until_restart(Play(strategy))
    fitness = order(1)
    fitness[2] = NAN
    decision = play.turn(fitness)
    parent = int(decision.parents[2, 0])
    assert parent != 2 and decision.source[2] == Source.random
    assert (decision.source[np.arange(N) != 2] == Source.previous).all()
    assert play.state.start[2] == np.float32(fitness[parent])
    better = order(1)
    better[2] = 9
    play.turn(better)
    assert play.state.lineages.best.max() == 9


def test_who_failed_and_idles_begins_afresh(strategy):
    play = Play(strategy)
    decision = play.turn([NAN, 1, 7, 3, 8, NAN, 6, 4])
    assert play.active.tolist() == [False, False, True, False, True, False, True, True]
    assert (decision.shrink[[0, 5]] == 0).all() and (
        decision.perturb[[0, 5]] == 1
    ).all()
    decision = play.turn(order(9))
    assert not np.isin(decision.parents[play.active], [0, 5]).any()
    assert (decision.shrink[~play.active] == 1).all()  # it is done once


# The whole


@pytest.mark.long
def test_nothing_is_compiled_after_the_preparation():
    jax.clear_caches()
    strategy = made_with(SPACE | {"weight": Float(0.0, 2.0, 0.5)})
    jax.random.fold_in(KEY, 0)  # which the test needs itself
    with counted_compilations() as compiled:
        play = until_restart(Play(strategy))
        play.turn(order(1))
        play.turn(order(2))
    assert compiled == []


def test_the_same_state_gives_the_same_bits(strategy):
    play, other = Play(strategy), Play(strategy)
    kinds = jax.tree.map(lambda x: (x.shape, x.dtype), play.state)
    values = (5, 4, 3, 2, 1, 2, 3, 4)
    for base in values:
        play.turn(order(base))
        assert jax.tree.map(lambda x: (x.shape, x.dtype), play.state) == kinds
    for number, base in enumerate(values):
        if number in (2, 5):  # as read back from a checkpoint
            other.state = jax.tree.map(np.array, other.state)
        other.turn(order(base))
    assert same_bits(play.state, other.state)
    assert same_bits(play.decision, other.decision)


def test_records_say_the_interval_and_what_the_bandit_expects(strategy):
    play = Play(strategy)
    play.turn(order(5))
    found = strategy.diagnostics(play.state)
    assert found["ipbt_interval"] == 1 and found["gp_rows"] == P
    assert np.isfinite(found["gp_fitness"]).tolist() == play.active.tolist()
    until_restart(play := Play(strategy))
    for base in (1, 2):
        play.turn(order(base))
        found = strategy.diagnostics(play.state)
        assert found["ipbt_interval"] == 2 and np.isnan(found["gp_fitness"]).all()
    play.turn(order(3))  # the first of two rounds; the next one ends the interval
    found = strategy.diagnostics(play.state)
    assert np.isfinite(found["gp_fitness"]).tolist() == play.active.tolist()


@pytest.mark.parametrize(
    ("size", "share", "problem"),
    [
        (7, 0.25, "pop_size: 7 slots are not two halves of members, give 8"),
        (2, 0.5, "pop_size: 2 slots are not two halves of members, give 4"),
        (8, 0.125, "quantile_fraction: 0.125 of 4 members replaces nobody, give at"),
        (8, 0.25, ""),
    ],
)
def test_sizes_that_cannot_be_halved_are_refused(size, share, problem):
    made = ipbt(SPACE, ("all",), quantile_fraction=share)
    assert made.validate(size).startswith(problem) and bool(problem) == bool(
        made.validate(size)
    )
