"""Places for the nodes of a graph whose depths are known, and ways for its edges.

The layout of layers of Sugiyama et al. (1981), with a single sweep: a node lies below
what it reads, as near as its neighbours let it. An edge that skips layers has a place
of its own in each of them, so that it leads around the nodes there.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import isotonic_regression

NODE, BEND = 1.0, 0.5  # widths


class Edge(NamedTuple):
    """From what is read to who reads it."""

    start: int
    end: int
    way: list[tuple[float, int]]  # place and depth at every depth, both ends among them


class Layout(NamedTuple):
    """Places count in widths of a node."""

    places: list[float]  # of each node
    edges: list[Edge]


def lay_out(reads: list[tuple[int, ...]], depths: list[int]) -> Layout:
    """Places the nodes.

    Args:
      reads: what each node reads, nodes before it.
      depths: of each node, larger than those of all that it reads.
    """
    places: dict[tuple[int, ...], float] = {}  # (node,) or (start, end, which, depth)
    edges = [
        (start, end, which)
        for end, starts in enumerate(reads)
        for which, start in enumerate(starts)
    ]

    def spot(edge: tuple[int, int, int], depth: int) -> tuple[int, ...]:
        """Where an edge is at a depth: at one of its ends, or at a bend."""
        start, end, _ = edge
        ends = {depths[start]: (start,), depths[end]: (end,)}
        return ends.get(depth, (*edge, depth))

    for depth in range(max(depths) + 1):
        above: dict[tuple[int, ...], list[float]] = {
            (node,): [] for node, own in enumerate(depths) if own == depth
        }
        for edge in edges:
            start, end, _ = edge
            if depths[start] < depth <= depths[end]:
                before = places[spot(edge, depth - 1)]
                above.setdefault(spot(edge, depth), []).append(before)
        wanted = {key: float(np.mean(xs)) if xs else 0.0 for key, xs in above.items()}
        # Of those that want the same place, nodes come first.
        ordered = sorted(wanted, key=lambda key: (round(wanted[key], 6), len(key), key))
        widths = np.array([NODE if len(key) == 1 else BEND for key in ordered])
        placed = _apart(np.array([wanted[key] for key in ordered]), widths)
        places |= dict(zip(ordered, placed.tolist(), strict=True))
    return Layout(
        [places[node,] for node in range(len(reads))],
        [
            Edge(
                edge[0],
                edge[1],
                [
                    (places[spot(edge, depth)], depth)
                    for depth in range(depths[edge[0]], depths[edge[1]] + 1)
                ],
            )
            for edge in edges
        ],
    )


def _apart(wanted: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """Places in order that do not overlap, with the least squared distances.

    Args:
      wanted: places, `[n]`.
      widths: `[n]`.
    """
    offsets = np.cumsum(widths) - widths / 2
    return isotonic_regression(wanted - offsets).x + offsets
