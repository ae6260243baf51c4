import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bgpbt.tasks.ppo import minibatches
from bgpbt.tasks.ppo.minibatches import NUM_MINIBATCHES

ROLLOUT = 15
SHARES = (32, 16, 8, 4, 2)  # batch_size = num_envs / share
UNROLLS = range(5, 16)


@pytest.mark.parametrize("num_envs", [32, 64, 2048])
def test_every_number_of_minibatches_divides_the_rollout(num_envs):
    assert all(ROLLOUT * num_envs % count == 0 for count in NUM_MINIBATCHES)


def nearest(num_envs, batch_size, unroll_length):
    return minibatches.nearest_index(
        ROLLOUT * num_envs, batch_size, unroll_length, NUM_MINIBATCHES
    )


@pytest.mark.parametrize("num_envs", [64, 2048])
def test_numbers_of_all_batch_sizes_and_unroll_lengths(num_envs):
    """Nearest on a logarithmic scale, within a factor of 1.5.

    Five batch sizes give five numbers at every unroll length.
    """
    sizes = np.array([[num_envs // share for share in SHARES]] * len(UNROLLS))
    unrolls = np.repeat(np.array(UNROLLS)[:, None], len(SHARES), axis=1)
    index = jax.vmap(jax.vmap(partial(nearest, num_envs)))(sizes, unrolls)
    assert index.dtype == jnp.int32
    for row, size_row, unroll_row in zip(
        np.asarray(index), sizes, unrolls, strict=True
    ):
        assert len(set(row)) == len(SHARES)
        for choice, size, unroll in zip(row, size_row, unroll_row, strict=True):
            requested = ROLLOUT * num_envs / (size * unroll)
            distance = [abs(math.log(count / requested)) for count in NUM_MINIBATCHES]
            assert distance[choice] == pytest.approx(min(distance), abs=1e-6)
            assert 1 / 1.5001 <= NUM_MINIBATCHES[choice] / requested <= 1.5001


def test_the_longest_unroll_takes_exactly_the_batch_size():
    actual = [NUM_MINIBATCHES[nearest(64, 64 // share, 15)] for share in SHARES]
    assert actual == [32, 16, 8, 4, 2]


# The common number of pieces of a vmapped chunk


@pytest.mark.parametrize(
    ("counts", "common"),
    [
        ([32, 48], 96),
        ([2, 2], 2),
        ([2, 4, 8, 16, 32], 32),
        ([16, 48], 48),
        ([32], 32),
        ([96, 2], 96),
        ([4, 48], 48),
    ],
)
def test_the_common_number_is_the_smallest_that_all_divide(counts, common):
    index = jnp.array([NUM_MINIBATCHES.index(count) for count in counts])
    actual = jax.vmap(minibatches.common_index, out_axes=None)(index)
    assert (
        actual.shape == ()
        and NUM_MINIBATCHES[int(actual)] == common
        and actual.dtype == index.dtype
    )


def test_a_single_members_common_number_is_its_own():
    for index in range(len(NUM_MINIBATCHES)):
        assert int(minibatches.common_index(jnp.array(index))) == index


def primitives(jaxpr) -> list:
    """All equations, those of inner programs included."""
    equations = []
    for eqn in jaxpr.eqns:
        equations.append(eqn)
        for inner in jax.tree.leaves(
            list(eqn.params.values()),
            is_leaf=lambda x: hasattr(x, "eqns") or hasattr(x, "jaxpr"),
        ):
            inner = getattr(inner, "jaxpr", inner)
            if hasattr(inner, "eqns"):
                equations += primitives(inner)
    return equations


def test_a_switch_over_the_common_index_stays_a_branch_under_vmap():
    def choose(index, x, common):
        which = minibatches.common_index(index) if common else index
        return jax.lax.switch(which, [lambda x, n=n: x * n for n in NUM_MINIBATCHES], x)

    index, x = jnp.array([4, 5]), jnp.ones((2, 3))
    branched = {}
    for common in (True, False):
        jaxpr = jax.make_jaxpr(
            jax.vmap(lambda i, x, common=common: choose(i, x, common))
        )(index, x)
        branched[common] = [
            eqn for eqn in primitives(jaxpr.jaxpr) if eqn.primitive.name == "cond"
        ]
    assert len(branched[True]) == 1 and branched[True][0].invars[0].aval.shape == ()
    assert not branched[False]  # a batched index becomes a select of all branches
    np.testing.assert_array_equal(
        jax.vmap(lambda i, x: choose(i, x, True))(index, x), 96 * x
    )


# Accumulation


@pytest.mark.parametrize(
    ("num_pieces", "count"), [(96, 96), (96, 32), (96, 48), (96, 2), (16, 4), (8, 8)]
)
def test_advantages_have_the_statistics_of_full_minibatches(num_pieces, count):
    rows = (
        np.random.default_rng(num_pieces + count)
        .normal(2.0, 3.0, size=(num_pieces, 10))
        .astype(np.float32)
    )
    pieces_per_minibatch, actual = minibatches.normalise_advantages(
        num_pieces, jnp.array(count), jnp.asarray(rows)
    )
    assert int(pieces_per_minibatch) == num_pieces // count
    full = rows.reshape(count, -1).astype(float)
    expected = (full - full.mean(axis=1, keepdims=True)) / (
        full.std(axis=1, keepdims=True) + 1e-8
    )
    np.testing.assert_allclose(
        actual, expected.reshape(num_pieces, 10), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("count", [2, 16, 32, 48])
def test_accumulated_gradients_are_those_of_plain_minibatches(count):
    """A sweep in 96 pieces with accumulation makes the steps of one in `count` pieces.

    It sees each row once.
    """
    data = jnp.asarray(np.random.default_rng(count).normal(size=(960, 3)), jnp.float32)
    slope = jax.grad(lambda w, piece: jnp.mean(jnp.tanh(piece @ w) ** 2))
    start = jnp.array([0.3, -0.2, 0.1])

    def plain(carry, index, piece):
        del index
        return carry - 0.5 * slope(carry, piece)

    def piecewise(carry, index, piece):
        w, total = carry
        total = total + slope(w, piece) / (96 // count)
        full = (index + 1) % (96 // count) == 0
        return jnp.where(full, w - 0.5 * total, w), jnp.where(full, 0, total)

    expected = jax.jit(lambda w: minibatches.sweep(count, plain, w, data))(start)
    actual, left = jax.jit(
        lambda w: minibatches.sweep(96, piecewise, (w, jnp.zeros(3)), data)
    )(start)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(left, 0)
    seen = minibatches.sweep(
        count, lambda carry, index, piece: carry + piece.sum(axis=0), jnp.zeros(3), data
    )
    np.testing.assert_allclose(seen, data.sum(axis=0), atol=1e-3)


def test_a_sweep_takes_consecutive_pieces_in_order():
    data = {"x": jnp.arange(12), "y": jnp.arange(24).reshape(12, 2)}

    def step(carry, index, piece):
        return carry.at[index].set(
            piece["x"][0] + 100 * piece["y"].shape[0] + 10_000 * piece["y"].shape[1]
        )

    assert minibatches.sweep(4, step, jnp.zeros(4, jnp.int32), data).tolist() == [
        20_300,
        20_303,
        20_306,
        20_309,
    ]
