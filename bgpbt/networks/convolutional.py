"""Networks for small images, in Flax. The names of their parts are the blocks that a population inherits by."""

from collections.abc import Callable
from functools import partial

import flax.linen as nn
import jax.numpy as jnp
from jax import lax

from bgpbt.space import Categorical, SearchSpace
from bgpbt.types import Array

CLASSES = 10
OPERATIONS = ("none", "skip", "conv1", "conv3", "conv5", "pool")
CELLS, EDGES = 2, 2
PLAIN_BLOCKS = ("conv1", "conv2", "dense1", "dense2")
SEARCHED_BLOCKS = ("stem", "cell1", "cell2", "head")  # the first has no architecture: what follows it follows the first parent


def as_product(x: Array, kernel: Array, strides, padding, **rest) -> Array:
    """A convolution with stride 1 as one matrix product: `[N, H, W, C]` and `[k, k, C, D]` to `[N, H', W', D]`.

    Inside a loop on a CPU, `lax.conv_general_dilated` takes up to twenty times as long as outside of one; this does not.
    """
    del rest
    size = kernel.shape[0]
    x = jnp.pad(x, ((0, 0), *lax.padtype_to_pads(x.shape[1:3], kernel.shape[:2], strides, padding), (0, 0)))
    height, width = (length - size + 1 for length in x.shape[1:3])
    seen = [x[:, i : i + height, j : j + width] for i in range(size) for j in range(size)]
    return jnp.concatenate(seen, axis=-1) @ kernel.reshape(-1, kernel.shape[-1])


Conv = partial(nn.Conv, conv_general_dilated=as_product)


def halved(x: Array) -> Array:
    """Maxima of 2 x 2, `[N, H, W, C]` to `[N, H // 2, W // 2, C]`; a last odd row or column is left out.

    As `nn.max_pool`, whose slope takes longer on a CPU; where several are largest, they share the slope.
    """
    number, height, width, channels = x.shape
    x = x[:, : height // 2 * 2, : width // 2 * 2]
    return x.reshape(number, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))


class Plain(nn.Module):
    """Two convolutions, two dense layers, dropout: the network of PyTorch's old MNIST example, 21,840 weights there.

    Convolutions of 5 x 5 without padding on images of 28 x 28; of 3 x 3 with padding on smaller ones.
    """

    kernel: int = 5

    @nn.compact
    def __call__(self, x: Array, h: dict, *, train: bool) -> Array:
        """Images `[N, H, W, 1]` to logits `[N, 10]`. Dropout draws from the stream `dropout` where `train`."""
        del h
        padding = "VALID" if self.kernel == 5 else "SAME"
        x = Conv(10, (self.kernel,) * 2, padding=padding, name="conv1")(x)
        x = nn.relu(halved(x))
        x = Conv(20, (self.kernel,) * 2, padding=padding, name="conv2")(x)
        x = nn.Dropout(0.5, broadcast_dims=(1, 2), deterministic=not train)(x)  # whole channels
        x = nn.relu(halved(x))
        x = nn.relu(nn.Dense(50, name="dense1")(x.reshape(len(x), -1)))
        x = nn.Dropout(0.5, deterministic=not train)(x)
        return nn.Dense(CLASSES, name="dense2")(x)


class Cell(nn.Module):
    """A sum of edges, each of which does one of `OPERATIONS`; which one is traced, and all have their weights."""

    channels: int

    def setup(self):
        self.convolutions = [
            [Conv(self.channels, (k, k), name=f"edge{edge + 1}_conv{k}") for k in (1, 3, 5)] for edge in range(EDGES)
        ]

    def _branches(self, edge: int) -> list[Callable]:
        convolved = [lambda cell, x, i=i: nn.relu(cell.convolutions[edge][i](x)) for i in range(3)]
        pooled = lambda cell, x: nn.avg_pool(x, (3, 3), padding="SAME")  # noqa: E731
        return [lambda cell, x: jnp.zeros_like(x), lambda cell, x: x, *convolved, pooled]

    def __call__(self, x: Array, operations: list[Array]) -> Array:
        """`x`: `[N, H, W, channels]`; `operations`: an index for every edge."""
        total = jnp.zeros_like(x)
        for edge, operation in enumerate(operations):
            branches = self._branches(edge)
            if self.is_initializing():
                for branch in branches:
                    branch(self, x)
            total += nn.switch(operation, branches, self, x)
        return total


class Searched(nn.Module):
    """A stem, cells whose operations are searched with pooling between them, a dense layer."""

    channels: int = 16

    @nn.compact
    def __call__(self, x: Array, h: dict, *, train: bool) -> Array:
        """Images `[N, H, W, 1]` to logits `[N, 10]`. `h` has `cell1_op1` and so on."""
        del train
        x = nn.relu(Conv(self.channels, (3, 3), name="stem")(x))
        for cell in range(1, CELLS + 1):
            x = halved(x)
            x = Cell(self.channels, name=f"cell{cell}")(x, [h[f"cell{cell}_op{edge + 1}"] for edge in range(EDGES)])
        return nn.Dense(CLASSES, name="head")(x.mean(axis=(1, 2)))


def operations() -> SearchSpace:
    """The architectures of `Searched`."""
    names = [(cell, edge) for cell in range(1, CELLS + 1) for edge in range(1, EDGES + 1)]
    return {f"cell{c}_op{e}": Categorical(OPERATIONS, OPERATIONS.index("conv3"), group=f"cell{c}") for c, e in names}
