"""The network of a design in layers of Flax, and the small VGG beside it.

A design's sizes are static here, so every design is another program. It is what
`chain.py` and `branches.py` compute for all designs in one.
"""

from typing import Literal

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from bgpbt.networks.canvas import NORM_EPSILON
from bgpbt.networks.structure import JOINS, Kind, Rows, loose_ends
from bgpbt.types import Array


class Affine(nn.Module):
    """A scale and an offset of each channel, and nothing of the minibatch."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Same shape as `x`, whose last axis are the channels."""
        shape = x.shape[-1:]
        scale = self.param("scale", nn.initializers.ones, shape)
        offset = self.param("offset", nn.initializers.zeros, shape)
        return x * scale + offset


class DesignedNetwork(nn.Module):
    """A classifier whose layers a designer chose (nas-dmrl 2019, section 4.2).

    A convolution is ReLU, convolution without padding, normalisation. Layers that are
    joined are padded with zeros to the larger one, centred. What no layer reads goes
    into the classifier, concatenated.
    """

    rows: Rows
    filters: tuple[int, ...]  # of each convolution in its order; the last one repeats
    dense: int  # units of the layer before the classifier
    classes: int
    dropout: float = 0.4
    # "affine": a scale and an offset of each channel; "batch": by the minibatch.
    norm: Literal["affine", "batch"] = "affine"

    @nn.compact
    def __call__(
        self, images: Array, *, training: bool, counted: Array | None = None
    ) -> Array:
        """Logits `[N, K]` of images `[N, S, S, channels]`, float.

        Args:
          images: the minibatch.
          training: drops units; normalises by the minibatch where `norm` is batch.
          counted: the images of whose moments that is, `[N]` bool; None: all.
        """
        outputs = {0: images}
        convolutions = 0
        for index, kind, kernel, first, second in self.rows:
            x = outputs[first]
            if kind == Kind.convolution:
                chosen = min(convolutions, len(self.filters) - 1)
                x = self._convolution(x, self.filters[chosen], kernel)
                x = self._normalised(x, training, counted)
                convolutions += 1
            elif kind == Kind.max_pooling:
                x = nn.max_pool(x, (kernel, kernel), strides=(kernel, kernel))
            elif kind == Kind.average_pooling:
                x = nn.avg_pool(x, (kernel, kernel), strides=(kernel, kernel))
            elif kind in JOINS:
                x = join(kind, x, outputs[second])
            outputs[index] = x
        x = self._loose_ends(outputs)
        hidden = nn.relu(self._dense(self.dense)(x.reshape(len(x), -1)))
        hidden = nn.Dropout(self.dropout, deterministic=not training)(hidden)
        return self._dense(self.classes)(hidden)

    def _convolution(self, x: Array, filters: int, kernel: int) -> Array:
        return nn.Conv(
            filters,
            (kernel, kernel),
            padding="VALID",
            kernel_init=nn.initializers.glorot_uniform(),
        )(nn.relu(x))

    def _normalised(self, x: Array, training: bool, counted: Array | None) -> Array:
        if self.norm == "affine":
            return Affine()(x)
        mask = None if counted is None else counted[:, None, None, None]
        return nn.BatchNorm(not training, epsilon=NORM_EPSILON)(x, mask=mask)

    def _dense(self, units: int) -> nn.Dense:
        return nn.Dense(units, kernel_init=nn.initializers.glorot_uniform())

    def _loose_ends(self, outputs: dict[int, Array]) -> Array:
        """All that no layer reads, joined in their order; the image where none is."""
        first, *others = (outputs[index] for index in loose_ends(self.rows))
        for x in others:
            first = join(Kind.concatenate, first, x)
        return first


def join(kind: int, one: Array, other: Array) -> Array:
    """Adds or concatenates two layers `[N, H, W, C]` of any sizes."""
    shape = np.maximum(one.shape, other.shape)
    one, other = (_centred(x, shape) for x in (one, other))
    if kind == Kind.add:
        return one + other
    return jnp.concatenate([one, other], axis=-1)


def _centred(x: Array, shape: np.ndarray) -> Array:
    """Zeros around, half before and the rest behind, in rows, columns and channels."""
    missing = shape - x.shape
    return jnp.pad(x, [(int(n) // 2, int(n) - int(n) // 2) for n in missing])


class SmallVGG(nn.Module):
    """VGG19 without its third and later blocks, as nas-dmrl compares with it."""

    classes: int
    blocks: tuple[int, ...] = (64, 128)  # filters of two convolutions each
    dense: int = 4096

    @nn.compact
    def __call__(
        self, images: Array, *, training: bool, counted: Array | None = None
    ) -> Array:
        """Logits `[N, K]` of images `[N, S, S, channels]`, float."""
        del training, counted  # it drops and normalises nothing
        glorot = nn.initializers.glorot_uniform()
        x = images
        for filters in self.blocks:
            for _ in range(2):
                x = nn.relu(nn.Conv(filters, (3, 3), kernel_init=glorot)(x))
            x = nn.max_pool(x, (2, 2), strides=(2, 2))
        x = x.reshape(len(x), -1)
        for _ in range(2):
            x = nn.relu(nn.Dense(self.dense, kernel_init=glorot)(x))
        return nn.Dense(self.classes, kernel_init=glorot)(x)
