"""Exact networks of designs, with branches; and the small VGG."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_chain import DESIGNS, SIZES, drawn, logits
from test_chain import rows_of as chain_rows

from bgpbt.networks.designed import DesignedNetwork, SmallVGG, join
from bgpbt.networks.structure import Kind, rows_of

CONV, MAX, ADD, CONCAT = 1, 2, 5, 6


def network(*layers, **changes) -> DesignedNetwork:
    """Layers as type, kernel and what they read."""
    rows = [
        (i, kind, kernel, *(*reads, 0)[:2])
        for i, (kind, kernel, *reads) in enumerate(layers, 1)
    ]
    settings = {"filters": (4,), "dense": 6, "classes": 5} | changes
    return DesignedNetwork(tuple(rows), **settings)


def inner_shape(net: DesignedNetwork, side: int) -> int:
    """Inputs of the first dense layer."""
    params = shapes(net, side)
    return params["Dense_0"]["kernel"].shape[0]


def shapes(net: nn.Module, side: int) -> dict:
    images = jnp.zeros((2, side, side, 3))
    key = jax.random.PRNGKey(0)
    return jax.eval_shape(lambda: net.init(key, images, training=False))["params"]


@pytest.mark.parametrize("design", DESIGNS.values(), ids=DESIGNS)
def test_a_chain_is_what_the_program_of_all_chains_computes(design):
    rows, weights, images = drawn(design)
    net = DesignedNetwork(
        rows_of(rows), (SIZES.filters,), SIZES.dense, SIZES.classes, dropout=0
    )
    params, side, channels, number = {}, SIZES.side, SIZES.channels, 0
    for i, (kind, size) in enumerate(design):
        if kind == Kind.convolution:
            kernel = weights.kernels[i, :size, :size, :channels, : SIZES.filters]
            params[f"Conv_{number}"] = {
                "kernel": kernel,
                "bias": weights.biases[i, : SIZES.filters],
            }
            params[f"Affine_{number}"] = {
                "scale": weights.scales[i, : SIZES.filters],
                "offset": weights.offsets[i, : SIZES.filters],
            }
            side, channels, number = side - size + 1, SIZES.filters, number + 1
        else:
            side //= size
    dense = weights.dense[:side, :side, :channels].reshape(-1, SIZES.dense)
    params["Dense_0"] = {"kernel": dense, "bias": weights.dense_bias}
    params["Dense_1"] = {"kernel": weights.logits, "bias": weights.logits_bias}
    found = net.apply({"params": params}, images, training=True)
    np.testing.assert_allclose(
        found, logits(rows, weights, images), rtol=2e-4, atol=2e-6
    )


def test_layers_without_a_terminal_and_without_empty_rows():
    rows = chain_rows(((1, 3), (2, 2)))
    rows[2] = 3, Kind.terminal, 0, 0, 0
    assert rows_of(rows) == ((1, 1, 3, 0, 0), (2, 2, 2, 1, 0))
    assert rows_of(np.roll(rows, 1, axis=0)) == rows_of(rows)


def test_joined_layers_are_centred():
    one = jnp.ones((1, 2, 2, 3))
    other = jnp.ones((1, 5, 5, 2))
    added = np.asarray(join(ADD, one, other))
    assert added.shape == (1, 5, 5, 3)
    assert added[0, 1:3, 1:3, :2].min() == 2 and added.sum() == 12 + 50
    assert added[0, 0, 0].tolist() == [1, 1, 0]  # channels: none before, one behind
    both = np.asarray(join(CONCAT, one, other))
    assert both.shape == (1, 5, 5, 6) and both.sum() == 12 + 50
    assert both[0, 0, 0].tolist() == [0, 0, 0, 1, 1, 0]


def test_what_no_layer_reads_goes_into_the_classifier():
    assert inner_shape(network(), 9) == 9 * 9 * 3
    chain = network((CONV, 3, 0), (MAX, 2, 1))
    assert inner_shape(chain, 9) == 3 * 3 * 4
    # Three branches of 7, 3 and 7 pixels: the first two joined, then the third.
    branches = network((CONV, 3, 0), (MAX, 3, 0), (CONV, 3, 0))
    assert inner_shape(branches, 9) == 7 * 7 * (2 * 2 * 4)
    added = network((CONV, 3, 0), (MAX, 3, 0), (ADD, 0, 1, 2))
    assert inner_shape(added, 9) == 7 * 7 * 4
    twice = network((CONV, 3, 0), (CONCAT, 0, 1, 1))
    assert inner_shape(twice, 9) == 7 * 7 * 8


def test_filters_grow_from_one_convolution_to_the_next():
    net = network((CONV, 3, 0), (MAX, 2, 1), (CONV, 1, 2), (CONV, 1, 3), filters=(4, 8))
    found = shapes(net, 9)
    outputs = [found[f"Conv_{i}"]["kernel"].shape[-1] for i in range(3)]
    assert outputs == [4, 8, 8]


def test_normalisation_by_the_minibatch_remembers_what_to_subtract():
    net = network((CONV, 1, 0), norm="batch", dropout=0)
    images = jax.random.uniform(jax.random.PRNGKey(1), (8, 3, 3, 3)) * 5
    variables = net.init(jax.random.PRNGKey(0), images, training=False)
    _, changed = net.apply(variables, images, training=True, mutable=["batch_stats"])
    before, after = (
        x["batch_stats"]["BatchNorm_0"]["mean"] for x in (variables, changed)
    )
    assert np.abs(after - before).max() > 0
    affine = network((CONV, 1, 0), dropout=0)
    assert "batch_stats" not in affine.init(
        jax.random.PRNGKey(0), images, training=True
    )


def test_the_small_vgg_has_two_blocks():
    found = shapes(SmallVGG(5, blocks=(4, 8), dense=16), 12)
    kernels = [found[f"Conv_{i}"]["kernel"].shape for i in range(4)]
    assert kernels == [(3, 3, 3, 4), (3, 3, 4, 4), (3, 3, 4, 8), (3, 3, 8, 8)]
    assert [found[f"Dense_{i}"]["kernel"].shape for i in range(3)] == [
        (3 * 3 * 8, 16),
        (16, 16),
        (16, 5),
    ]
