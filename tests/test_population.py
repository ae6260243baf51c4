"""The axis `P`: arrangements agree, and one table says what inheritance does to each part of a member."""

import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toys import SPACE, bits, quadratic, same_bits

from bgpbt import population
from bgpbt import space as spaces
from bgpbt.population import (
    Ahead,
    Arrangement,
    Purpose,
    all_finite,
    arrange,
    largest_divisor,
    make_programs,
    regroup,
    repad,
    shrink_perturb,
    usable_cores,
)
from bgpbt.types import Decision, TrainState

P = 8
SEED = np.uint32(5)
MEMBERS = np.arange(P, dtype=np.int32)
TASK = quadratic()
ARRANGEMENTS = [(1, 4), (1, 2), (2, 1), (2, 2), (4, 1), (4, 2)]  # beside one device that walks its members

needs_four_devices = pytest.mark.skipif(jax.device_count() < 4, reason="JAX was started with fewer than 4 devices")


@pytest.fixture(scope="module")
def programs():
    return make_programs(TASK, P, Arrangement(1, 1))


@pytest.fixture(scope="module")
def config(programs):
    return np.asarray(programs.configure(SEED, MEMBERS))


def trained(programs, config, rounds: int = 1, active=None, members=MEMBERS):
    """A population after some rounds of different lengths, and the metrics of the last one."""
    people = programs.init(SEED, np.int32(0), members, config)
    active = np.ones(len(members), bool) if active is None else active
    for round_ in range(1, rounds + 1):
        args = (SEED, np.int32(round_), np.int32(round_ + 1), members, active)
        people, metrics = programs.train(*args, people, config)
    return people, metrics


@pytest.fixture(scope="module")
def people(programs, config):
    """Donated by nobody: tests take copies."""
    return trained(programs, config)[0]


def copy(tree):
    return jax.tree.map(lambda x: x.copy(), tree)


def member(tree, index: int):
    return jax.tree.map(lambda x: np.asarray(x)[index], tree)


# How members are spread


@pytest.mark.parametrize(("number", "ceiling", "expected"), [(8, 8, 8), (8, 3, 2), (7, 6, 1), (24, 5, 4), (6, 100, 6), (1, 1, 1)])
def test_largest_divisor(number, ceiling, expected):
    assert largest_divisor(number, ceiling) == expected


def test_on_a_cpu_every_core_walks_its_members_one_by_one(monkeypatch):
    monkeypatch.setattr(jax, "device_count", lambda: 4)
    monkeypatch.setattr(population, "usable_cores", lambda: 2)
    assert arrange(8) == Arrangement(2, 1)
    assert arrange(8, max_parallel=4) == Arrangement(2, 1)  # larger chunks are slower there
    assert arrange(7) == Arrangement(1, 1)
    assert arrange(8, devices=4) == Arrangement(4, 1)
    assert population.cpu_devices(8) == 2
    monkeypatch.setattr(population, "usable_cores", lambda: 16)
    assert arrange(8) == Arrangement(4, 1)
    assert arrange(6) == Arrangement(3, 1)
    assert population.cpu_devices(12) == 12 and population.cpu_devices(17) == 1


def test_on_an_accelerator_the_population_is_vmapped(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(jax, "device_count", lambda: 4)
    monkeypatch.setattr(population, "usable_cores", lambda: 1)
    assert arrange(8) == Arrangement(4, 2)
    assert arrange(8, devices=1) == Arrangement(1, 8)
    assert arrange(8, max_parallel=3, devices=1) == Arrangement(1, 2)
    assert arrange(12, max_parallel=100) == Arrangement(4, 3)


def test_usable_cores_respect_the_containers_quota(monkeypatch):
    monkeypatch.setattr(population.os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    for text, expected in (("200000 100000", 2), ("50000 100000", 1), ("max 100000", 8), ("9900000 100000", 8)):
        monkeypatch.setattr(population.Path, "read_text", lambda self, text=text: text)
        assert population.usable_cores() == expected


def test_map_members_hands_every_member_in_order():
    """The shared value is not batched: what depends on it alone stays a scalar."""

    def f(shared, x):
        return shared * x["a"] + x["b"], jnp.sum(x["b"])

    x = {"a": jnp.arange(8.0), "b": jnp.arange(24.0).reshape(8, 3)}
    for devices, chunk in [*ARRANGEMENTS, (1, 1), (1, 8)]:
        if devices > jax.device_count():
            continue
        arrangement = Arrangement(devices, chunk)
        g = population.map_members(f, arrangement, population.make_mesh(arrangement))
        y, total = jax.jit(g)(jnp.float32(10), x)
        np.testing.assert_array_equal(y, 10 * x["a"][:, None] + x["b"])
        np.testing.assert_array_equal(total, x["b"].sum(axis=1))


def round_trip(programs, config):
    """Two rounds with an inheritance between them, and an evaluation."""
    people, _ = trained(programs, config)
    decision = table_decision(config)
    best = programs.pick(people, np.int32(3))
    people = programs.inherit(SEED, np.int32(1), people, best, decision)
    active = np.arange(P) != 5
    people, metrics = programs.train(SEED, np.int32(2), np.int32(3), MEMBERS, active, people, decision.config)
    evaluated = programs.evaluate(
        SEED, np.int32(2), np.int32(Purpose.evaluate), np.zeros(P, np.int32), np.ones(P, bool), people, decision.config
    )
    return jax.tree.map(np.asarray, (people, metrics, evaluated))


@needs_four_devices
@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_all_arrangements_agree(programs, config, arrangement):
    """Three of them through all programs, the others in training: every program maps its members in the same way."""
    other = make_programs(TASK, P, Arrangement(*arrangement))
    run = round_trip if arrangement in [(1, 4), (2, 2), (4, 2)] else trained
    expected, found = (jax.tree.map(np.asarray, run(p, config)) for p in (programs, other))
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5), expected, found)


def test_the_same_arrangement_repeats_to_the_bit(programs, config):
    assert same_bits(round_trip(programs, config), round_trip(programs, config))


def test_members_do_not_depend_on_the_size_of_the_population(programs, config):
    small = make_programs(TASK, 4, Arrangement(1, 1))
    few = small.configure(SEED, MEMBERS[:4])
    np.testing.assert_array_equal(few, config[:4])
    found, expected = (
        jax.tree.map(np.asarray, trained(p, c, members=m)) for p, c, m in ((small, few, MEMBERS[:4]), (programs, config, MEMBERS))
    )
    assert same_bits(found, jax.tree.map(lambda x: x[:4], expected))


def test_keys_differ_by_seed_purpose_round_and_member():
    key = lambda *args: tuple(np.asarray(population.member_key(*args)).tolist())  # noqa: E731
    keys = {key(seed, purpose, round_, m) for seed in (0, 1) for purpose in Purpose for round_ in range(3) for m in range(3)}
    assert len(keys) == 2 * len(Purpose) * 9


# Inheritance: one row of the table each


def table_decision(config) -> Decision:
    """Member 0 and 3 stay; 1 copies 0; 2 takes `first` of 4 and `second` of 6; 4 is the saved best; 5 is shrunk and
    perturbed; 6 starts afresh; 7 copies 0 in `second` only, afresh in `first`."""
    parents = np.array([[0, 0], [0, 0], [4, 6], [3, 3], [P, P], [0, 0], [6, 6], [7, 0]], np.int32)
    shrink, perturb = np.ones((P, 2), np.float32), np.zeros((P, 2), np.float32)
    shrink[5], perturb[5] = 0.4, 0.1
    shrink[6], perturb[6] = 0, 1
    shrink[7, 0], perturb[7, 0] = 0, 1
    return Decision(np.asarray(config)[::-1].copy(), parents, shrink, perturb, np.ones(P, bool), np.zeros(P, np.int32))


@pytest.fixture(scope="module")
def table(programs, config, people):
    """The population before and after, the saved best, and what a fresh start of each member would be."""
    donor = trained(programs, config, rounds=2)[0]
    best = programs.pick(donor, np.int32(6))
    decision = table_decision(config)
    after = programs.inherit(SEED, np.int32(1), copy(people), best, decision)
    fresh = [
        TASK.init(population.member_key(SEED, Purpose.initialise, 1, m), spaces.decode(SPACE, decision.config[m]))
        for m in range(P)
    ]
    return people, after, best, fresh


def block(state: TrainState, name: str):
    return state.params[name], state.moments[name]


def test_a_member_that_stays_is_untouched_to_the_bit(table):
    before, after, _, _ = table
    for index in (0, 3):
        assert same_bits(member(before, index), member(after, index))


def test_weights_and_moments_come_from_the_blocks_parent(table):
    before, after, _, _ = table
    parents = {1: (0, 0), 2: (4, 6)}
    for index, of_block in parents.items():
        for name, parent in zip(TASK.blocks, of_block, strict=True):
            assert same_bits(block(member(after, index), name), block(member(before, parent), name))
            assert not same_bits(block(member(after, index), name), block(member(before, index), name))
    assert same_bits(block(member(after, 7), "second"), block(member(before, 0), "second"))


def test_what_is_shared_comes_from_the_first_blocks_parent(table):
    before, after, best, fresh = table
    for index, parent in {1: 0, 2: 4, 5: 0}.items():
        assert same_bits(member(after, index).shared, member(before, parent).shared)
        assert not same_bits(member(after, index).shared, member(before, index).shared)
    assert same_bits(member(after, 4).shared, jax.tree.map(np.asarray, best.shared))
    assert same_bits(member(after, 6).shared, jax.tree.map(np.asarray, fresh[6].shared))  # all of it starts afresh
    assert same_bits(member(after, 7).shared, member(before, 7).shared)  # one block does


def test_parent_p_is_the_saved_best(table):
    before, after, best, _ = table
    found = member(after, 4)
    assert same_bits((found.params, found.moments, found.shared), jax.tree.map(np.asarray, best[:3]))
    assert not same_bits(found.params, member(before, P - 1).params)


def test_blended_weights_are_shrunk_and_perturbed_and_their_moments_fresh(table):
    before, after, _, fresh = table
    found, parent, new = member(after, 5), member(before, 0), fresh[5]
    jax.tree.map(
        lambda x, p, f: np.testing.assert_allclose(x, 0.4 * p + 0.1 * f, rtol=1e-6), found.params, parent.params, new.params
    )
    assert same_bits(found.moments, jax.tree.map(np.asarray, new.moments))


def test_a_fresh_start_is_an_initialisation_for_the_next_configuration(table):
    """Also of one block alone: the size of `first` is the next configuration's, its moments are fresh."""
    _, after, _, fresh = table
    for index, names in ((6, TASK.blocks), (7, ("first",))):
        for name in names:
            assert same_bits(block(member(after, index), name), jax.tree.map(np.asarray, block(fresh[index], name)))


def test_worlds_of_replaced_members_are_drawn_afresh_and_others_stay(table):
    before, after, _, _ = table
    for index in range(P):
        old, new = member(before, index).world, member(after, index).world
        if index in (0, 3):
            assert same_bits(old, new)
        else:
            assert (old["noise"] != new["noise"]).all() and int(new["clock"]) == 0 < int(old["clock"])
    noise = np.asarray(after.world["noise"])
    assert len(np.unique(noise)) == noise.size  # a key for every member


def test_the_state_keeps_its_tree_dtypes_and_no_weak_types(table):
    before, after, _, _ = table
    kind = lambda tree: jax.tree.map(lambda x: (x.shape, x.dtype, x.weak_type), tree)  # noqa: E731
    assert kind(before) == kind(after)
    assert not any(x.weak_type for x in jax.tree.leaves(before))


def test_nan_does_not_travel(programs, config, people):
    """A member with NaN everywhere becomes a copy; one that starts afresh keeps nothing; nobody else notices."""
    poison = lambda x: x.at[jnp.array([1, 6])].set(jnp.nan) if jnp.issubdtype(x.dtype, jnp.floating) else x  # noqa: E731
    ill = jax.tree.map(poison, copy(people))
    best = programs.pick(people, np.int32(3))
    clean = programs.inherit(SEED, np.int32(1), copy(people), best, table_decision(config))
    cured = programs.inherit(SEED, np.int32(1), ill, best, table_decision(config))
    for index in (0, 1, 3, 4, 5, 6, 7):
        assert same_bits(member(clean, index), member(cured, index))


def test_untouched_to_the_bit_means_zeros_with_their_sign_too():
    """(1, 0) is the identity: masked weights are often -0."""
    old = jnp.array([-0.0, 0.0, 1.5, -3e-30, 3e30, jnp.inf])
    new = jnp.full(6, jnp.nan)
    found = jax.jit(jax.vmap(shrink_perturb))(old[None], new[None], jnp.ones(1), jnp.zeros(1))
    assert bits(found) == bits(old[None])


def test_a_factor_of_zero_removes_its_part_even_where_it_is_nan():
    bad, good = jnp.array([jnp.nan, jnp.inf, 1.0]), jnp.array([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(shrink_perturb(bad, good, jnp.float32(0), jnp.float32(1)), good)
    np.testing.assert_array_equal(shrink_perturb(good, bad, jnp.float32(1), jnp.float32(0)), good)
    np.testing.assert_array_equal(shrink_perturb(bad, bad, jnp.float32(0), jnp.float32(0)), 0)
    np.testing.assert_allclose(shrink_perturb(good, good[::-1], jnp.float32(0.5), jnp.float32(0.25)), [1.25, 1.5, 1.75])


# The other programs


def test_an_idle_member_is_held_to_the_bit_and_spends_nothing(programs, config):
    start = jax.tree.map(np.asarray, programs.init(SEED, np.int32(0), MEMBERS, config))
    people, metrics = trained(programs, config, active=MEMBERS != 2)
    assert same_bits(member(people, 2), member(start, 2))
    assert not same_bits(member(people, 1), member(start, 1))
    repeats = np.asarray(spaces.decode(SPACE, config)["repeat"])
    np.testing.assert_array_equal(metrics["env_steps"], np.where(MEMBERS == 2, 0, 10 * 2 * repeats))


def test_metrics_say_which_members_are_finite(programs, config):
    people = programs.init(SEED, np.int32(0), MEMBERS, config)
    people.params["first"]["x"] = people.params["first"]["x"].at[1, 0].set(jnp.nan)
    people.world["noise"] = people.world["noise"].at[4, 0].set(jnp.inf)
    idle = np.zeros(P, bool)
    _, metrics = programs.train(SEED, np.int32(1), np.int32(1), MEMBERS, idle, people, config)
    np.testing.assert_array_equal(np.flatnonzero(~np.asarray(metrics["weights_finite"])), [1])
    np.testing.assert_array_equal(np.flatnonzero(~np.asarray(metrics["world_finite"])), [4])


def test_training_and_inheriting_donate_the_population(programs, config):
    people = programs.init(SEED, np.int32(0), MEMBERS, config)
    args = (SEED, np.int32(1), np.int32(1), MEMBERS, np.ones(P, bool))
    after, _ = programs.train(*args, people, config)
    assert all(x.is_deleted() for x in jax.tree.leaves(people))
    best = programs.pick(after, np.int32(0))
    final = programs.inherit(SEED, np.int32(1), after, best, table_decision(config))
    assert all(x.is_deleted() for x in jax.tree.leaves(after))
    assert not any(x.is_deleted() for x in jax.tree.leaves((final, best)))


def test_evaluation_leaves_the_population_and_draws_by_number(programs, config, people):
    args = (SEED, np.int32(1), np.int32(Purpose.evaluate))
    same = programs.repeat(programs.pick(people, np.int32(2)), people)
    one_config = np.tile(config[2], (P, 1))
    returns, steps, finite = programs.evaluate(*args, np.zeros(P, np.int32), np.ones(P, bool), same, one_config)
    np.testing.assert_array_equal(returns, np.tile(returns[0], (P, 1)))  # all meet the same episodes
    np.testing.assert_array_equal(steps, 3)
    assert np.asarray(finite).all()
    drawn, _, _ = programs.evaluate(*args, MEMBERS, np.ones(P, bool), same, one_config)
    assert len(np.unique(drawn)) == drawn.size
    for purpose, round_ in ((Purpose.report, 1), (Purpose.evaluate, 2)):
        other, _, _ = programs.evaluate(
            SEED, np.int32(round_), np.int32(purpose), np.zeros(P, np.int32), np.ones(P, bool), same, one_config
        )
        assert (np.asarray(other) != np.asarray(returns)).all()
    assert not any(x.is_deleted() for x in jax.tree.leaves(people))


def test_pick_and_repeat(programs, people):
    picked = programs.pick(people, np.int32(5))
    assert picked.world == ()
    assert same_bits(jax.tree.map(np.asarray, picked), member(people, 5)._replace(world=()))
    copies = programs.repeat(picked, people)
    for index in range(P):
        expected = member(people, 5)._replace(world=member(people, index).world)
        assert same_bits(member(copies, index), expected)


def test_a_new_group_takes_members_of_several(programs, config, people):
    others = trained(programs, config, rounds=2)[0]
    take = np.array([0, 15, 8, 3, 3, 9, 7, 12], np.int32)
    group = regroup((people, others), take, TASK, Arrangement(1, 1))
    for slot, index in enumerate(take):
        assert same_bits(member(group, slot), member(people if index < P else others, index % P))


def test_padding_is_appended_and_cut_at_the_end_of_an_axis():
    small, large = {"a": np.ones((2, 3)), "n": np.int32(4)}, {"a": np.zeros((3, 5)), "n": np.int32(0)}
    grown = repad(small, large)
    assert grown["n"] == 4 and grown["a"].shape == (3, 5) and grown["a"].sum() == 6 and grown["a"][:2, :3].all()
    assert same_bits(repad(grown, small), small)
    several = repad({"a": np.ones((7, 2, 3)), "n": np.arange(7)}, large)
    assert several["a"].shape == (7, 3, 5) and list(several["n"]) == list(range(7))


def test_all_finite_looks_at_floats_only():
    tree = {"a": jnp.ones(3), "b": [jnp.array(2**31 - 1, jnp.int32)]}
    assert bool(all_finite(tree)) and bool(all_finite({"n": jnp.array(1)})) and bool(all_finite(()))
    for bad in (np.nan, np.inf, -np.inf):
        assert not bool(all_finite(tree | {"a": jnp.array([1.0, bad])}))


def test_natural_values_by_name(programs, config):
    values = programs.hyperparams(config)
    assert set(values) == set(SPACE) and all(v.shape == (P,) for v in values.values())


def test_as_many_are_made_at_once_as_there_are_cores():
    """Each compilation takes up to a gigabyte."""
    lock, running, most, wide = threading.Lock(), 0, 0, max(2, usable_cores())
    together = threading.Barrier(wide)  # nobody is done before so many are at it

    def make():
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait(timeout=60)
        with lock:
            running -= 1
        return int

    made = [Ahead(make) for _ in range(3 * wide)]
    for one in made:
        one.begin()
    assert [one("7") for one in made] == [7] * len(made) and most == wide
