"""Trees of arrays: where two differ and what something is, in words; strong types."""

from typing import Any

import jax
import jax.numpy as jnp

from bgpbt.types import Array, PyTree


def strong(x: Any) -> Array:
    """The same values without a weak type.

    A weak type would make the second call of a program another program.
    """
    x = jnp.asarray(x)
    return jax.lax.convert_element_type(x, x.dtype)


def difference(tree: PyTree, wanted: PyTree) -> str:
    """Where two trees differ first, in words; "" where they do not.

    They differ in a leaf, its shape or type, or in what holds the leaves.
    """
    leaves = leaves_by_path(tree)
    wanted_leaves = leaves_by_path(wanted)
    for path in [*wanted_leaves, *leaves]:
        now = leaves.get(path, "nothing")
        before = wanted_leaves.get(path, "nothing")
        if now != before:
            return f"{path} is {now}, was {before}"
    if jax.tree.structure(tree) == jax.tree.structure(wanted):
        return ""
    return f"{kind_of(tree)} instead of {kind_of(wanted)}, or of other kinds inside"


def leaves_by_path(tree: PyTree) -> dict[str, str]:
    """Type and shape of every leaf, such as `float32[3]`, by its path."""
    return {
        jax.tree_util.keystr(path) or "it": _leaf(leaf)
        for path, leaf in jax.tree.leaves_with_path(tree)
    }


def _leaf(leaf: Any) -> str:
    if hasattr(leaf, "dtype"):
        return f"{leaf.dtype}{list(leaf.shape)}"
    return type(leaf).__name__


def kind_of(value: Any) -> str:
    """What something is, in a word or a few."""
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return f"({', '.join(map(kind_of, value))})"
    if isinstance(value, dict):
        return f"a dict of {tuple(value)}"
    if hasattr(value, "shape"):
        return f"an array {list(value.shape)}"
    return type(value).__name__
