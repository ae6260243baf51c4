"""Search spaces as data, and their encoding in the unit cube (Wan et al., 2022).

A float is linear, or linear in its logarithm or in that of 1 - value. A whole number
with n values has n equal bins with centres (k + 0.5) / n; a logarithmic one takes ln of
[low - 0.5, high + 0.5]. Decoding rounds and clips: every value lies in its range.
"""

import math
import numbers
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

# Of JAX where it is traced, of NumPy on the host: no type of either holds for both.
Array = Any
# Just under half a step, so that no coordinate of the cube rounds out of the range.
_HALF = 0.49999
# Whole numbers are decoded in float32 to int32, so they stay below this.
MOST_WHOLE = 2**30
# A whole number with more values is searched as a float is.
_MANY_VALUES = 100


class Float(NamedTuple):
    """A real number in [low, high]."""

    low: float
    high: float
    default: float
    log: bool = False
    # Perturbed through 1 - value: a factor on 0.97 would always leave [0.9, 1].
    complement: bool = False
    log_complement: bool = False  # linear in ln(1 - value)
    group: str = "hyperparameter"
    # What a user may widen it to: beyond, there is no such value.
    least: float = -math.inf
    most: float = math.inf


class Integer(NamedTuple):
    """A whole number in [low, high]; with `doubling` low, 2 low, 4 low, ..., high."""

    low: int
    high: int
    default: int
    log: bool = False
    doubling: bool = False
    # Or the name of the block of weights whose architecture it describes.
    group: str = "hyperparameter"
    least: float = -math.inf
    most: float = math.inf


class Categorical(NamedTuple):
    """One of `choices`; decoded to its index."""

    choices: tuple
    default: int
    group: str = "hyperparameter"


Dimension = Float | Integer | Categorical
SearchSpace = dict[str, Dimension]


def is_continuous(dim: Dimension) -> bool:
    """Whether a search moves in it as in a float.

    So do whole numbers with many values: what a search of every value costs would grow
    with the range.
    """
    if isinstance(dim, Integer) and not dim.doubling:
        return dim.high - dim.low >= _MANY_VALUES
    return isinstance(dim, Float)


def validate(dim: Dimension) -> str:
    """What is wrong with a dimension, "" where nothing is."""
    if not isinstance(dim, Dimension):
        return (
            f"{type(dim).__name__} is no dimension, give Float, Integer or Categorical"
        )
    if isinstance(dim, Categorical):
        return _validate_choices(dim)
    for name in ("low", "high", "default"):
        if problem := number_problem(dim, getattr(dim, name)):
            return f"{name} {problem}"
    return _validate_range(dim)


def _validate_choices(dim: Categorical) -> str:
    if not isinstance(dim.choices, tuple | list) or not dim.choices:
        return f"choices {dim.choices!r} are no tuple of at least one"
    there = range(len(dim.choices))
    if isinstance(dim.default, numbers.Integral) and dim.default in there:
        return ""
    return f"default {dim.default!r} is no place among the {len(there)} choices"


def number_problem(dim: Float | Integer, value: Any) -> str:
    """Why a dimension cannot have a value, in or out of its range; "" where it can."""
    if not isinstance(value, numbers.Real):
        return f"{value!r} is no number"
    if not math.isfinite(value):
        return f"{value!r} is not finite"
    size = abs(float(value))
    if isinstance(dim, Integer):
        if not size.is_integer():
            return f"{value!r} is not a whole number"
        return "" if size <= MOST_WHOLE else f"{value!r} is beyond {MOST_WHOLE:,}"
    smallest = float(np.finfo(np.float32).tiny)
    largest = float(np.finfo(np.float32).max)
    if size and not smallest <= size <= largest:
        return f"{value!r} is no float32, whose size is {smallest:.2g} to {largest:.2g}"
    return ""


def _validate_range(dim: Float | Integer) -> str:
    """What is wrong with ends that are numbers, "" where nothing is."""
    if isinstance(dim, Float) and np.float32(dim.low) == np.float32(dim.high):
        return f"low {dim.low} and high {dim.high} are the same float32"
    if not (dim.low <= dim.high if isinstance(dim, Integer) else dim.low < dim.high):
        return f"low {dim.low} is not below high {dim.high}"
    if not dim.low <= dim.default <= dim.high:
        return f"default {dim.default} is not in {dim.low} to {dim.high}"
    doubling = isinstance(dim, Integer) and dim.doubling
    if (dim.log or doubling) and dim.low <= 0:
        return f"low {dim.low} has no logarithm, give one above 0"
    if doubling and dim.low * 2 ** round(math.log2(dim.high / dim.low)) != dim.high:
        return f"high {dim.high} is not {dim.low} doubled a whole number of times"
    if doubling and dim.low * 2 ** round(math.log2(dim.default / dim.low)) != (
        dim.default
    ):
        return f"default {dim.default} is not {dim.low} doubled so often"
    if isinstance(dim, Float) and dim.log_complement and dim.high >= 1:
        return f"1 - high is {1 - dim.high}, which has no logarithm, give high below 1"
    return ""


def _bins(dim: Dimension) -> tuple[int, int]:
    """The first and the last whole number on the dimension's scale."""
    if isinstance(dim, Categorical):
        return 0, len(dim.choices) - 1
    if isinstance(dim, Float):
        raise TypeError("a Float has no bins")
    if dim.doubling:
        return 0, round(math.log2(dim.high / dim.low))
    return dim.low, dim.high


def num_values(dim: Integer | Categorical) -> int:
    """How many values a dimension has that is no float."""
    first, last = _bins(dim)
    return last - first + 1


def _ends(dim: Dimension) -> tuple[float, float]:
    """The values at 0 and 1 on the scale that the cube is linear in."""
    if isinstance(dim, Float):
        low, high = dim.low, dim.high
        if dim.log_complement:
            low, high = 1 - low, 1 - high
    else:
        first, last = _bins(dim)
        low, high = first - _HALF, last + _HALF
    return (math.log(low), math.log(high)) if _is_log(dim) else (low, high)


def _is_log(dim: Dimension) -> bool:
    if isinstance(dim, Categorical):
        return False
    return dim.log or (isinstance(dim, Float) and dim.log_complement)


def scale_of(dim: Dimension) -> str:
    """How a dimension is spread over the unit cube, in a word."""
    if isinstance(dim, Categorical):
        return "choices"
    names = ("log", "log_complement", "doubling")
    return next((name for name in names if getattr(dim, name, False)), "linear")


def limits(dim: Dimension) -> tuple[float, float]:
    """The smallest and the largest natural value."""
    if isinstance(dim, Categorical):
        return 0, len(dim.choices) - 1
    return dim.low, dim.high


def decode_dimension(dim: Dimension, unit: Array) -> Array:
    """Natural value of a coordinate in [0, 1].

    Floats have the dtype of `unit`; whole numbers and categories are int32.
    """
    if isinstance(dim, Float):
        return jnp.clip(_on_scale(dim, unit), dim.low, dim.high)
    index = bin_index(dim, unit) + _bins(dim)[0]
    return dim.low * 2**index if isinstance(dim, Integer) and dim.doubling else index


def _on_scale(dim: Dimension, unit: Array) -> Array:
    low, high = _ends(dim)
    x = low + jnp.clip(unit, 0, 1) * (high - low)
    x = jnp.exp(x) if _is_log(dim) else x
    return 1 - x if isinstance(dim, Float) and dim.log_complement else x


def bin_index(dim: Dimension, unit: Array) -> Array:
    """Which of the values, from 0, a coordinate in [0, 1] belongs to. int32."""
    first, last = _bins(dim)
    nearest = jnp.clip(jnp.round(_on_scale(dim, unit)), first, last)
    return nearest.astype(jnp.int32) - first


def bin_centres(dim: Dimension) -> np.ndarray:
    """The coordinates at which `encode` puts the values, ascending. Shape `[n]`."""
    first, last = _bins(dim)
    low, high = _ends(dim)
    x = np.arange(first, last + 1, dtype=float)
    return ((np.log(x) if _is_log(dim) else x) - low) / (high - low)


def value_at(dim: Dimension, unit: np.ndarray) -> np.ndarray:
    """Natural values of coordinates at the centres of bins.

    In NumPy, so that nothing is compiled for a new shape.
    """
    index = np.abs(np.asarray(unit)[..., None] - bin_centres(dim)).argmin(axis=-1)
    if isinstance(dim, Integer) and dim.doubling:
        return dim.low * 2**index
    return index + _bins(dim)[0]


def encode_dimension(dim: Dimension, value: Array | float) -> Array:
    """Coordinate in [0, 1] of a natural value; bins are met at their centre."""
    low, high = _ends(dim)
    x = jnp.asarray(value, jnp.result_type(float))
    if isinstance(dim, Float) and dim.log_complement:
        x = 1 - x
    if isinstance(dim, Integer) and dim.doubling:
        x = jnp.log2(x / dim.low)
    elif _is_log(dim):
        x = jnp.log(x)
    return jnp.clip((x - low) / (high - low), 0, 1)


def decode(space: SearchSpace, config: Array) -> dict[str, Array]:
    """Natural values by name. `config`: shape `[..., D]`; each value: shape `[...]`."""
    return {
        name: decode_dimension(dim, config[..., i])
        for i, (name, dim) in enumerate(space.items())
    }


def encode(space: SearchSpace, values: Mapping[str, Array | float]) -> Array:
    """The inverse of `decode`. Shape `[..., D]`."""
    return jnp.stack(
        [encode_dimension(dim, values[name]) for name, dim in space.items()], axis=-1
    )


def defaults(space: SearchSpace) -> dict[str, float]:
    """The default of every dimension, in natural units."""
    return {name: dim.default for name, dim in space.items()}


def sample(key: Array, space: SearchSpace) -> Array:
    """A configuration uniform in the cube. The key is consumed. Shape `[D]`."""
    return jax.random.uniform(key, (len(space),))


def group_mask(space: SearchSpace, group: str) -> np.ndarray:
    """Which dimensions belong to a group. Shape `[D]`, bool."""
    mask = [dim.group == group for dim in space.values()]
    return np.array(mask, bool).reshape(len(space))


def snap_architectures(space: SearchSpace, config: Array) -> Array:
    """Moves architectures to the centres of their bins. Shape `[M, D]`.

    Equal architectures are then equal numbers. NumPy stays NumPy, so that nothing is
    compiled on the host for a new shape; what is traced stays traced.
    """
    xp = jnp if isinstance(config, jax.Array) else np
    columns = [xp.asarray(config[:, i], np.float32) for i in range(len(space))]
    for i, dim in enumerate(space.values()):
        if dim.group != "hyperparameter" and not isinstance(dim, Float):
            centres = xp.asarray(bin_centres(dim), np.float32)
            columns[i] = centres[xp.asarray(bin_index(dim, config[:, i]))]
    return xp.stack(columns, axis=1)
