"""Networks for small images, in Flax.

The names of their parts are the blocks that a population inherits by.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jax import lax

from bgpbt.space import Categorical, SearchSpace
from bgpbt.types import Array, Hyperparams

CLASSES = 10
OPERATIONS = ("none", "skip", "conv1", "conv3", "conv5", "pool")
CELLS = 2
EDGES = 2
PLAIN_BLOCKS = ("conv1", "conv2", "dense1", "dense2")
# What blocks share comes from the parent of the first one. The stem is never mixed, for
# no operation of it is searched, so that this is always a child's first parent.
SEARCHED_BLOCKS = ("stem", "cell1", "cell2", "head")


def im2col_convolution(
    x: Array, kernel: Array, strides: tuple, padding: Any, **rest: Any
) -> Array:
    """A convolution with stride 1 as one matrix product.

    Inside a loop on a CPU, `lax.conv_general_dilated` takes up to twenty times as long
    as outside of one; this does not.

    Args:
      x: images. Shape `[N, H, W, C]`.
      kernel: shape `[k, k, C, D]`.
      strides: ones.
      padding: as of `lax.conv_general_dilated`.
      **rest: what else Flax passes; not used.

    Returns:
      Shape `[N, H', W', D]`.
    """
    del rest
    size = kernel.shape[0]
    pads = lax.padtype_to_pads(x.shape[1:3], kernel.shape[:2], strides, padding)
    x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    height, width = (length - size + 1 for length in x.shape[1:3])
    patches = [
        x[:, i : i + height, j : j + width] for i in range(size) for j in range(size)
    ]
    return jnp.concatenate(patches, axis=-1) @ kernel.reshape(-1, kernel.shape[-1])


Conv = partial(nn.Conv, conv_general_dilated=im2col_convolution)


def max_pool_2x2(x: Array) -> Array:
    """Maxima of 2 x 2 pixels; a last odd row or column is left out.

    As `nn.max_pool`, whose gradient takes longer on a CPU. Where several pixels are
    largest, they share the gradient.

    Args:
      x: images. Shape `[N, H, W, C]`.

    Returns:
      Shape `[N, H // 2, W // 2, C]`.
    """
    number, height, width, channels = x.shape
    x = x[:, : height // 2 * 2, : width // 2 * 2]
    return x.reshape(number, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))


class Plain(nn.Module):
    """Two convolutions, two dense layers, dropout.

    The network of PyTorch's old MNIST example, with 21,840 weights there. Convolutions
    are 5 x 5 without padding on images of 28 x 28, and 3 x 3 with padding on smaller
    ones.
    """

    kernel: int = 5

    @nn.compact
    def __call__(self, x: Array, hyperparams: Hyperparams, *, train: bool) -> Array:
        """Classifies images.

        Args:
          x: images. Shape `[N, H, W, 1]`.
          hyperparams: not used.
          train: whether dropout acts; it draws from the stream `dropout`.

        Returns:
          Logits. Shape `[N, 10]`.
        """
        del hyperparams
        padding = "VALID" if self.kernel == 5 else "SAME"
        x = Conv(10, (self.kernel,) * 2, padding=padding, name="conv1")(x)
        x = nn.relu(max_pool_2x2(x))
        x = Conv(20, (self.kernel,) * 2, padding=padding, name="conv2")(x)
        # Drops whole channels.
        x = nn.Dropout(0.5, broadcast_dims=(1, 2), deterministic=not train)(x)
        x = nn.relu(max_pool_2x2(x))
        x = nn.relu(nn.Dense(50, name="dense1")(x.reshape(len(x), -1)))
        x = nn.Dropout(0.5, deterministic=not train)(x)
        return nn.Dense(CLASSES, name="dense2")(x)


class Cell(nn.Module):
    """A sum of edges, each of which does one of `OPERATIONS`.

    Which one is traced, and all of them have their weights.
    """

    channels: int

    def setup(self):
        """Builds the convolutions of all edges."""
        self.convolutions = [
            [
                Conv(self.channels, (k, k), name=f"edge{edge + 1}_conv{k}")
                for k in (1, 3, 5)
            ]
            for edge in range(EDGES)
        ]

    def _branches(self, edge: int) -> list[Callable]:
        """The functions (cell, x) -> x of `OPERATIONS`, in their order.

        `nn.switch` traces them with a copy of the cell, so they must not read `self`.
        """

        def convolution(index: int) -> Callable:
            return lambda cell, x: nn.relu(cell.convolutions[edge][index](x))

        return [
            lambda cell, x: jnp.zeros_like(x),
            lambda cell, x: x,
            *map(convolution, range(3)),
            lambda cell, x: nn.avg_pool(x, (3, 3), padding="SAME"),
        ]

    def __call__(self, x: Array, operations: list[Array]) -> Array:
        """Sums the edges.

        Args:
          x: images. Shape `[N, H, W, channels]`.
          operations: an index into `OPERATIONS` for every edge, each `[]`.

        Returns:
          Shape `[N, H, W, channels]`.
        """
        total = jnp.zeros_like(x)
        for edge, operation in enumerate(operations):
            branches = self._branches(edge)
            # The switch initialises no weights: each branch has to run once before it.
            if self.is_initializing():
                for branch in branches:
                    branch(self, x)
            total += nn.switch(operation, branches, self, x)
        return total


class Searched(nn.Module):
    """A stem, pooling and cells whose operations are searched, a dense layer."""

    channels: int = 16

    @nn.compact
    def __call__(self, x: Array, hyperparams: Hyperparams, *, train: bool) -> Array:
        """Classifies images.

        Args:
          x: images. Shape `[N, H, W, 1]`.
          hyperparams: has the operations, `cell1_op1` and so on, each `[]`.
          train: not used.

        Returns:
          Logits. Shape `[N, 10]`.
        """
        del train
        x = nn.relu(Conv(self.channels, (3, 3), name="stem")(x))
        for cell in range(1, CELLS + 1):
            x = max_pool_2x2(x)
            operations = [
                hyperparams[f"cell{cell}_op{edge}"] for edge in range(1, EDGES + 1)
            ]
            x = Cell(self.channels, name=f"cell{cell}")(x, operations)
        return nn.Dense(CLASSES, name="head")(x.mean(axis=(1, 2)))


def operation_space() -> SearchSpace:
    """The architectures of `Searched`: an operation for every edge of every cell."""
    default = OPERATIONS.index("conv3")
    return {
        f"cell{cell}_op{edge}": Categorical(OPERATIONS, default, group=f"cell{cell}")
        for cell in range(1, CELLS + 1)
        for edge in range(1, EDGES + 1)
    }
