import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bgpbt.tasks.ppo import normalizer

BATCHES = [
    np.random.default_rng(i).normal(3.0 * i - 2, 0.5 + i, size=(size, 4))
    for i, size in enumerate((10, 1, 200, 37))
]


def filled(batches) -> normalizer.Normalizer:
    state = normalizer.init(4)
    for batch in batches:
        state = normalizer.update(state, jnp.asarray(batch, jnp.float32))
    return state


def test_mean_and_variance_are_those_of_all_observations():
    state, seen = filled(BATCHES), np.concatenate(BATCHES)
    assert int(state.count) == len(seen)
    np.testing.assert_allclose(state.mean, seen.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(state.squares / state.count, seen.var(axis=0), rtol=1e-5)
    expected = np.clip((seen[:20] - seen.mean(axis=0)) / seen.std(axis=0), -5, 5)
    np.testing.assert_allclose(
        normalizer.normalise(state, jnp.asarray(seen[:20], jnp.float32)),
        expected,
        atol=1e-5,
    )


def test_a_far_mean_keeps_the_variance():
    """The sum of squares minus the square of the sum would lose all digits here."""
    batches = [
        np.random.default_rng(i).normal(1000, 0.1, size=(500, 4)) for i in range(4)
    ]
    seen = np.concatenate(batches).astype(np.float32).astype(float)
    state = filled(batches)
    np.testing.assert_allclose(state.squares / state.count, seen.var(axis=0), rtol=0.02)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_rows_that_are_not_finite_are_left_out(bad):
    batch = BATCHES[2].copy()
    batch[::3, 1] = bad
    state = filled([BATCHES[0], batch, np.full((5, 4), bad)])
    seen = np.concatenate([BATCHES[0], np.delete(batch, np.s_[::3], axis=0)])
    assert int(state.count) == len(seen)
    np.testing.assert_allclose(state.mean, seen.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(state.squares / state.count, seen.var(axis=0), rtol=1e-5)


def test_nothing_seen_is_the_identity_within_the_limit():
    obs = jnp.array([[-4.0, 0.0, 3.0, 7.0]])
    for state in (normalizer.init(4), filled([np.full((3, 4), np.nan)])):
        np.testing.assert_array_equal(normalizer.normalise(state, obs), [[-4, 0, 3, 5]])


def test_a_constant_observation_stays_finite():
    state = filled([np.full((50, 4), 2.0)])
    np.testing.assert_array_equal(
        normalizer.normalise(state, jnp.array([2.0, 2.0, 3.0, -9.0])), [0, 0, 5, -5]
    )


def test_counting_is_exact_beyond_two_to_the_24():
    state = normalizer.init(4)._replace(count=jnp.array(2**24, jnp.int32))
    for _ in range(3):
        state = jax.jit(normalizer.update)(state, jnp.ones((1, 4)))
    assert int(state.count) == 2**24 + 3 and state.count.dtype == jnp.int32


def test_the_state_keeps_its_dtypes():
    before = normalizer.init(4)
    after = normalizer.update(before, jnp.ones((3, 4)))
    assert [x.dtype for x in after] == [x.dtype for x in before]
    assert not any(x.weak_type for x in after)
