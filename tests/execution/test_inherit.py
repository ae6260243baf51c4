"""One table says what inheritance does to each part of a member."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toy_programs import SEED, TASK, P, copy, host, member, table_decision, train
from toys import SPACE, bits, same_bits

from bgpbt import space as spaces
from bgpbt.execution.inherit import gather, shrink_perturb
from bgpbt.execution.streams import Stream, member_key
from bgpbt.types import TrainState


@pytest.fixture(scope="module")
def table(programs, config, population):
    """The population before and after, the saved best, fresh starts of all members."""
    donor = train(programs, config, rounds=2)[0]
    best = programs.pick(donor, np.int32(6))
    decision = table_decision(config)
    after = programs.inherit(SEED, np.int32(1), copy(population), best, decision)
    fresh = [
        TASK.init(
            member_key(SEED, Stream.initialise, 1, m),
            spaces.decode(SPACE, decision.config[m]),
        )
        for m in range(P)
    ]
    return population, after, best, fresh


def block(state: TrainState, name: str):
    return state.params[name], state.opt_state[name]


def test_a_member_that_stays_is_untouched_to_the_bit(table):
    before, after, _, _ = table
    for index in (0, 3):
        assert same_bits(member(before, index), member(after, index))


def test_weights_and_moments_come_from_the_blocks_parent(table):
    before, after, _, _ = table
    parents = {1: (0, 0), 2: (4, 6)}
    for index, of_block in parents.items():
        for name, parent in zip(TASK.blocks, of_block, strict=True):
            inherited = block(member(after, index), name)
            assert same_bits(inherited, block(member(before, parent), name))
            assert not same_bits(inherited, block(member(before, index), name))
    assert same_bits(
        block(member(after, 7), "second"), block(member(before, 0), "second")
    )


def test_statistics_come_from_the_first_blocks_parent(table):
    before, after, best, fresh = table
    for index, parent in {1: 0, 2: 4, 5: 0}.items():
        inherited = member(after, index).statistics
        assert same_bits(inherited, member(before, parent).statistics)
        assert not same_bits(inherited, member(before, index).statistics)
    assert same_bits(member(after, 4).statistics, host(best.statistics))
    # All of it starts afresh.
    assert same_bits(member(after, 6).statistics, host(fresh[6].statistics))
    # One block does.
    assert same_bits(member(after, 7).statistics, member(before, 7).statistics)


def test_parent_p_is_the_saved_best(table):
    before, after, best, _ = table
    heir = member(after, 4)
    assert same_bits((heir.params, heir.opt_state, heir.statistics), host(best[:3]))
    assert not same_bits(heir.params, member(before, P - 1).params)


def test_blended_weights_are_shrunk_and_perturbed_and_their_moments_fresh(table):
    before, after, _, fresh = table
    blended = member(after, 5)
    jax.tree.map(
        lambda x, p, f: np.testing.assert_allclose(x, 0.4 * p + 0.1 * f, rtol=1e-6),
        blended.params,
        member(before, 0).params,
        fresh[5].params,
    )
    assert same_bits(blended.opt_state, host(fresh[5].opt_state))


def test_a_fresh_start_is_an_initialisation_for_the_next_configuration(table):
    """Also of one block alone.

    The size of `first` is the next configuration's, its moments are fresh.
    """
    _, after, _, fresh = table
    for index, names in ((6, TASK.blocks), (7, ("first",))):
        for name in names:
            expected = host(block(fresh[index], name))
            assert same_bits(block(member(after, index), name), expected)


def test_environments_of_replaced_members_are_drawn_afresh_and_others_stay(table):
    before, after, _, _ = table
    for index in range(P):
        old = member(before, index).env_state
        new = member(after, index).env_state
        if index in (0, 3):
            assert same_bits(old, new)
        else:
            assert (old["noise"] != new["noise"]).all()
            assert int(new["clock"]) == 0 < int(old["clock"])
    noise = np.asarray(after.env_state["noise"])
    assert len(np.unique(noise)) == noise.size  # a key for every member


def test_the_state_keeps_its_tree_dtypes_and_no_weak_types(table):
    before, after, _, _ = table

    def kind(tree):
        return jax.tree.map(lambda x: (x.shape, x.dtype, x.weak_type), tree)

    assert kind(before) == kind(after)
    assert not any(x.weak_type for x in jax.tree.leaves(before))


def test_nan_does_not_travel(programs, config, population):
    """A member with NaN everywhere becomes a copy.

    One that starts afresh keeps nothing; nobody else notices.
    """

    def poison(x):
        floating = jnp.issubdtype(x.dtype, jnp.floating)
        return x.at[jnp.array([1, 6])].set(jnp.nan) if floating else x

    broken = jax.tree.map(poison, copy(population))
    best = programs.pick(population, np.int32(3))
    clean, cured = (
        programs.inherit(SEED, np.int32(1), before, best, table_decision(config))
        for before in (copy(population), broken)
    )
    for index in (0, 1, 3, 4, 5, 6, 7):
        assert same_bits(member(clean, index), member(cured, index))


def test_untouched_to_the_bit_means_zeros_with_their_sign_too():
    """(1, 0) is the identity: masked weights are often -0."""
    old = jnp.array([-0.0, 0.0, 1.5, -3e-30, 3e30, jnp.inf])
    new = jnp.full(6, jnp.nan)
    blended = jax.jit(jax.vmap(shrink_perturb))(
        old[None], new[None], jnp.ones(1), jnp.zeros(1)
    )
    assert bits(blended) == bits(old[None])


def test_a_factor_of_zero_removes_its_part_even_where_it_is_nan():
    bad = jnp.array([jnp.nan, jnp.inf, 1.0])
    good = jnp.array([1.0, 2.0, 3.0])
    zero, one = jnp.float32(0), jnp.float32(1)
    np.testing.assert_array_equal(shrink_perturb(bad, good, zero, one), good)
    np.testing.assert_array_equal(shrink_perturb(good, bad, one, zero), good)
    np.testing.assert_array_equal(shrink_perturb(bad, bad, zero, zero), 0)
    half, quarter = jnp.float32(0.5), jnp.float32(0.25)
    np.testing.assert_allclose(
        shrink_perturb(good, good[::-1], half, quarter), [1.25, 1.5, 1.75]
    )


@pytest.mark.parametrize("inherits_memory", [False, True])
def test_averages_follow_their_block_and_memory_follows_the_task(inherits_memory):
    """Averages are those of the block's parent, also where its weights are shrunk."""
    task = TASK._replace(inherits_memory=inherits_memory)
    decision = table_decision(np.zeros((P, len(SPACE)), np.float32))

    def state(first: int) -> TrainState:
        """Every number says whose it is."""
        whose = jnp.arange(first, first + P, dtype=jnp.float32)
        blocks = dict.fromkeys(TASK.blocks, whose)
        memory = 1000 + whose
        return TrainState(blocks, blocks, whose, (), {"second": 100 + whose}, memory)

    saved = jax.tree.map(lambda x: x[0], state(50))
    after = gather(task, state(0), saved, state(70), decision)
    # Member 4 is the saved best, 5 is blended, 6 begins afresh, 7 in `first` alone.
    np.testing.assert_array_equal(
        after.averages["second"], [100, 100, 106, 103, 150, 100, 176, 100]
    )
    memory = [0, 0, 4, 3, 50, 0, 76, 7] if inherits_memory else range(P)
    np.testing.assert_array_equal(after.memory, [1000 + x for x in memory])


def test_every_dtype_survives_and_only_floats_are_blended():
    """bfloat16 stays bfloat16; whole numbers and booleans take the parent's."""
    old = {
        "half": jnp.full(2, 3, jnp.bfloat16),
        "count": jnp.full(2, 3, jnp.int32),
        "flag": jnp.ones(2, bool),
        "byte": jnp.full(2, 3, jnp.uint8),
    }
    new = jax.tree.map(jnp.zeros_like, old)
    blend = jax.jit(shrink_perturb)
    for shrink, perturb, half, count in (
        (1.0, 0.0, 3, 3),
        (0.5, 0.1, 1.5, 3),
        (0.0, 1.0, 0, 0),
    ):
        after = blend(old, new, jnp.float32(shrink), jnp.float32(perturb))
        assert jax.tree.map(lambda x: x.dtype, after) == jax.tree.map(
            lambda x: x.dtype, old
        )
        assert (after["half"] == half).all() and (after["flag"] == (count == 3)).all()
        assert (after["count"] == count).all() and (after["byte"] == count).all()
