"""Drawings of designed networks: their parts, where these lie, and what is drawn."""

from itertools import pairwise
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from bgpbt.networks.designed import DesignedNetwork
from bgpbt.networks.graph import parts_of
from bgpbt.viz.figures import DrawnRun
from bgpbt.viz.layering import BEND, NODE, lay_out
from bgpbt.viz.network_drawing import BOX, best_design

CONV, MAX, AVERAGE, ADD, CONCAT = 1, 2, 3, 5, 6
SIZES = {"side": 12, "channels": 3, "filters": 4}


def network(*layers) -> tuple:
    """Layers as type, kernel and what they read."""
    return tuple(
        (i, kind, kernel, *(*reads, 0)[:2])
        for i, (kind, kernel, *reads) in enumerate(layers, 1)
    )


DESIGNS = {
    "image": network(),
    "chain": network((CONV, 3, 0), (MAX, 2, 1), (CONV, 1, 2)),
    "ten": network(*[((CONV, 1), (AVERAGE, 2))[i == 5] + (i,) for i in range(10)]),
    "skip": network((CONV, 3, 0), (CONV, 3, 1), (CONV, 1, 2), (ADD, 0, 3, 1)),
    "twice": network((CONV, 3, 0), (CONCAT, 0, 1, 1)),
    "loose": network((CONV, 3, 0), (MAX, 3, 0), (CONV, 5, 0), (MAX, 2, 1)),
    "wild": network(
        (CONV, 3, 0),
        (MAX, 2, 0),
        (ADD, 0, 1, 1),
        (CONCAT, 0, 2, 3),
        (CONV, 1, 1),
        (ADD, 0, 5, 4),
        (AVERAGE, 2, 3),
        (CONCAT, 0, 7, 6),
        (CONV, 3, 0),
    ),
}


@pytest.mark.parametrize("rows", DESIGNS.values(), ids=DESIGNS)
def test_parts_give_what_the_network_computes(rows):
    """Its classifier has a weight for every number that it reads."""
    *_, last, classifier = parts_of(rows, **SIZES)
    net = DesignedNetwork(rows, (SIZES["filters"],), dense=2, classes=2)
    images = jnp.zeros((1, 12, 12, 3))
    key = jax.random.PRNGKey(0)
    params = jax.eval_shape(lambda: net.init(key, images, training=False))["params"]
    assert classifier.name == "classifier"
    inputs = params["Dense_0"]["kernel"].shape[0]
    assert last.side**2 * last.channels == inputs


def test_depth_is_the_longest_path_from_the_image():
    parts = parts_of(DESIGNS["skip"], **SIZES)
    assert [part.depth for part in parts] == [0, 1, 2, 3, 4, 5]
    parts = parts_of(DESIGNS["loose"], **SIZES)
    names = ["image", "conv3", "max3", "conv5", "max2", "concat", "classifier"]
    assert [part.name for part in parts] == names
    assert [part.depth for part in parts] == [0, 1, 1, 1, 2, 3, 4]
    assert parts[5].reads == (2, 3, 4)


def test_channels_of_an_unknown_image_are_not_said():
    rows = network((MAX, 2, 0), (CONV, 3, 1), (ADD, 0, 1, 2))
    parts = parts_of(rows, **SIZES | {"channels": None})
    assert [part.channels for part in parts] == [None, None, 4, None, None]


@pytest.mark.parametrize("rows", DESIGNS.values(), ids=DESIGNS)
def test_nothing_lies_on_each_other(rows):
    parts = parts_of(rows, **SIZES)
    layout = lay_out([part.reads for part in parts], [part.depth for part in parts])
    for depth in range(parts[-1].depth + 1):
        spans = [
            (place, NODE)
            for place, part in zip(layout.places, parts, strict=True)
            if part.depth == depth
        ]
        spans += [
            (place, BEND)
            for edge in layout.edges
            for place, own in edge.way[1:-1]
            if own == depth
        ]
        for (left, width), (right, other) in pairwise(sorted(spans)):
            assert right - left >= (width + other) / 2 - 1e-9
    read = sorted((place, end) for end, x in enumerate(parts) for place in x.reads)
    assert sorted((edge.start, edge.end) for edge in layout.edges) == read
    for edge in layout.edges:
        depths = [depth for _, depth in edge.way]
        assert depths == list(range(parts[edge.start].depth, parts[edge.end].depth + 1))


def test_a_chain_is_straight():
    parts = parts_of(DESIGNS["ten"], **SIZES)
    layout = lay_out([part.reads for part in parts], [part.depth for part in parts])
    assert layout.places == [0.0] * 12


def drawing(*designs, **changes):
    run = DrawnRun(None, Path("a"), "designers", None)

    def best(folder, count):
        assert folder == run.folder
        return list(designs[:count])

    settings = SIZES | {"classifier": "1024 units, 1623 classes"} | changes
    figure = best_design(run, designs=best, **settings)
    if figure is not None:
        figure.draw_without_rendering()
    return figure


def patches(axes, kind):
    return [patch for patch in axes.patches if isinstance(patch, kind)]


@pytest.mark.parametrize("rows", DESIGNS.values(), ids=DESIGNS)
def test_a_box_for_each_part_and_an_arrow_for_all_that_it_reads(rows):
    parts = parts_of(rows, **SIZES)
    (axes,) = drawing((rows, 0.5)).axes
    assert len(patches(axes, FancyBboxPatch)) == len(parts)
    arrows = patches(axes, FancyArrowPatch)
    assert len(arrows) == sum(len(part.reads) for part in parts)
    ends = {tuple(np.round(arrow._path_original.vertices[-1], 6)) for arrow in arrows}
    assert len(ends) == len(arrows)  # side by side
    shown = [text.get_text() for text in axes.texts]
    assert shown[0::2] == [part.name for part in parts]
    assert shown[1] == "12 × 12 × 3" and shown[-1] == "1024 units, 1623 classes"


def test_words_fit_into_their_boxes_and_boxes_into_the_figure():
    figure = drawing((DESIGNS["wild"], 0.5), (DESIGNS["image"], 0.25))
    for axes in figure.axes:
        boxes = patches(axes, FancyBboxPatch)
        for box, *texts in zip(boxes, axes.texts[0::2], axes.texts[1::2], strict=True):
            around = box.get_window_extent()
            assert 0 <= around.x0 and around.x1 <= figure.bbox.x1
            for text in texts:
                inside = text.get_window_extent()
                assert around.x0 <= inside.x0 and inside.x1 <= around.x1
                assert around.y0 <= inside.y0 and inside.y1 <= around.y1
    widths = [patches(axes, FancyBboxPatch)[0].get_width() for axes in figure.axes]
    assert widths == [BOX[0]] * 2


def test_the_best_two_are_drawn_with_their_accuracies():
    figure = drawing(*[(DESIGNS["chain"], worth) for worth in (0.923, 0.9, 0.8)])
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == [
        "best design, accuracy 92.3 %",
        "second design, accuracy 90.0 %",
    ]
    assert drawing() is None


def test_channels_are_left_out_where_they_are_not_known():
    (axes,) = drawing((network((MAX, 2, 0)), 0.5), channels=None).axes
    shown = [text.get_text() for text in axes.texts]
    assert shown[1] == "12 × 12" and shown[3] == "6 × 6"
