"""A search space as a table of text."""

from collections.abc import Mapping

from bgpbt.space import Categorical, Dimension, SearchSpace, scale_of
from bgpbt.viz.formatting import columns


def space_table(space: SearchSpace) -> list[str]:
    """A line for every dimension: name, range, scale, default, group; and a head."""
    rows = [("dimension", "range", "scale", "default", "group")]
    rows += [(name, *_row(dim), dim.group) for name, dim in space.items()]
    return columns(rows)


def fixed_table(values: Mapping[str, str]) -> list[str]:
    """A line for every dimension that is not searched: name, value; and a head.

    Args:
      values: what each is fixed at by name, as the user wrote it.
    """
    return columns([("fixed", "value"), *values.items()])


def _row(dim: Dimension) -> tuple[str, str, str]:
    """Range, scale and default, in words."""
    if isinstance(dim, Categorical):
        words = tuple(map(str, dim.choices))
        return ",".join(words), scale_of(dim), words[dim.default]
    return f"{dim.low:.10g} to {dim.high:.10g}", scale_of(dim), f"{dim.default:.10g}"
