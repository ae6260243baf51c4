"""PB2-Mix's rules: the bandits of categories, and what the Gaussian process is told."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toys import SPACE, counted_compilations, outcome, same_bits

from bgpbt.gp import exp3m, pb2_bandit, pb2_process
from bgpbt.gp.history import History
from bgpbt.gp.in_turn import MAX_PENDING, Situation
from bgpbt.gp.pb2_kernels import MixedParams
from bgpbt.gp.precision import float64
from bgpbt.space import Categorical, bin_centres
from bgpbt.strategies.pb2 import pb2
from bgpbt.strategies.pb2mix import pb2mix
from bgpbt.types import Source

NAN = float("nan")
BLOCKS = ("first", "second")
ACTS = Categorical(("tanh", "relu", "silu"), 0)
# A category in front of a number, so that the order of the history is another.
MIXED = {"kind": SPACE["kind"], "weight": SPACE["weight"], "act": ACTS}
CENTRES = bin_centres(ACTS)
# kind and act of four members.
KINDS = np.array([0, 1, 0, 1])
CHOSEN = np.array([0, 1, 2, 1])


def mixed_config(weight=(0.1, 0.2, 0.3, 0.4)) -> np.ndarray:
    columns = [bin_centres(SPACE["kind"])[KINDS], weight, CENTRES[CHOSEN]]
    return np.stack(columns, axis=1).astype(np.float32)


def untrained(config, space, size=4):
    seen = outcome(np.zeros(size), config=config, space=space)
    return seen._replace(timesteps=np.zeros(size, np.int32))


def after(seen, fitness):
    """Ten steps later."""
    return seen._replace(
        fitness=np.array(fitness, np.float32), timesteps=seen.timesteps + 10
    )


def play(strategy, seen, *rounds):
    """Steps through outcomes. Returns the states and decisions."""
    state, found = strategy.init(jax.random.PRNGKey(0), seen), []
    for number, one in enumerate(rounds):
        state, decision = strategy.step(jax.random.PRNGKey(number), state, one)
        found.append((state, jax.tree.map(np.asarray, decision)))
    return found


@pytest.mark.long
def test_without_categories_it_is_pb2_to_the_bit():
    space = {"weight": SPACE["weight"]}
    seen = untrained(np.array([[0.1], [0.4], [0.6], [0.9]]), space)
    one = after(seen, [1, 2, 4, 3])
    two = after(one, [2, 5, 5, NAN])
    settings = {"quantile_fraction": 0.25}
    assert same_bits(
        play(pb2mix(space, ("first",), **settings), seen, one, two),
        play(pb2(space, ("first",), **settings), seen, one, two),
    )


def always(chosen):
    """Every bandit is sure of one category."""

    def probabilities(arm, reward, time, valid, num_arms):
        return jnp.zeros(num_arms, reward.dtype).at[chosen % num_arms].set(1)

    return probabilities


class Asked(list):
    """What the Gaussian process was asked; its fit and search are left out."""

    def __init__(self, monkeypatch):
        monkeypatch.setattr(pb2_process, "fit", self.fit)
        monkeypatch.setattr(pb2_process, "suggest", self.suggest)

    def fit(self, start, data):
        self.note(lambda *x: self.append(("fit", *x)), data.points, data.valid)
        return jax.tree.map(jnp.asarray, start())

    def suggest(self, key, params, data, pending, context, categories, t, starts):
        self.note(
            lambda *x: self.append(("suggest", *x)), data, pending, categories, params
        )
        return jnp.full(data.points.numeric.shape[1] - 1, 0.25, data.y.dtype)

    def note(self, add, *what):
        jax.debug.callback(
            lambda *x: add(*jax.tree.map(np.asarray, x)), *what, ordered=True
        )

    def of(self, name):
        jax.effects_barrier()
        return [rest for kind, *rest in self if kind == name]


@pytest.fixture
def asked(monkeypatch):
    return Asked(monkeypatch)


def decide(categories, fraction=0.25, fitness=(4, 2, 3, 1)):
    """The decision after a round, by default on member 3, a copy of member 0."""
    strategy = pb2mix(MIXED, BLOCKS, quantile_fraction=fraction, categories=categories)
    seen = untrained(mixed_config(), MIXED)
    ((_, decision),) = play(strategy, seen, after(seen, fitness))
    return decision


def test_categories_come_first_and_numbers_are_chosen_beside_them(monkeypatch, asked):
    """Category 1 of `kind` and 2 of `act`, which are not the donor's."""
    monkeypatch.setattr(exp3m, "probabilities", always(5))
    decision = decide("mix", fraction=0.5)
    (points, valid), *more = asked.of("fit")
    assert not more  # once for all who are replaced
    rows = points.categories[valid]
    np.testing.assert_array_equal(rows, np.stack([KINDS, CHOSEN], axis=1))
    np.testing.assert_allclose(
        points.numeric[valid], [[0, 0.1], [0, 0.2], [0, 0.3], [0, 0.4]], atol=1e-6
    )
    (data, pending, categories, params), (_, later, *_) = asked.of("suggest")
    assert categories.tolist() == [1, 2] and data.valid.sum() == 4
    assert hasattr(params, "mixture_weight")
    assert pending.valid.tolist() == [True, False, True, False]
    assert later.valid.tolist() == [True, True, True, False]
    np.testing.assert_array_equal(later.points.categories[1], [1, 2])
    np.testing.assert_allclose(
        decision.config[[1, 3]], [[0.75, 0.25, CENTRES[2]]] * 2, atol=1e-5
    )
    np.testing.assert_array_equal(decision.config[[0, 2]], mixed_config()[[0, 2]])
    assert decision.source.tolist() == [Source.previous, Source.gp] * 2


def test_mult_sees_only_those_with_the_same_categories(monkeypatch, asked):
    """Members 1 and 3 have 1 and 1; one of them is replaced."""
    monkeypatch.setattr(exp3m, "probabilities", always(1))
    decision = decide("mult")
    ((points, valid),) = asked.of("fit")
    np.testing.assert_allclose(points.numeric[valid][:, 1], [0.2, 0.4], atol=1e-6)
    ((data, pending, _, params),) = asked.of("suggest")
    np.testing.assert_allclose(data.points.numeric[data.valid][:, 1], [0.2, 0.4])
    assert pending.valid.tolist() == [False, True, False, False]
    assert not hasattr(params, "mixture_weight")
    np.testing.assert_allclose(decision.config[3], [0.75, 0.25, 0.5], atol=1e-5)
    assert decision.source[3] == Source.gp


def test_mult_keeps_the_donors_configuration_where_nobody_had_the_categories(
    monkeypatch, asked
):
    monkeypatch.setattr(exp3m, "probabilities", always(5))
    decision = decide("mult")
    np.testing.assert_array_equal(decision.config[3], mixed_config()[0])
    assert decision.source[3] == Source.copied
    assert decision.parents[3].tolist() == [0, 0]


def test_rand_draws_them_anew_and_does_not_compare_them(monkeypatch, asked):
    monkeypatch.setattr(exp3m, "probabilities", None)
    strategy = pb2mix(MIXED, BLOCKS, quantile_fraction=0.5, categories="rand")
    seen = untrained(np.tile(mixed_config(), (16, 1)), MIXED, size=64)
    ((_, decision),) = play(strategy, seen, after(seen, np.arange(64)))
    for column, number in ((0, 2), (2, 3)):
        drawn = np.unique(decision.config[:32, column], return_counts=True)[1]
        assert len(drawn) == number and drawn.min() > 32 / number / 2
    data, pending, _, params = asked.of("suggest")[-1]
    assert data.valid.sum() == 64 and pending.valid.sum() == MAX_PENDING
    assert not hasattr(params, "mixture_weight")


def test_what_a_bandit_is_told(monkeypatch, asked):
    """Rewards are the changes per step, scaled to [0, 1]; who failed has none."""
    told = []

    def probabilities(arm, reward, time, valid, num_arms):
        asked.note(lambda *x: told.append((num_arms, *x)), arm, reward, time, valid)
        return jnp.full(num_arms, 1 / num_arms, reward.dtype)

    monkeypatch.setattr(exp3m, "probabilities", probabilities)
    decide("mix", fitness=(40, 10, 20, NAN))
    jax.effects_barrier()
    (two, kinds, reward, time, valid), (three, acts, *_) = told
    assert (two, three) == (2, 3) and valid.sum() == 3
    assert kinds[valid].tolist() == [0, 1, 0] and acts[valid].tolist() == [0, 1, 2]
    np.testing.assert_allclose(reward[valid], [1, 0, 1 / 3], atol=1e-6)
    assert (time[valid] == 1).all()


def test_architectures_go_with_the_donor(asked):
    strategy = pb2mix(SPACE, BLOCKS, quantile_fraction=0.25)
    seen = untrained(None, SPACE)
    ((_, decision),) = play(strategy, seen, after(seen, [4, 2, 3, 1]))
    assert decision.config[3, 6] == seen.config[0, 6]
    np.testing.assert_allclose(decision.config[3, :5], 0.25)
    assert decision.config[3, 5] in np.float32(bin_centres(SPACE["kind"]))


CATEGORIES = {"act": ACTS, "kind": SPACE["kind"]}


@pytest.mark.parametrize("categories", ["mix", "mult"])
def test_only_categories_need_no_process_and_the_best_ones_spread(categories):
    """Half way through, another activation becomes the best."""
    strategy = pb2mix(
        CATEGORIES, ("first",), quantile_fraction=0.25, categories=categories
    )
    size, chosen = 8, []
    config = np.random.default_rng(0).uniform(size=(size, 2))
    seen = untrained(config.astype(np.float32), CATEGORIES, size)
    state, fitness = strategy.init(jax.random.PRNGKey(0), seen), np.zeros(size)
    events = []
    with counted_compilations() as compiled:
        for number in range(60):
            act = np.abs(seen.config[:, :1] - CENTRES).argmin(axis=1)
            chosen.append(act)
            best = 2 if number < 30 else 1
            seen = after(seen, fitness + (act == best) + 0.01 * np.arange(size))
            state, decision = strategy.step(jax.random.PRNGKey(number), state, seen)
            replaced = np.asarray(decision.parents)[:, 0] != np.arange(size)
            assert (np.asarray(decision.source)[replaced] == Source.resampled).all()
            fitness = np.asarray(seen.fitness)[np.asarray(decision.parents)[:, 0]]
            seen = seen._replace(config=np.asarray(decision.config))
            events.append(len(compiled))
    assert events[-1] == events[1]
    shares = [np.mean(np.stack(part) == best) for part, best in _ends(chosen)]
    assert min(shares) > 0.55


def _ends(chosen):
    return (chosen[20:30], 2), (chosen[50:], 1)


@pytest.mark.long
@pytest.mark.parametrize("categories", ["mix", "mult", "rand"])
def test_members_fail_and_idle_and_nothing_is_compiled_again(categories):
    strategy = pb2mix(
        MIXED, BLOCKS, quantile_fraction=0.25, categories=categories, capacity=20
    )
    seen = untrained(mixed_config(), MIXED)
    state, counts = strategy.init(jax.random.PRNGKey(0), seen), []
    with counted_compilations() as compiled:
        for number in range(8):
            fitness = np.arange(4.0) * number
            fitness[2] = NAN if number == 4 else fitness[2]
            seen = after(seen, fitness)._replace(active=np.arange(4) != number)
            state, decision = strategy.step(jax.random.PRNGKey(number), state, seen)
            counts.append(len(compiled))
            assert ((np.asarray(decision.parents)[:, 0] != 2) | (number != 4)).all()
            seen = seen._replace(config=np.asarray(decision.config))
            assert ((seen.config >= 0) & (seen.config <= 1)).all()
    assert counts[-1] == counts[1]
    assert state.history.valid.sum() == 20


@pytest.mark.long
def test_numbers_are_where_progress_is_with_the_category():
    """Progress is largest at 0.8 with the one kind, and at 0.2 with the other."""
    kinds = (SPACE["kind"],)
    config = np.random.default_rng(0).uniform(size=(60, 2)).astype(np.float32)
    best = np.where(config[:, 1] > 0.5, 0.2, 0.8)
    zeros, valid = np.zeros(60, np.float32), np.ones(60, bool)
    cost = (4 * (config[:, 0] - best) ** 2).astype(np.float32)
    rows = History(config, zeros, zeros + 1, cost, valid)
    nobody = Situation(config[:1], zeros[:1], np.zeros(1, bool), np.int32(2))

    @float64
    def suggest(key, rows, nobody, chosen):
        params = pb2_bandit.fit(MixedParams.start, kinds, rows)
        return pb2_bandit.suggest(key, params, kinds, rows, nobody, 0, chosen)

    for kind, there in ((0, 0.8), (1, 0.2)):
        chosen = np.array([kind], np.int32)
        found = suggest(jax.random.PRNGKey(kind), rows, nobody, chosen)
        np.testing.assert_allclose(found, [there], atol=0.05)
