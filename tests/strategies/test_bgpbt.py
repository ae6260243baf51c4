"""BG-PBT on outcomes written by hand.

What enters the data, where suggestions lie, restarts, the same bits after a pause.
"""

import jax
import numpy as np
import pytest
from toys import counted_compilations, same_bits

from bgpbt.space import Categorical, Float, Integer
from bgpbt.strategies.bgpbt import bgpbt
from bgpbt.types import Outcome, Source

P = 6
SPACE = {
    "rate": Float(1e-4, 1e-1, 1e-2, log=True),
    "weight": Float(0.0, 1.0, 0.5),
    "epochs": Integer(2, 16, 4, log=True),
    "kind": Categorical(("a", "b", "c"), 0),
}
NAN = float("nan")


def outcome(config, fitness, steps: int, active=None) -> Outcome:
    fitness, clock = np.asarray(fitness, np.float32), np.full(P, steps, np.int32)
    return Outcome(
        config,
        fitness,
        fitness[:, None],
        clock,
        clock,
        np.ones(P, bool) if active is None else np.asarray(active),
    )


def first(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(size=(P, len(SPACE))).astype(np.float32)


def worth(config) -> np.ndarray:
    """What a round brings: best at weight 0.7, kind c."""
    return 1 - 4 * (config[:, 1] - 0.7) ** 2 + 0.5 * (config[:, 3] > 2 / 3)


@pytest.fixture(scope="module")
def prepared():
    """A strategy, and how many programs were compiled.

    While it was prepared, and in its first two steps.
    """
    made, key = (
        bgpbt(SPACE, ("policy", "value"), quantile_fraction=1 / P),
        jax.random.PRNGKey(0),
    )
    with counted_compilations() as compiled:
        made.prepare(P)
        before = len(compiled)
        state = made.init(key, outcome(first(), np.zeros(P), 0))
        for number in (1, 2):
            state, _ = made.step(
                key, state, outcome(first(), np.arange(P) * number, 100 * number)
            )
    return made, before, len(compiled) - before


@pytest.fixture(scope="module")
def strategy(prepared):
    return prepared[0]


class Play:
    """A population that lives by `worth`."""

    def __init__(self, strategy, seed: int = 0, config=None):
        self.strategy, self.seed, self.round = strategy, seed, 0
        self.config, self.fitness = (
            first(seed) if config is None else config,
            np.zeros(P),
        )
        self.state = strategy.init(
            jax.random.PRNGKey(seed), outcome(self.config, self.fitness, 0)
        )
        self.decision = None

    def turn(self, fitness=None):
        self.round += 1
        seen = (
            self.fitness + worth(self.config)
            if fitness is None
            else np.asarray(fitness, float)
        )
        key = jax.random.fold_in(jax.random.PRNGKey(self.seed), self.round)
        seen = outcome(self.config, seen, 100 * self.round)
        self.state, self.decision = self.strategy.step(key, self.state, seen)
        self.config = np.asarray(self.decision.config)
        self.fitness = seen.fitness[np.asarray(self.decision.parents)[:, 0]].astype(
            float
        )
        return self.decision


def test_all_that_a_step_needs_is_compiled_before_the_first(prepared):
    _, before, after = prepared
    assert before > 0 and after == 0


def test_only_the_worst_is_replaced_and_by_the_bandit(strategy):
    play = Play(strategy)
    before = play.config.copy()
    decision = play.turn([5, 1, 9, 3, 4, 2])
    np.testing.assert_array_equal(
        np.asarray(decision.parents)[:, 0], [0, 2, 2, 3, 4, 5]
    )
    np.testing.assert_array_equal(
        np.asarray(decision.source),
        np.where(np.arange(P) == 1, Source.gp, Source.previous),
    )
    keep = np.arange(P) != 1
    np.testing.assert_array_equal(np.asarray(decision.config)[keep], before[keep])
    assert np.asarray(decision.shrink).all() and not np.asarray(decision.perturb).any()


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in (1, 2, 3))]
)
def test_suggestions_lie_in_the_trust_region(strategy, seed):
    """The region is a box around the donor, whatever the model believes."""
    play = Play(strategy, seed)
    for _ in range(5):
        before = play.config.copy()
        decision = play.turn()
        (member,) = np.flatnonzero(np.asarray(decision.source) == Source.gp)
        donor = before[int(decision.parents[member, 0])]
        lengths = np.exp(play.state.raw.lengthscale[:3])
        half = lengths / np.exp(np.log(lengths).mean()) * play.state.region.length / 2
        moved = np.abs(play.config[member] - donor)
        assert (moved[:2] <= half[:2] + 1e-5).all()
        assert (play.config >= 0).all() and (play.config <= 1).all()


def test_the_data_are_changes_of_fitness_per_step(strategy):
    play = Play(strategy)
    play.turn([5, 1, 9, 3, 4, 2])
    rows = play.state.history
    np.testing.assert_allclose(
        rows.cost[rows.valid], [-0.05, -0.01, -0.09, -0.03, -0.04, -0.02], rtol=1e-5
    )
    np.testing.assert_array_equal(rows.context[rows.valid], np.zeros(P))
    play.turn([6, 10, 9, 3, 4, 2])
    rows = play.state.history
    latest = rows.cost[rows.valid][-P:]
    np.testing.assert_allclose(
        latest, [-0.01, -0.01, 0, 0, 0, 0], atol=1e-6
    )  # member 1 began at its donor's 9
    assert rows.context[rows.valid][-P:][1] == 9 and rows.time[rows.valid][-1] == 2


def test_what_failed_never_enters_the_data(strategy):
    play = Play(strategy)
    decision = play.turn([5, NAN, 9, 3, NAN, 2])
    rows = play.state.history
    assert rows.valid.sum() == P - 2 and np.isfinite(rows.cost).all()
    assert set(np.flatnonzero(np.asarray(decision.parents)[:, 0] != np.arange(P))) == {
        1,
        4,
    }
    play.turn([5, 6, 9, 3, 7, 2])
    assert (
        np.isfinite(play.state.history.cost).all()
        and np.isfinite(play.state.before).all()
    )


def test_who_did_not_train_is_no_observation(strategy):
    play = Play(strategy)
    active = np.arange(P) < 3
    state, _ = strategy.step(
        jax.random.PRNGKey(0),
        play.state,
        outcome(play.config, np.arange(P), 100, active),
    )
    assert state.history.valid.sum() == 3


@pytest.mark.parametrize("fitness", [np.ones(P), np.zeros(P)])
def test_constant_fitness_is_no_problem(strategy, fitness):
    play = Play(strategy)
    for _ in range(3):
        decision = play.turn(fitness)
    assert np.isfinite(np.asarray(decision.config)).all() and bool(play.state.fitted)


def test_equal_configurations_are_no_problem(strategy):
    play = Play(strategy, config=np.tile(first()[:1], (P, 1)))
    for _ in range(3):
        decision = play.turn()
    assert np.isfinite(np.asarray(decision.config)).all() and bool(play.state.fitted)


def test_a_region_without_progress_starts_again():
    """The best row of the old region is kept, its data go.

    The next suggestion is not tied to the donor.
    """
    strategy = bgpbt(SPACE, ("all",), quantile_fraction=1 / P, patience=4)
    play = Play(strategy)
    play.turn([5, 1, 9, 3, 4, 2])
    for _ in range(3):
        play.turn([5, 8, 9, 3, 4, 2])
    assert int(play.state.stalled_rounds) == 3 and not play.state.ended.valid.any()
    decision = play.turn([5, 8, 9, 3, 4, 2])
    assert (
        int(play.state.stalled_rounds) == 0
        and play.state.ended.valid.sum() == 1
        and not play.state.history.valid.any()
    )
    assert play.state.region.length == np.float32(0.4)
    assert (np.asarray(decision.source) == Source.gp).sum() == 1
    decision = play.turn([5, 8, 9, 3, 4, 2])
    assert (
        play.state.history.valid.sum() == P
        and (np.asarray(decision.source) == Source.gp).sum() == 1
    )


def test_success_is_the_rounds_best(strategy):
    play = Play(strategy)
    play.turn([5, 1, 9, 3, 4, 2])  # member 1 tries
    play.turn([5, 99, 9, 3, 4, 2])  # and is the best
    assert int(play.state.region.successes) == 1
    (member,) = np.flatnonzero(np.asarray(play.decision.source) == Source.gp)
    lower = np.array([5, 99, 9, 3, 4, 2.0])
    lower[member] = 0
    play.turn(lower)
    assert (int(play.state.region.successes), int(play.state.region.failures)) == (0, 1)


def test_the_same_state_gives_the_same_bits(strategy):
    play, other = Play(strategy), Play(strategy)
    for _ in range(4):
        play.turn()
    for _ in range(2):
        other.turn()
    other.state = jax.tree.map(
        lambda x: np.array(x), other.state
    )  # as read back from a checkpoint
    for _ in range(2):
        other.turn()
    assert same_bits(play.state, other.state) and same_bits(
        play.decision, other.decision
    )


@pytest.mark.long
def test_it_learns_where_the_good_values_are(strategy):
    """After 25 rounds the suggestions are better than chance by a wide margin."""
    late = []
    for seed in range(4):
        play = Play(strategy, seed)
        for number in range(25):
            decision = play.turn()
            if number >= 15:
                late += worth(play.config)[
                    np.asarray(decision.source) == Source.gp
                ].tolist()
    chance = worth(np.random.default_rng(0).uniform(size=(10_000, len(SPACE)))).mean()
    assert np.mean(late) > chance + 0.6, (np.mean(late), chance)


def test_diagnostics_have_a_name_each(strategy):
    play = Play(strategy)
    play.turn()
    found = strategy.diagnostics(play.state)
    assert {
        "gp_lengthscale_rate",
        "gp_lengthscale_context",
        "gp_eps",
        "gp_noise",
        "trust_region",
    } <= set(found)
    assert all(np.shape(x) in ((), (P,)) for x in found.values())
    assert (found["gp_fitness_low"] <= found["gp_fitness"]).all() and (
        found["gp_fitness"] <= found["gp_fitness_high"]
    ).all()
