"""The masked network is a dense one of exactly its size.

Padding changes nothing and never learns.
"""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from bgpbt.networks import mlp
from bgpbt.networks.mlp import MLP, Arch

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from flax import linen

IN = 7
OUT = 3
DEEPEST = 5
WIDEST = 256
LARGEST = MLP(IN, OUT, DEEPEST, WIDEST, drawn_width=WIDEST)
CORNERS = [
    (depth, width, norm) for depth in (1, 5) for width in (32, 256) for norm in (0, 1)
]
KEY = jax.random.PRNGKey(3)
X = jax.random.normal(jax.random.PRNGKey(4), (16, IN))


class Dense(linen.Module):
    """A plain multi-layer perceptron of a fixed size."""

    depth: int
    width: int

    @linen.compact
    def __call__(self, x):
        for _ in range(self.depth):
            x = linen.silu(linen.Dense(self.width)(x))
        return linen.Dense(OUT)(x)


# Compiled once: the architecture is data.
draw = jax.jit(lambda key, arch: mlp.init(key, LARGEST, arch))


@jax.jit
def forward(layers, vectors, arch):
    return mlp.apply(mlp.normalise(layers, vectors, arch)[0], X, arch)


@jax.jit
def gradient(layers, vectors, arch):
    def loss(layers):
        ready, power_vectors = mlp.normalise(layers, vectors, arch)
        return jnp.mean((mlp.apply(ready, X, arch) - 1.0) ** 2), power_vectors

    return jax.grad(loss, has_aux=True)(layers)


@jax.jit
def adam_steps(layers, vectors, arch):
    """Five optimizer steps; returns weights and moments."""
    adam = optax.scale_by_adam()

    def step(_, carry):
        layers, vectors, state = carry
        grads, vectors = gradient(layers, vectors, arch)
        direction, state = adam.update(grads, state)
        return (
            jax.tree.map(lambda p, d: p - 1e-2 * d, layers, direction),
            vectors,
            state,
        )

    layers, _, state = jax.lax.fori_loop(
        0, 5, step, (layers, vectors, adam.init(layers))
    )
    return layers, state


def grown(layers: list, arch: Arch) -> list:
    """The same layers with biases that are not zero, inside the mask."""
    rng = np.random.default_rng(0)
    out = []
    for layer, mask in zip(layers, masks(arch), strict=True):
        out.append(
            layer
            | {
                "bias": jnp.asarray(rng.normal(size=layer["bias"].shape), jnp.float32)
                * mask["bias"]
            }
        )
    return out


def masks(arch: Arch) -> list:
    """1 where a weight belongs to the network, by plain counting."""
    out = []
    for index in range(DEEPEST + 1):
        first = index == 0
        last = index == DEEPEST
        kernel = np.zeros((IN if first else WIDEST, OUT if last else WIDEST))
        bias = np.zeros(kernel.shape[1])
        if last or index < arch.depth:
            rows = IN if first else arch.width
            columns = OUT if last else arch.width
            kernel[:rows, :columns] = 1
            bias[:columns] = 1
        out.append({"kernel": kernel, "bias": bias})
    return out


def cut(layers: list, arch: Arch) -> dict:
    """The active part of masked layers, as Linen names it."""
    dense = {}
    for index in range(arch.depth + 1):
        layer = layers[-1] if index == arch.depth else layers[index]
        rows = IN if index == 0 else arch.width
        columns = OUT if index == arch.depth else arch.width
        dense[f"Dense_{index}"] = {
            "kernel": layer["kernel"][:rows, :columns],
            "bias": layer["bias"][:columns],
        }
    return {"params": dense}


@pytest.mark.parametrize(
    ("depth", "width"), [(1, 32), (1, 256), (2, 64), (3, 100), (4, 32), (5, 256)]
)
def test_masked_is_the_dense_network_of_that_size(depth, width):
    arch = Arch(depth, width, 0)
    layers, vectors = draw(KEY, arch)
    layers = grown(layers, arch)
    expected = Dense(depth, width).apply(cut(layers, arch), X)
    np.testing.assert_allclose(
        forward(layers, vectors, arch), expected, rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("corner", CORNERS)
def test_outside_the_mask_everything_stays_zero_to_the_bit(corner):
    arch = Arch(*corner)
    layers, vectors = draw(KEY, arch)
    grads, _ = gradient(grown(layers, arch), vectors, arch)
    after, state = adam_steps(layers, vectors, arch)
    for tree in (layers, grads, after, state.mu, state.nu):
        for layer, mask in zip(tree, masks(arch), strict=True):
            for name in ("kernel", "bias"):
                np.testing.assert_array_equal(
                    np.asarray(layer[name])[mask[name] == 0], 0
                )
    for layer, before, mask in zip(after, layers, masks(arch), strict=True):
        moved = np.asarray(layer["kernel"] != before["kernel"])
        np.testing.assert_allclose(moved.sum(), mask["kernel"].sum(), rtol=0.01)


@pytest.mark.parametrize("corner", CORNERS)
def test_gradients_are_finite_and_inside_the_mask_at_every_corner(corner):
    arch = Arch(*corner)
    layers, vectors = draw(KEY, arch)
    grads, power_vectors = gradient(layers, vectors, arch)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves((grads, power_vectors)))
    for grad, mask in zip(grads, masks(arch), strict=True):
        assert (
            np.asarray(grad["kernel"])[mask["kernel"] == 1].any()
            == mask["kernel"].any()
        )


@pytest.mark.parametrize("norm", [0, 1])
def test_padding_changes_no_member(norm):
    """Programs of 2 x 64 and of 5 x 256 draw the same member and compute the same."""
    arch = Arch(2, 40, norm)
    small = MLP(IN, OUT, 2, 64, drawn_width=WIDEST)
    layers, vectors = mlp.init(KEY, small, arch)
    padded, padded_vectors = draw(KEY, arch)
    for index, (layer, where) in enumerate(zip(layers, (0, 1, DEEPEST), strict=True)):
        rows, columns = layer["kernel"].shape
        np.testing.assert_array_equal(
            layer["kernel"], padded[where]["kernel"][:rows, :columns]
        )
        np.testing.assert_array_equal(layer["bias"], padded[where]["bias"][:columns])
        if index < 2:
            np.testing.assert_allclose(
                vectors[index], padded_vectors[index][:columns], rtol=1e-6
            )
    actual = mlp.apply(mlp.normalise(layers, vectors, arch)[0], X, arch)
    np.testing.assert_allclose(
        actual, forward(padded, padded_vectors, arch), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("width", [32, 128, 256])
def test_initial_weights_are_lecun_uniform_for_the_active_fan_in(width):
    arch = Arch(3, width, 0)
    layers, _ = draw(KEY, arch)
    for index, fan_in in ((0, IN), (1, width), (2, width), (DEEPEST, width)):
        inside = np.asarray(layers[index]["kernel"])[masks(arch)[index]["kernel"] == 1]
        bound = np.sqrt(3 / fan_in)
        assert np.abs(inside).max() <= bound
        assert np.abs(inside).max() > 0.9 * bound
        assert inside.std() == pytest.approx(np.sqrt(1 / fan_in), rel=0.2)
        np.testing.assert_array_equal(layers[index]["bias"], 0)


def test_layers_and_keys_draw_different_weights():
    layers, _ = draw(KEY, Arch(5, 256, 0))
    others, _ = draw(jax.random.PRNGKey(99), Arch(5, 256, 0))
    for index in range(1, DEEPEST):
        assert (
            np.abs(
                np.corrcoef(
                    layers[index]["kernel"].ravel(), layers[1]["kernel"].ravel()
                )[0, 1]
                - (index == 1)
            )
            < 0.05
        )
        assert (
            np.abs(
                np.corrcoef(
                    layers[index]["kernel"].ravel(), others[index]["kernel"].ravel()
                )[0, 1]
            )
            < 0.05
        )


# Spectral norm


@jax.jit
def iterate(layers, vectors, arch):
    vectors = jax.lax.fori_loop(
        0, 60, lambda _, vectors: mlp.normalise(layers, vectors, arch)[1], vectors
    )
    return mlp.normalise(layers, vectors, arch)


@pytest.mark.parametrize(("depth", "width"), [(1, 32), (3, 64), (5, 256)])
def test_spectral_norm_is_one_where_it_is_on(depth, width):
    arch = Arch(depth, width, 1)
    layers, vectors = draw(KEY, arch)
    layers = [layer | {"kernel": 3 * layer["kernel"]} for layer in grown(layers, arch)]
    ready, power_vectors = iterate(layers, vectors, arch)
    for index in range(depth):
        norm = np.linalg.svd(np.asarray(ready[index]["kernel"]), compute_uv=False)[0]
        assert norm == pytest.approx(1.0, abs=0.02)
        np.testing.assert_allclose(np.linalg.norm(power_vectors[index]), 1.0, rtol=1e-5)
        np.testing.assert_array_equal(ready[index]["bias"], layers[index]["bias"])
    for index in range(
        depth, DEEPEST + 1
    ):  # the output layer is free, and skipped layers have nothing to normalise
        np.testing.assert_array_equal(ready[index]["kernel"], layers[index]["kernel"])


def test_spectral_norm_touches_nothing_where_it_is_off():
    arch = Arch(3, 64, 0)
    layers, vectors = draw(KEY, arch)
    ready, _ = iterate(layers, vectors, arch)
    jax.tree.map(np.testing.assert_array_equal, ready, layers)


def test_a_norm_below_one_is_raised_to_one():
    arch = Arch(1, 32, 1)
    layers, vectors = draw(KEY, arch)
    layers[0]["kernel"] = 0.01 * layers[0]["kernel"]
    ready, _ = iterate(layers, vectors, arch)
    assert np.linalg.svd(np.asarray(ready[0]["kernel"]), compute_uv=False)[
        0
    ] == pytest.approx(1.0, abs=0.02)


def test_the_gradient_through_the_norm_is_that_of_the_exact_one():
    """At the singular vectors, the derivative of W / sigma(W) is the exact one.

    There is no change along W itself.
    """
    arch = Arch(1, 32, 1)
    layers, vectors = draw(KEY, arch)
    _, vectors = iterate(layers, vectors, arch)

    def probe(kernel, exact):
        ready, _ = mlp.normalise(
            [{"kernel": kernel, "bias": layers[0]["bias"]}, *layers[1:]], vectors, arch
        )
        normalised = (
            kernel / jnp.linalg.norm(kernel, 2) if exact else ready[0]["kernel"]
        )
        return jnp.sum(jnp.sin(normalised[:, :32]))

    actual, expected = (
        jax.grad(probe)(layers[0]["kernel"], exact) for exact in (False, True)
    )
    np.testing.assert_allclose(
        actual, expected, atol=1e-3 * float(jnp.abs(expected).max())
    )
    assert abs(float(jnp.sum(actual * layers[0]["kernel"]))) < 1e-3


def test_vectors_of_masked_layers_stay_usable():
    """No vector becomes zero or NaN, so that a layer can be turned on later.

    Units beyond the width stay out.
    """
    arch = Arch(2, 32, 1)
    layers, vectors = draw(KEY, arch)
    # Vectors as a deeper member would have left them.
    _, deep_vectors = draw(KEY, Arch(5, 32, 1))
    _, power_vectors = iterate(layers, deep_vectors, arch)
    for index, vector in enumerate(power_vectors):
        np.testing.assert_allclose(np.linalg.norm(vector), 1.0, rtol=1e-5)
        np.testing.assert_array_equal(vector[32:], 0)
        if index >= 2:
            np.testing.assert_array_equal(vector, deep_vectors[index])
    _, power_vectors = iterate(layers, vectors, arch)
    assert all(np.isfinite(v).all() for v in power_vectors)


def test_a_program_without_spectral_norm_builds_none():
    plain = LARGEST._replace(depth=2, width=32, spectral_norm=False)
    layers, vectors = mlp.init(KEY, plain, Arch(2, 32, 0))
    assert vectors == []
    ready, power_vectors = mlp.normalise(layers, vectors, Arch(2, 32, 0))
    assert ready is layers and power_vectors == []
