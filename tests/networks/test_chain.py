"""The program of all chains computes what the exact network of a chain computes."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from noisy_weights import noisy

from bgpbt.networks import chain, on_canvas
from bgpbt.networks.canvas import Sizes, Weights
from bgpbt.networks.structure import CELLS, Kind

SIZES = Sizes(side=12, channels=3, filters=4, dense=6, classes=5, depth=4)
DESIGNS = {
    "nothing": (),
    "convolutions": ((1, 3), (1, 5), (1, 1), (1, 3)),
    "pooling first": ((2, 2), (3, 2), (1, 3)),
    "all kinds": ((1, 1), (2, 3), (1, 3), (3, 2)),
    "odd windows": ((1, 5), (3, 3), (2, 2)),
    "down to a pixel": ((2, 3), (1, 3), (2, 2), (1, 1)),
}


def rows_of(design) -> np.ndarray:
    rows = np.zeros((SIZES.depth, 5), np.int32)
    for i, (kind, kernel) in enumerate(design):
        rows[i] = i + 1, kind, kernel, i, 0
    return rows


def exact_logits(design, weights: Weights, images) -> np.ndarray:
    """By Flax's functions, with the weights that the chain would read."""
    x = images
    for i, (kind, size) in enumerate(design):
        if kind == Kind.convolution:
            channels = x.shape[-1]
            kernel = weights.kernels[i, :size, :size, :channels, : SIZES.filters]
            bias = weights.biases[i, : SIZES.filters]
            conv = nn.Conv(SIZES.filters, (size, size), padding="VALID")
            x = conv.apply({"params": {"kernel": kernel, "bias": bias}}, nn.relu(x))
            x = x * weights.scales[i, : SIZES.filters]
            x = x + weights.offsets[i, : SIZES.filters]
        elif kind == Kind.max_pooling:
            x = nn.max_pool(x, (size, size), strides=(size, size))
        else:
            x = nn.avg_pool(x, (size, size), strides=(size, size))
    side, channels = x.shape[1], x.shape[3]
    dense = weights.dense[:side, :side, :channels].reshape(-1, SIZES.dense)
    hidden = nn.relu(x.reshape(len(x), -1) @ dense + weights.dense_bias)
    return hidden @ weights.logits + weights.logits_bias


@jax.jit
def logits(rows, weights, images):
    return on_canvas.logits(SIZES, rows, weights, images)[0]


def drawn(design):
    return noisy(SIZES, rows_of(design))


@pytest.mark.parametrize("design", DESIGNS.values(), ids=DESIGNS)
def test_a_chain_gives_the_logits_and_gradients_of_its_exact_network(design):
    rows, weights, images = drawn(design)
    labels = jnp.arange(len(images)) % SIZES.classes

    def loss(function):
        def of(weights):
            chosen = jax.nn.log_softmax(function(weights))[jnp.arange(7), labels]
            return -chosen.mean()

        return of

    ours = jax.jit(jax.value_and_grad(loss(lambda w: logits(rows, w, images))))
    exact = jax.value_and_grad(loss(lambda w: exact_logits(design, w, images)))
    for a, b in zip(
        jax.tree.leaves(ours(weights)), jax.tree.leaves(exact(weights)), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-6)


def test_one_program_serves_all_chains():
    before = logits._cache_size()
    for design in DESIGNS.values():
        logits(*drawn(design))
    assert logits._cache_size() - before <= 1


@pytest.mark.parametrize("design", DESIGNS.values(), ids=DESIGNS)
def test_weights_spread_as_those_of_the_exact_network(design):
    """Glorot's uniform limit, from the numbers of inputs and outputs there."""
    rows = rows_of(design)
    weights = chain.init(jax.random.PRNGKey(1), SIZES, rows)
    x = (SIZES.side, SIZES.channels)
    for i, (kind, size) in enumerate(design):
        side, channels = x
        if kind == Kind.convolution:
            limit = np.sqrt(6 / (size**2 * (channels + SIZES.filters)))
            largest = float(jnp.abs(weights.kernels[i]).max())
            assert 0.95 * limit < largest <= limit
            x = side - size + 1, SIZES.filters
        else:
            x = side // size, channels
    limit = np.sqrt(6 / (x[0] ** 2 * x[1] + SIZES.dense))
    assert 0.95 * limit < float(jnp.abs(weights.dense).max()) <= limit


def test_every_operation_has_a_number():
    rows = np.array([[1, kind, size, 0, 0] for kind, size in CELLS], np.int32)
    layers, _, _ = chain.plan(SIZES._replace(side=84, depth=len(CELLS)), rows)
    assert layers.operation.tolist() == list(range(1, 1 + len(CELLS)))


@pytest.mark.parametrize("design", DESIGNS.values(), ids=DESIGNS)
def test_side_by_side_a_chain_gives_the_same(design):
    drawings = drawn(design)
    np.testing.assert_allclose(at_once(*drawings), logits(*drawings), rtol=1e-4)


@jax.jit
def at_once(rows, weights, images):
    return on_canvas.logits(SIZES._replace(side_by_side=True), rows, weights, images)[0]
