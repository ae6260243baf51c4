"""Arrays that are packed come back as they were; others are refused by name."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bgpbt.storage.packing import pack, unpack

ARRAYS = {
    "odd": np.array([1, 2, 3], np.uint8),  # what follows is not aligned
    "matrix": np.arange(6.0).reshape(2, 3),
    "on a device": jnp.arange(4, dtype=jnp.bfloat16),
    "scalar": np.float64(0.1),
    "nothing": np.zeros((0, 4), np.float32),
    "yes": np.array([True, False]),
    "key": jax.random.key(7),
    "keys": jax.random.split(jax.random.key(7, impl="rbg"), 3),
    "old key": jax.random.PRNGKey(7),
}


def test_every_kind_of_array_comes_back_to_the_bit():
    packed, words = pack(ARRAYS)
    blank = {name: jax.tree.map(lambda x: x, x) for name, x in ARRAYS.items()}
    arrays = unpack(packed, words, blank)
    assert list(arrays) == list(ARRAYS)
    for name, x in ARRAYS.items():
        y = arrays[name]
        assert (y.dtype, y.shape) == (x.dtype, x.shape)
        assert isinstance(y, jax.Array) == isinstance(x, jax.Array)
        is_key = "key" in name and name != "old key"
        a, b = map(jax.random.key_data, (x, y)) if is_key else (x, y)
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def test_nothing_is_packed():
    packed, words = pack({})
    assert packed.size == 0 and unpack(packed, words, {}) == {}


@pytest.mark.parametrize(
    ("template", "line"),
    [
        ({"a": np.zeros(3, np.float32)}, "a: float32[2] there, float32[3] here"),
        ({"a": np.zeros(2)}, "a: float32[2] there, float64[2] here"),
        ({}, "a: float32[2] there, nothing here"),
        (
            {"a": np.zeros(2, np.float32), "b": np.zeros(())},
            "b: nothing there, float64[] here",
        ),
    ],
)
def test_other_arrays_are_named(template, line):
    with pytest.raises(ValueError, match="there, ") as caught:
        unpack(*pack({"a": np.ones(2, np.float32)}), template)
    assert str(caught.value) == line
