"""The network of any design on a canvas, see `canvas.py`."""

from typing import Any

from bgpbt.networks import branches, chain
from bgpbt.networks.canvas import Moments, Sizes, Weights, classify
from bgpbt.types import Array, Key


def _program(sizes: Sizes) -> Any:
    """The module whose program computes all designs."""
    return branches if sizes.joins else chain


def init(key: Key, sizes: Sizes, rows: Array) -> Weights:
    """Draws the weights of a design, `[d, 5]`; see `canvas.draw`."""
    return _program(sizes).init(key, sizes, rows)


def logits(
    sizes: Sizes,
    rows: Array,
    weights: Weights,
    images: Array,
    keep: Array | None = None,
    counted: Array | None = None,
) -> tuple[Array, Moments]:
    """What the whole network says of images.

    Args:
      sizes: of the images and layers.
      rows: of a design that can be built, and whose layers a canvas holds, `[d, 5]`.
      weights: of its layers.
      images: `[N, S, S, channels]`, float.
      keep: factors of the dense layer's units, see `canvas.classify`.
      counted: the images of whose moments convolutions are normalised, `[N]` bool;
        None: scale and offset alone.

    Returns:
      Logits, `[N, classes]`, and moments by layer, `[d, F]` each.
    """
    features = _program(sizes).features
    canvas, moments = features(sizes, rows, weights, images, counted)
    return classify(weights, canvas, keep), moments
