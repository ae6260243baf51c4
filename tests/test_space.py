"""Dimensions: natural values and coordinates, there and back."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bgpbt import space as spaces
from bgpbt.space import Categorical, Float, Integer
from bgpbt.tasks.ppo.spaces import architecture_space, hyperparameter_space

SPACE = hyperparameter_space(2048) | architecture_space()
DIMENSIONS = {
    **SPACE,
    "linear": Integer(-3, 7, 0),
    "log_from_one": Integer(1, 1000, 10, log=True),
    "wide": Float(1e-8, 1e8, 1.0, log=True),
    "near_one": Float(0.9, 0.9999, 0.97, log_complement=True),
    "negative": Float(-2.0, -0.1, -1.0),
    "choice": Categorical(("a", "b", "c"), 1),
    "one_choice": Categorical(("only",), 0),
    "one_value": Integer(4, 4, 4),
}
DISCRETE = {name: dim for name, dim in DIMENSIONS.items() if not isinstance(dim, Float)}


def values_of(dim) -> list[int]:
    if isinstance(dim, Categorical):
        return list(range(len(dim.choices)))
    if dim.doubling:
        return [dim.low * 2**i for i in range(round(math.log2(dim.high / dim.low)) + 1)]
    return list(range(dim.low, dim.high + 1))


@pytest.mark.parametrize("name", DISCRETE)
def test_every_bin_is_met_by_its_own_code(name):
    dim = DISCRETE[name]
    values = np.array(values_of(dim))
    unit = spaces.encode_dimension(dim, values)
    decoded = spaces.decode_dimension(dim, unit)
    np.testing.assert_array_equal(decoded, values)
    np.testing.assert_array_equal(spaces.value_at(dim, unit), values)
    assert decoded.dtype == jnp.int32


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, dim in DISCRETE.items()
        if not (isinstance(dim, Integer) and dim.log)
    ],
)
def test_bins_are_equal_and_met_at_their_centre(name):
    dim = DISCRETE[name]
    values = np.array(values_of(dim))
    number = len(values)
    centres = (np.arange(number) + 0.5) / number
    np.testing.assert_allclose(spaces.encode_dimension(dim, values), centres, atol=1e-4)
    inside = (
        (np.arange(number)[:, None] + np.array([0.02, 0.5, 0.98])) / number
    ).astype(np.float32)
    np.testing.assert_array_equal(
        spaces.decode_dimension(dim, inside), np.repeat(values[:, None], 3, axis=1)
    )


def test_logarithmic_integers_as_documented():
    dim = Integer(2, 16, 4, log=True)
    codes = [
        round(float(spaces.encode_dimension(dim, value)), 2) for value in (2, 4, 8, 16)
    ]
    assert codes == [0.12, 0.41, 0.70, 0.99]


def test_a_scale_near_one_is_even_in_the_logarithm_of_the_complement():
    dim = hyperparameter_space(64, "log_complement")["discounting"]
    np.testing.assert_allclose(
        1 - spaces.decode_dimension(dim, jnp.linspace(0, 1, 4)),
        [1e-1, 1e-2, 1e-3, 1e-4],
        rtol=2e-3,
    )
    near_one = {"complement": True, "log_complement": True}
    assert dim == Float(0.9, 0.9999, 0.97, **near_one, least=0, most=1)
    assert hyperparameter_space(64)["discounting"] == Float(
        0.9, 0.9999, 0.97, log=True, complement=True, least=0, most=1
    )


def test_doubling_takes_the_powers_only():
    units = jnp.linspace(0, 1, 1001)
    values = np.unique(
        spaces.decode_dimension(Integer(64, 1024, 1024, doubling=True), units)
    )
    assert values.tolist() == [64, 128, 256, 512, 1024]


def test_a_logarithmic_float_is_linear_in_its_logarithm():
    dim = Float(1e-4, 1e-2, 1e-3, log=True)
    np.testing.assert_allclose(
        spaces.decode_dimension(dim, jnp.array([0, 0.25, 0.5, 1])),
        [1e-4, 10**-3.5, 1e-3, 1e-2],
        rtol=1e-5,
    )
    linear = Float(0.1, 0.4, 0.2)
    np.testing.assert_allclose(
        spaces.decode_dimension(linear, jnp.array([0, 0.5, 1])),
        [0.1, 0.25, 0.4],
        rtol=1e-6,
    )


def test_floats_survive_the_round_trip():
    units = jnp.asarray(np.random.default_rng(0).uniform(size=200), jnp.float32)
    for dim in DIMENSIONS.values():
        if isinstance(dim, Float):
            # Beside 1 a float32 is a multiple of 6e-8: 9e-5 of the coordinate at the
            # smallest complement, 1e-4.
            atol = 1e-4 if dim.log_complement else 2e-6
            np.testing.assert_allclose(
                spaces.encode_dimension(dim, spaces.decode_dimension(dim, units)),
                units,
                atol=atol,
            )


def test_every_value_lies_in_its_range():
    """At the ends, beside them, at random and outside the cube, in float32."""
    ends = np.array(
        [
            0,
            1,
            np.nextafter(np.float32(0), 1),
            np.nextafter(np.float32(1), 0),
            -1,
            2,
            1e30,
        ],
        np.float32,
    )
    units = np.concatenate(
        [ends, np.random.default_rng(1).uniform(size=5000).astype(np.float32)]
    )
    values = jax.jit(lambda x: spaces.decode(DIMENSIONS, x))(
        np.repeat(units[:, None], len(DIMENSIONS), axis=1)
    )
    for name, dim in DIMENSIONS.items():
        low, high = (np.asarray(end, values[name].dtype) for end in spaces.limits(dim))
        decoded = np.asarray(values[name])
        assert decoded.min() == pytest.approx(low), name
        assert decoded.max() == pytest.approx(high), name
        assert (decoded >= low).all() and (decoded <= high).all(), name
        assert decoded.dtype == (np.float32 if isinstance(dim, Float) else np.int32)


def test_codes_lie_in_the_cube():
    for dim in DIMENSIONS.values():
        low, high = spaces.limits(dim)
        codes = np.asarray(spaces.encode_dimension(dim, np.array([low, high], float)))
        assert (codes >= 0).all() and (codes <= 1).all() and codes[0] <= codes[1]


def test_defaults_are_values_of_the_space():
    defaults = spaces.defaults(SPACE)
    assert (
        defaults["batch_size"],
        defaults["unroll_length"],
        defaults["policy_depth"],
    ) == (1024, 5, 2)
    decoded = spaces.decode(SPACE, spaces.encode(SPACE, defaults))
    assert list(decoded) == list(SPACE)
    for name, value in defaults.items():
        assert float(decoded[name]) == pytest.approx(value, rel=1e-5)


def test_a_whole_population_decodes_at_once():
    config = (
        np.random.default_rng(2).uniform(size=(5, 3, len(SPACE))).astype(np.float32)
    )
    values = spaces.decode(SPACE, config)
    assert all(value.shape == (5, 3) for value in values.values())
    one = spaces.decode(SPACE, config[4, 2])
    assert all(values[name][4, 2] == one[name] for name in SPACE)
    assert spaces.encode(SPACE, values).shape == config.shape


def test_samples_fill_the_cube():
    draws = jax.vmap(lambda key: spaces.sample(key, SPACE))(
        jax.random.split(jax.random.PRNGKey(0), 500)
    )
    assert draws.shape == (500, len(SPACE)) and draws.min() >= 0 and draws.max() <= 1
    np.testing.assert_allclose(draws.mean(axis=0), 0.5, atol=0.06)
    np.testing.assert_allclose(draws.std(axis=0), 12**-0.5, atol=0.03)
    assert np.abs(np.corrcoef(draws.T) - np.eye(len(SPACE))).max() < 0.2


def test_group_mask():
    mask = spaces.group_mask(SPACE, "policy")
    assert [name for name, inside in zip(SPACE, mask, strict=True) if inside] == [
        "policy_depth",
        "policy_width",
        "policy_spectral_norm",
    ]
    assert sum(
        spaces.group_mask(SPACE, group)
        for group in ("hyperparameter", "policy", "value")
    ).tolist() == [1] * len(SPACE)
    assert spaces.group_mask({}, "policy").shape == (0,)


@pytest.mark.parametrize(
    ("dim", "message"),
    [
        (Float(0.0, 1.0, 0.5), ""),
        (Float(0.0, 1.0, 0.5, log=True), "low 0.0 has no logarithm, give one above 0"),
        (
            Float(0.5, 1.0, 0.9, log_complement=True),
            "1 - high is 0.0, which has no logarithm, give high below 1",
        ),
        (Float(0.5, 0.99, 0.9, log_complement=True), ""),
        (Integer(3, 3, 3), ""),
        (Integer(4, 3, 3), "low 4 is not below high 3"),
        (Float(0.0, 1.0, None), "default None is no number"),
        (Float(1.0, 1.0, 1.0), "low 1.0 and high 1.0 are the same float32"),
        (Float(float("nan"), 1.0, 0.5), "low nan is not finite"),
        (Float(0.0, math.inf, 1.0), "high inf is not finite"),
        (Float(0.0, 1.0, math.nan), "default nan is not finite"),
        (
            Float(1e-40, 1e-30, 1e-35, log=True),
            "low 1e-40 is no float32, whose size is 1.2e-38 to 3.4e+38",
        ),
        (
            Float(0.0, 1e39, 1.0),
            "high 1e+39 is no float32, whose size is 1.2e-38 to 3.4e+38",
        ),
        (
            Float(1.0, 1.00000001, 1.0),
            "low 1.0 and high 1.00000001 are the same float32",
        ),
        (Integer(1.5, 8, 2), "low 1.5 is not a whole number"),
        (Integer(1, 8, 2.5), "default 2.5 is not a whole number"),
        (Integer(0, 2**31, 1), "high 2147483648 is beyond 1,073,741,824"),
        (Integer(-(2**30), 2**30, 1), ""),
        (Float(0.0, 1.0, 2.0), "default 2.0 is not in 0.0 to 1.0"),
        (Integer(0, 8, 1, log=True), "low 0 has no logarithm, give one above 0"),
        (Integer(0, 8, 1, doubling=True), "low 0 has no logarithm, give one above 0"),
        (
            Integer(3, 20, 6, doubling=True),
            "high 20 is not 3 doubled a whole number of times",
        ),
        (Integer(3, 24, 6, doubling=True), ""),
        (
            Integer(3, 24, 10, doubling=True),
            "default 10 is not 3 doubled so often",
        ),
        (Categorical(("a", "b"), 1), ""),
        (Categorical(("a", "b"), 2), "default 2 is no place among the 2 choices"),
        (Categorical((), 0), "choices () are no tuple of at least one"),
        (Categorical("ab", 0), "choices 'ab' are no tuple of at least one"),
        (Categorical(("a", "b"), "a"), "default 'a' is no place among the 2 choices"),
        (0.5, "float is no dimension, give Float, Integer or Categorical"),
    ],
)
def test_what_is_wrong_with_a_dimension(dim, message):
    assert spaces.validate(dim) == message


@pytest.mark.parametrize("log", [False, True])
def test_the_largest_whole_numbers_are_decoded_within_their_range(log):
    dim = Integer(1, spaces.MOST_WHOLE, 1, log=log)
    units = jnp.linspace(0, 1, 1001)
    decoded = np.asarray(spaces.decode_dimension(dim, units))
    assert decoded.min() == 1 and decoded.max() == spaces.MOST_WHOLE
    assert (np.diff(decoded.astype(np.int64)) >= 0).all()
