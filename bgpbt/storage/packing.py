"""Many arrays as one vector of bytes, and back.

Orbax and TensorStore take time for each array, and TensorStore 0.1.86 loses 0.3 kB of
memory for each at every save: a run of many rounds would grow by gigabytes.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Words = list[list[Any]]  # name, dtype and shape of each array, in their order
_KEY_BYTES = {"key<fry>": 8, "key<rbg>": 16, "key<urbg>": 16}  # JAX's random keys


def pack(arrays: dict[str, Any]) -> tuple[np.ndarray, Words]:
    """Joins arrays.

    Args:
      arrays: by name, on the host; also random keys.

    Returns:
      Their bytes, a vector of uint8, and what they were.
    """
    words = [[name, str(x.dtype), list(x.shape)] for name, x in arrays.items()]
    flat = (np.ascontiguousarray(_plain(x)).reshape(-1) for x in arrays.values())
    parts = [x.view(np.uint8) for x in flat]  # no copies
    return np.concatenate([*parts, np.zeros(0, np.uint8)]), words


def unpack(
    packed: np.ndarray,
    words: Words,
    templates: dict[str, Any],
    prefixes: tuple[str, ...] = ("",),
) -> dict[str, Any]:
    """Parts what `pack` joined.

    Args:
      packed: the bytes.
      words: what they were.
      templates: arrays of the same names, types, shapes, and placement.
      prefixes: of the names that are wanted; others are left out.

    Returns:
      The arrays by name.

    Raises:
      ValueError: names, types or shapes are not those of the templates.
    """
    there = {
        name: _describe(dtype, shape)
        for name, dtype, shape in words
        if name.startswith(prefixes)
    }
    here = {name: _describe(x.dtype, x.shape) for name, x in templates.items()}
    for name in [*here, *there]:
        one, other = (side.get(name, "nothing") for side in (there, here))
        if one != other:
            raise ValueError(f"{name}: {one} there, {other} here")
    arrays = {}
    begin = 0
    for name, dtype, shape in words:
        end = begin + _num_bytes(dtype, shape)
        if name in templates:
            plain = _plain(templates[name])
            array = packed[begin:end].view(plain.dtype).reshape(plain.shape).copy()
            arrays[name] = _placed_like(templates[name], array)
        begin = end
    return arrays


def _num_bytes(dtype: str, shape: list[int]) -> int:
    """Bytes of an array, from what it is called."""
    size = _KEY_BYTES.get(dtype) or jnp.dtype(dtype).itemsize
    return math.prod(shape) * size


def _describe(dtype: Any, shape: Any) -> str:
    return f"{dtype}[{', '.join(map(str, shape))}]"


def _is_key(x: Any) -> bool:
    return jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)


def _plain(x: Any) -> np.ndarray:
    """The array as NumPy knows it: a random key is some whole numbers."""
    return np.asarray(jax.random.key_data(x) if _is_key(x) else x)


def _placed_like(template: Any, array: np.ndarray) -> Any:
    """An array where the template is: on its devices, or on the host."""
    if not isinstance(template, jax.Array):
        return array
    if _is_key(template):
        impl = jax.random.key_impl(template)
        keys = jax.random.wrap_key_data(jnp.asarray(array), impl=impl)
        return jax.device_put(keys, template.sharding)
    return jax.device_put(array, template.sharding)
