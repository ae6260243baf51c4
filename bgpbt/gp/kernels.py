"""Covariance functions of one pair of points; whoever has many adds `vmap`. `D` numeric inputs, `C` categories."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

Array = jax.Array


class Point(NamedTuple):
    """Where the process is evaluated."""

    x: Array  # [D] numeric inputs: floats, integers at the centres of their bins, the context
    h: Array  # [C] int32, categories
    t: Array  # [] time, in rounds


class Params(NamedTuple):
    """Parameters of the process, in natural units."""

    mean: Array  # [] constant mean
    outputscale: Array  # [] variance of the process, > 0
    noise: Array  # [] variance of an observation, > 0
    lengthscale: Array  # [D] > 0
    overlap: Array  # [C] how much a differing category costs, > 0
    mix: Array  # [] weight of the product of both kernels, in (0, 1)
    eps: Array  # [] share that is forgotten in a round: 0 = nothing, in (0, 1)


def matern52(x: Array, y: Array, lengthscale: Array) -> Array:
    """(1 + sqrt(5) d + 5/3 d^2) exp(-sqrt(5) d), d = |(x - y) / lengthscale| (Rasmussen and Williams, 2006, Eq. 4.17)."""
    squared = jnp.sum(((x - y) / lengthscale) ** 2)
    # Two selects: the root has no derivative at 0, the kernel has.
    distance = jnp.sqrt(5 * jnp.where(squared > 0, squared, 1))
    return jnp.where(squared > 0, (1 + distance + distance**2 / 3) * jnp.exp(-distance), 1 - 5 / 6 * squared)


def overlap(h: Array, g: Array, weights: Array) -> Array:
    """exp(-sum of the weights of the categories that differ): 1 for equal ones. Cf. CoCaBO (Ru et al., 2020, Eq. 6)."""
    return jnp.exp(-jnp.sum(jnp.where(h == g, 0, weights)))


def mixture(numeric: Array, categorical: Array, mix: Array) -> Array:
    """Sum and product of two kernels (CoCaBO, Eq. 7), the sum halved so that a kernel of 1 and 1 is 1."""
    return (1 - mix) * (numeric + categorical) / 2 + mix * numeric * categorical


def forgetting(t: Array, s: Array, eps: Array) -> Array:
    """(1 - eps)^(|t - s| / 2) (Bogunovic et al., 2016)."""
    return (1 - eps) ** (jnp.abs(t - s) / 2)


def kernel(params: Params, p: Point, q: Point) -> Array:
    """The covariance of the process at two points, without noise. Shape `[]`."""
    numeric = matern52(p.x, q.x, params.lengthscale)
    categorical = overlap(p.h, q.h, params.overlap)
    if p.h.shape[-1] == 0:
        both = numeric
    elif p.x.shape[-1] == 0:
        both = categorical
    else:
        both = mixture(numeric, categorical, params.mix)
    return params.outputscale * both * forgetting(p.t, q.t, params.eps)
