"""The contract of strategies, over the registry: a new one is tested at once."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toys import SPACE, counted_compilations, outcome

from bgpbt import space as spaces
from bgpbt.config.lookup import kwargs_from, resolve, settings_of
from bgpbt.config.options import Options
from bgpbt.registry import STRATEGIES
from bgpbt.space import Integer
from bgpbt.strategies.frozen import frozen
from bgpbt.types import Source, Strategy

BLOCKS = ("first", "second")
SIZE = 8
# So that eight members can serve every strategy, and 200 rounds see decisions.
BASE = {"frequencies": (1, 2), "interval": 2}
SETTINGS = {
    "usual": {"quantile_fraction": 0.25},
    "one": {"quantile_fraction": 0.125, "perturb_scale": 0.5},
    "half": {"quantile_fraction": 0.5},
    "resample": {"quantile_fraction": 0.25, "explore": "resample"},
    "both": {"quantile_fraction": 0.25, "explore": "both"},
    "noise": {"quantile_fraction": 0.25, "explore": "noise"},
    "t_test": {"exploit": "t_test"},
    "tournament": {"exploit": "tournament"},
    "best": {"exploit": "best"},
    "weights": {"quantile_fraction": 0.25, "inherit": "weights"},
    "hyperparameters": {"quantile_fraction": 0.25, "inherit": "hyperparameters"},
    "no mixing": {"quantile_fraction": 0.25, "mixing": "none"},
    "eta": {"eta": 4},
    "frequency": {"frequencies": (2, 3)},
    "mult": {"quantile_fraction": 0.25, "categories": "mult"},
    "rand": {"quantile_fraction": 0.25, "categories": "rand"},
    "interval": {"interval": 3},
}
TAKES = {
    name: settings_of(resolve("strategy", name, STRATEGIES)) for name in STRATEGIES
}
# Every strategy with the settings that mean something to it, and frozen.
CASES = [
    (name, setting, False)
    for name in STRATEGIES
    for setting in SETTINGS
    if setting == "usual" or set(SETTINGS[setting]) <= set(TAKES[name])
]
CASES += [(name, "usual", True) for name in STRATEGIES]
ARCH_MASK = ~spaces.group_mask(SPACE, "hyperparameter")
NAN = float("nan")


def make(name: str, setting: str, space) -> Strategy:
    function = resolve("strategy", name, STRATEGIES)
    values = BASE | SETTINGS[setting]
    options = Options(strategy=name, pop_size=SIZE, **values)
    return function(space, BLOCKS, **kwargs_from(options, function))


@functools.cache  # so that each is compiled once
def build(name: str, setting: str = "usual", freeze: bool = False) -> Strategy:
    return frozen(build(name, setting)) if freeze else make(name, setting, SPACE)


@pytest.fixture(scope="module", params=CASES, ids=lambda case: "-".join(map(str, case)))
def strategy(request) -> Strategy:
    return build(*request.param)


def decide(strategy: Strategy, seen, seed: int = 0):
    state = strategy.init(jax.random.PRNGKey(100), seen)
    _, decision = strategy.step(jax.random.PRNGKey(seed), state, seen)
    return jax.tree.map(np.asarray, decision)


def replaced(decision) -> np.ndarray:
    """Members that lose their weights: to a parent's or to fresh ones."""
    other = (decision.parents != np.arange(SIZE)[:, None]).any(axis=1)
    return other | (decision.shrink != 1).any(axis=1)


def fresh(decision) -> np.ndarray:
    """Members whose weights are all drawn anew."""
    return ((decision.shrink == 0) & (decision.perturb > 0)).all(axis=1)


FITNESSES = {
    "plain": np.random.default_rng(0).normal(size=SIZE),
    "ties": np.zeros(SIZE),
    "one failed": [1, 2, NAN, 4, 5, 6, 7, 8],
    "best would be the failed": [1, 2, 3, 4, 5, 6, 7, NAN],
    "more failed than the quantile": [1, NAN, NAN, NAN, NAN, NAN, 7, 8],
    "all but one failed": [NAN] * 5 + [3.0] + [NAN] * 2,
    "failed before infinite": [NAN, -np.inf, NAN, 1, -np.inf, 2, 3, 4],
    "infinite": [1, 2, 3, -np.inf, 5, 6, 7, 8],
}


@pytest.mark.parametrize("fitness", FITNESSES.values(), ids=FITNESSES)
def test_decisions_are_sound_whatever_the_fitness(strategy, fitness):
    seen = outcome(fitness)
    failed = np.isnan(seen.fitness)
    for seed in range(5):
        decision = decide(strategy, seen, seed)
        assert (
            decision.parents.shape == (SIZE, len(BLOCKS))
            and decision.parents.dtype == np.int32
        )
        assert ((decision.parents >= 0) & (decision.parents <= SIZE)).all()
        assert (
            decision.config.shape == seen.config.shape
            and decision.config.dtype == np.float32
        )
        assert ((decision.config >= 0) & (decision.config <= 1)).all()
        assert (
            np.isfinite(decision.shrink).all() and np.isfinite(decision.perturb).all()
        )
        assert decision.active.dtype == bool
        assert set(decision.source) <= set(Source)
        gone = replaced(decision)
        # Failed members are always replaced or start afresh. They are never parents.
        assert gone[failed].all()
        inherits = ~fresh(decision)
        parents = np.append(failed, False)[decision.parents]
        assert not parents[inherits].any()
        # A best member survives as it is.
        best = np.flatnonzero(seen.fitness == np.nanmax(seen.fitness))
        survives = ~gone[best] & (decision.config[best] == seen.config[best]).all(
            axis=1
        )
        assert survives.any()


def test_the_configuration_of_a_survivor_is_untouched_to_the_bit(strategy, request):
    seen = outcome(FITNESSES["plain"])
    decision = decide(strategy, seen)
    kept = ~replaced(decision)
    if (
        request.node.callspec.params["strategy"][1] == "hyperparameters"
    ):  # which copies configurations without weights
        kept &= decision.source == Source.previous
    np.testing.assert_array_equal(decision.config[kept], seen.config[kept])
    assert (decision.source[kept] == Source.previous).all()


SHARED = [
    c
    for c in CASES
    if "quantile_fraction" in set(TAKES[c[0]]) & set(SETTINGS[c[1]])
    and c[1] != "hyperparameters"
    and c[0] not in ("ipbt", "firepbt")  # whose shares are those of a part
]


@pytest.mark.parametrize("case", SHARED, ids=lambda case: "-".join(map(str, case)))
def test_the_stated_share_is_replaced(case):
    _, setting, _ = case
    decision = decide(build(*case), outcome(FITNESSES["plain"]))
    share = SETTINGS[setting]["quantile_fraction"]
    worst = np.argsort(FITNESSES["plain"])[: int(SIZE * share)]
    assert np.flatnonzero(replaced(decision)).tolist() == sorted(worst)


def test_the_same_key_decides_the_same(strategy):
    seen = outcome(FITNESSES["one failed"])
    first, again = (decide(strategy, seen, 3) for _ in range(2))
    jax.tree.map(np.testing.assert_array_equal, first, again)


def test_the_state_keeps_its_tree_and_dtypes(strategy):
    seen = outcome(FITNESSES["plain"])
    state = strategy.init(jax.random.PRNGKey(0), seen)
    after, decision = strategy.step(jax.random.PRNGKey(1), state, seen)
    after_more, decision_more = strategy.step(jax.random.PRNGKey(2), after, seen)
    kind = lambda tree: jax.tree.map(lambda x: (np.shape(x), np.asarray(x).dtype), tree)  # noqa: E731
    assert kind(state) == kind(after) == kind(after_more)
    assert kind(decision) == kind(decision_more)


@pytest.mark.parametrize("name", STRATEGIES)
def test_one_trace_serves_all_calls(name):
    strategy = make(name, "usual", SPACE)
    for seed in range(2):
        decide(strategy, outcome(FITNESSES["plain"]), seed)
    with counted_compilations() as compilations:
        for seed, fitness in enumerate(FITNESSES.values()):
            decide(
                strategy, outcome(fitness, active=np.arange(SIZE) % 2 == seed % 2), seed
            )
    assert compilations == []


def test_architectures_change_only_with_fresh_weights_or_with_the_parents(strategy):
    """An architecture dimension is its parent's, whose weights come along.

    Unless the weights are drawn anew.
    """
    fitness = FITNESSES["more failed than the quantile"]
    seen = outcome(fitness)
    for seed in range(5):
        decision = decide(strategy, seen, seed)
        config = np.concatenate([seen.config, seen.config[:1]])
        redrawn = (decision.shrink[:, 0] == 0) & (
            decision.perturb[:, 0] > 0
        )  # the block that has an architecture
        for member in np.flatnonzero(~redrawn):
            of_parent = config[decision.parents[member, 0], ARCH_MASK]
            own = seen.config[member, ARCH_MASK]
            assert (decision.config[member, ARCH_MASK] == of_parent).all() or (
                decision.config[member, ARCH_MASK] == own
            ).all()


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case)))
def test_values_stay_in_their_ranges_over_200_rounds(case):
    strategy, freeze = build(*case), case[2]
    seen = outcome(FITNESSES["plain"])
    start = seen.config
    state = strategy.init(jax.random.PRNGKey(0), seen)
    rng = np.random.default_rng(1)
    decoded = jax.jit(lambda config: spaces.decode(SPACE, config))
    for round_ in range(200):
        fitness = rng.normal(size=SIZE).astype(np.float32)
        fitness[rng.uniform(size=SIZE) < 0.3] = NAN
        fitness[rng.integers(SIZE)] = 1.0
        state, decision = strategy.step(
            jax.random.PRNGKey(round_), state, seen._replace(fitness=fitness)
        )
        seen = seen._replace(config=np.asarray(decision.config))
    values = decoded(seen.config)
    assert ((seen.config >= 0) & (seen.config <= 1)).all()
    for name, dim in SPACE.items():
        low, high = (np.asarray(end, values[name].dtype) for end in spaces.limits(dim))
        assert (values[name] >= low).all() and (values[name] <= high).all()
        if isinstance(dim, Integer) and dim.doubling:
            assert set(np.asarray(values[name]).tolist()) <= {2, 4, 8, 16, 32}
    if freeze:
        np.testing.assert_array_equal(seen.config, start)
    else:
        changed = (seen.config != start).any(axis=0)
        assert changed[~ARCH_MASK].all()


HYPERPARAMETERS = ("usual", "resample", "both", "noise")
EXPLORE = [
    c
    for c in CASES
    if not c[2]
    and c[0] not in ("pb2", "pbtnas", "mutation")
    and c[1] in HYPERPARAMETERS
]


@pytest.mark.parametrize("case", EXPLORE, ids=lambda case: "-".join(map(str, case)))
def test_every_dimension_and_member_explores_with_a_key_of_its_own(case):
    """From the middle of the cube, directions are independent.

    Between dimensions and between members.
    """
    strategy = build(*case)
    failed = [5.0, 4.0, *[NAN] * 6]
    seen = outcome(failed, config=np.full((SIZE, len(SPACE)), 0.55))
    moves = (
        np.stack([decide(strategy, seen, seed).config[2:] for seed in range(60)])[
            ..., ~ARCH_MASK
        ]
        > 0.551
    )
    signs = moves.reshape(-1, moves.shape[-1])  # all members of all rounds
    assert (np.abs(signs.mean(axis=0) - 0.5) < 0.2).all()
    assert np.abs(np.corrcoef(signs.T) - np.eye(signs.shape[1])).max() < 0.25
    members = np.moveaxis(moves, 1, 0).reshape(6, -1)
    assert np.abs(np.corrcoef(members) - np.eye(6)).max() < 0.25


def test_an_idle_member_that_has_no_fitness_is_no_parent(strategy):
    seen = outcome([1, 2, 3, 4, 5, 6, 7, NAN], active=[True] * 7 + [False])
    decision = decide(strategy, seen)
    assert not (decision.parents[:7] == 7).any()


def test_a_frozen_strategy_says_that_the_configuration_is_the_previous_one():
    decision = decide(build("pbt", freeze=True), outcome(FITNESSES["plain"]))
    assert (decision.source == Source.previous).all()
    assert jnp.asarray(decision.source).dtype == jnp.int32
