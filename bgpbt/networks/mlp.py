"""A multi-layer perceptron whose depth, width and spectral norm are traced.

It lies inside the largest network of the population. Masking happens once, at
initialisation: a unit beyond the width has zero weights in, zero bias and zero weights
out. So its activation (a function that is 0 at 0) and every gradient that touches it
are exactly zero, and Adam leaves it there. Nothing in the forward pass pays for the
width. Layers beyond the depth are skipped by a select.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from bgpbt.types import Array, Key, PyTree

# Each is 0 at 0, so that a masked unit stays without effect.
ACTIVATIONS = {
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "silu": jax.nn.silu,
    "elu": jax.nn.elu,
}
SILU = tuple(ACTIVATIONS).index("silu")


class Arch(NamedTuple):
    """A member's architecture; each field is a scalar, traced or not."""

    depth: Array | int  # hidden layers, from 1 to the program's depth
    width: Array | int  # units of each
    spectral_norm: Array | int  # 0 or 1
    activation: Array | int = SILU  # place in `ACTIVATIONS`


class MLP(NamedTuple):
    """The program's side of a network: static sizes."""

    in_size: int
    out_size: int
    depth: int  # the largest number of hidden layers in this program
    width: int  # the largest width in this program
    # Weights are drawn this wide and cut, so that padding changes no member.
    drawn_width: int
    # False: no member of this program uses it, and it is not built.
    spectral_norm: bool = True


def _uniform(key: Key, mlp: MLP, shape: tuple[int, int], fan_in: Array | int) -> Array:
    """LeCun-uniform weights, drawn at the largest width and cut to `shape`."""
    drawn_shape = tuple(max(size, mlp.drawn_width) for size in shape)
    bound = jnp.sqrt(3.0 / fan_in)
    drawn = jax.random.uniform(key, drawn_shape, minval=-1.0, maxval=1.0)
    return bound * drawn[: shape[0], : shape[1]]


def init(key: Key, mlp: MLP, arch: Arch) -> tuple[PyTree, PyTree]:
    """Draws the weights (biases are zero) and the vectors of the power iteration.

    Args:
      key: PRNG key, consumed.
      mlp: static sizes.
      arch: the member's architecture.

    Returns:
      A list of `depth + 1` layers `{"kernel": [I, O], "bias": [O]}`, zero outside the
      mask, and a list of `depth` vectors `[O]` (empty where the program has no spectral
      norm).
    """
    unit_mask = (jnp.arange(mlp.width) < arch.width).astype(jnp.result_type(float))
    layers, vectors = [], []
    for index in range(mlp.depth + 1):
        first = index == 0
        last = index == mlp.depth
        # The output layer has a number of its own, so that it does not depend on the
        # padding.
        key_layer = jax.random.fold_in(key, 1_000_000 if last else index)
        rows = mlp.in_size if first else mlp.width
        columns = mlp.out_size if last else mlp.width
        fan_in = mlp.in_size if first else arch.width
        kernel = _uniform(key_layer, mlp, (rows, columns), fan_in)
        row_mask = jnp.ones(rows) if first else unit_mask
        column_mask = jnp.ones(columns) if last else unit_mask
        layer_mask = 1.0 if first or last else index < arch.depth
        layers.append(
            {
                "kernel": kernel * row_mask[:, None] * column_mask * layer_mask,
                "bias": jnp.zeros(columns),
            }
        )
        vectors.append(_unit_vector(column_mask * layer_mask))
    return layers, vectors[:-1] if mlp.spectral_norm else []


def _unit_vector(x: Array) -> Array:
    return x / jnp.sqrt(jnp.maximum(jnp.sum(x**2), 1e-12))


def normalise(layers: PyTree, vectors: PyTree, arch: Arch) -> tuple[PyTree, PyTree]:
    """Divides each hidden kernel by its spectral norm where the member asks for it.

    Miyato et al. (2018), Algorithm 1. One power iteration from `vectors`; the gradient
    flows through the norm, not through the vectors. The output layer stays free: a
    value function must reach the scale of its returns.

    Args:
      layers: of `init`, or trained since.
      vectors: of the power iteration; empty where no member uses the spectral norm.
      arch: the member's architecture.

    Returns:
      Layers to apply, and the vectors after the iteration.
    """
    if not vectors:
        return layers, vectors
    is_on = jnp.asarray(arch.spectral_norm) > 0
    normalised, power_vectors = [], []
    for layer, before in zip(layers, vectors, strict=False):
        kernel = jax.lax.stop_gradient(layer["kernel"])
        left = _unit_vector(kernel @ before)
        right = _unit_vector(left @ kernel)
        sigma = left @ layer["kernel"] @ right
        # Two selects: with one, the gradient of a masked (zero) kernel is 0 * inf.
        sigma = jnp.where(is_on, jnp.where(sigma > 1e-6, sigma, 1.0), 1.0)
        normalised.append({"kernel": layer["kernel"] / sigma, "bias": layer["bias"]})
        # Where a kernel is all zero, so is `right`. The old vector stays then: a zero
        # vector would stay zero in every power iteration to come.
        power_vectors.append(jnp.where(jnp.sum(right**2) > 0.5, right, before))
    return [*normalised, layers[-1]], power_vectors


def apply(layers: PyTree, x: Array, arch: Arch) -> Array:
    """The forward pass.

    Args:
      layers: of `normalise`.
      x: inputs. Shape `[..., in_size]`.
      arch: the member's architecture.

    Returns:
      Outputs. Shape `[..., out_size]`.
    """
    *hidden, output = layers
    for index, layer in enumerate(hidden):
        y = _activate(arch.activation, x @ layer["kernel"] + layer["bias"])
        x = y if index == 0 else jnp.where(index < arch.depth, y, x)
    return x @ output["kernel"] + output["bias"]


def _activate(which: Array | int, x: Array) -> Array:
    """The activation function of that place; one that is traced costs a branch."""
    functions = tuple(ACTIVATIONS.values())
    if isinstance(which, jax.Array):
        return jax.lax.switch(which, functions, x)
    return functions[int(which)](x)
