"""Draw designed networks: a box for each part, arrows from what it reads."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path as Way

from bgpbt.networks.graph import Part, parts_of
from bgpbt.networks.structure import Rows
from bgpbt.viz.figures import DrawnRun
from bgpbt.viz.layer_colours import colour_of
from bgpbt.viz.layering import Edge, Layout, lay_out
from bgpbt.viz.style import MEDIAN, TEXT, add_title

PITCH = 1.6, 0.62  # inches from box to box
BOX = 0.88, 0.66  # of that
HALF = BOX[1] / 2
PORTS = 0.16  # between the arrows that end at a box
WORDS = ("best", "second")  # designs
LEAST_WIDTH = 6.5  # inches


def best_design(
    run: DrawnRun,
    *,
    designs: Callable[[Path, int], list[tuple[Rows, float]]],
    side: int,
    channels: int | None,
    filters: int,
    classifier: str,
) -> Figure | None:
    """Draws the designs with the highest accuracies, the best one at the left.

    Args:
      run: whose designs.
      designs: how many, best first, of a run's folder: each with its accuracy.
      side: of the images, pixels.
      channels: of the images; None: not known.
      filters: of every convolution.
      classifier: what it is, in words.

    Returns:
      The figure; None where there are no designs yet.
    """
    found = designs(run.folder, len(WORDS))
    if not found:
        return None
    networks = [
        parts_of(rows, side=side, channels=channels, filters=filters)
        for rows, _ in found
    ]
    layouts = [_layout(parts) for parts in networks]
    widths = [_width(layout) for layout in layouts]
    room = max(0.0, LEAST_WIDTH / PITCH[0] - sum(widths)) / len(widths)
    widths = [width + room for width in widths]
    deepest = max(parts[-1].depth for parts in networks)
    size = PITCH[0] * sum(widths), PITCH[1] * (deepest + 1) + 0.8
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(1, len(found), squeeze=False, width_ratios=widths)[0]
    for i, axes in enumerate(panels):
        draw_network(axes, networks[i], layouts[i], classifier)
        middle = _middle(layouts[i])
        axes.set_xlim(middle - widths[i] / 2, middle + widths[i] / 2)
        axes.set_ylim(deepest + 0.5, -0.5)
        title = f"{WORDS[i]} design, accuracy {100 * found[i][1]:.1f} %"
        axes.set_title(title, fontsize=9.5, color=TEXT)
    add_title(figure, run.title)
    return figure


def draw_network(
    axes: Axes, parts: list[Part], layout: Layout, classifier: str
) -> None:
    """Draws a network from top to bottom.

    Args:
      axes: in which one unit is a box with the room around it.
      parts: of the network.
      layout: of the parts.
      classifier: what it is, in words.
    """
    for place, part in zip(layout.places, parts, strict=True):
        _draw_box(axes, place, part, classifier if part is parts[-1] else _gives(part))
    for end in range(len(parts)):
        _draw_arrows(axes, [edge for edge in layout.edges if edge.end == end])
    axes.set_axis_off()


def _layout(parts: list[Part]) -> Layout:
    return lay_out([part.reads for part in parts], [part.depth for part in parts])


def _spots(layout: Layout) -> list[float]:
    return [*layout.places, *(x for edge in layout.edges for x, _ in edge.way)]


def _middle(layout: Layout) -> float:
    return (min(_spots(layout)) + max(_spots(layout))) / 2


def _width(layout: Layout) -> float:
    return max(_spots(layout)) - min(_spots(layout)) + 1


def _gives(part: Part) -> str:
    """Side, side, and channels where they are known."""
    sizes = (part.side, part.side, part.channels)
    return " × ".join(str(size) for size in sizes if size is not None)


def _draw_box(axes: Axes, place: float, part: Part, gives: str) -> None:
    width, height = BOX
    colour = np.array(to_rgb(colour_of(part.name)))
    box = FancyBboxPatch(
        (place - width / 2, part.depth - height / 2),
        width,
        height,
        boxstyle="round,pad=0,rounding_size=0.08",
        mutation_aspect=PITCH[0] / PITCH[1],
        facecolor=1 - 0.4 * (1 - colour),
        edgecolor=0.75 * colour,
        zorder=2,
    )
    axes.add_patch(box)
    style = {"ha": "center", "va": "center", "color": TEXT, "zorder": 3}
    axes.text(place, part.depth - 0.15, part.name, **style, size=9, weight="bold")
    axes.text(place, part.depth + 0.16, gives, **style, size=7.5)


def _draw_arrows(axes: Axes, edges: list[Edge]) -> None:
    """The arrows into a box end side by side, in the order in which they come."""
    ordered = sorted(edges, key=lambda edge: edge.way[-2][0])
    for i, edge in enumerate(ordered):
        (first, top), *bends, (last, bottom) = edge.way
        port = last + PORTS * (i - (len(edges) - 1) / 2)
        points = [(first, top + HALF)]
        for x, depth in bends:  # straight down beside the boxes there
            points += [(x, depth - HALF), (x, depth + HALF)]
        points.append((port, bottom - HALF - 0.02))
        arrow = FancyArrowPatch(
            path=_smooth(points),
            arrowstyle="-|>",
            mutation_scale=8,
            color=MEDIAN,
            lw=0.9,
            zorder=1,
        )
        axes.add_patch(arrow)


def _smooth(points: list[tuple[float, float]]) -> Way:
    """A curve through points that goes straight down at each."""
    vertices, codes = [points[0]], [Way.MOVETO]
    for (x, y), (next_x, next_y) in pairwise(points):
        middle = (y + next_y) / 2
        vertices += [(x, middle), (next_x, middle), (next_x, next_y)]
        codes += [Way.CURVE4] * 3
    return Way(vertices, codes)
