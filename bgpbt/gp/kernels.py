"""Covariance functions of one pair of points; callers add `vmap`.

`D` numeric inputs, `C` categories.
"""

from typing import NamedTuple

import jax.numpy as jnp

from bgpbt.types import Array


class Point(NamedTuple):
    """An input of the Gaussian process."""

    # [D] floats, integers at the centres of their bins, and the context
    numeric: Array
    categories: Array  # [C] int32
    time: Array  # [] in rounds


class Params(NamedTuple):
    """Parameters of the Gaussian process, in natural units."""

    mean: Array  # [] constant mean
    outputscale: Array  # [] variance of the Gaussian process, > 0
    noise: Array  # [] variance of an observation, > 0
    lengthscale: Array  # [D] > 0
    category_weights: Array  # [C] how much a differing category costs, > 0
    mixture_weight: Array  # [] weight of the product of both kernels, in (0, 1)
    eps: Array  # [] share that is forgotten in a round: 0 = nothing, in (0, 1)


def matern52(x: Array, y: Array, lengthscale: Array) -> Array:
    """The Matérn 5/2 kernel of numeric inputs.

    (1 + sqrt(5) d + 5/3 d^2) exp(-sqrt(5) d), d = |(x - y) / lengthscale|
    (Rasmussen and Williams, 2006, Eq. 4.17).

    Args:
      x: one input. Shape `[D]`.
      y: the other one. Shape `[D]`.
      lengthscale: in the units of the inputs. Shape `[D]`.

    Returns:
      The correlation, in (0, 1]. Shape `[]`.
    """
    squared = jnp.sum(((x - y) / lengthscale) ** 2)
    # Two selects: the root has no derivative at 0, the kernel has.
    distance = jnp.sqrt(5 * jnp.where(squared > 0, squared, 1))
    return jnp.where(
        squared > 0,
        (1 + distance + distance**2 / 3) * jnp.exp(-distance),
        1 - 5 / 6 * squared,
    )


def category_kernel(x: Array, y: Array, weights: Array) -> Array:
    """exp(-sum of the weights of the categories that differ).

    It is 1 for equal categories. Cf. CoCaBO (Ru et al., 2020, Eq. 6).

    Args:
      x: categories of one input. Shape `[C]`, int32.
      y: those of the other one. Shape `[C]`, int32.
      weights: what each difference costs. Shape `[C]`.

    Returns:
      The correlation, in (0, 1]. Shape `[]`.
    """
    return jnp.exp(-jnp.sum(jnp.where(x == y, 0, weights)))


def mixture(numeric: Array, categorical: Array, mixture_weight: Array) -> Array:
    """Weighs the sum and the product of two kernels (CoCaBO, Eq. 7).

    The sum is halved so that two kernels of 1 give 1.

    Args:
      numeric: value of the numeric kernel. Shape `[]`.
      categorical: value of the categorical kernel. Shape `[]`.
      mixture_weight: weight of the product, in (0, 1). Shape `[]`.

    Returns:
      The correlation. Shape `[]`.
    """
    return (1 - mixture_weight) * (
        numeric + categorical
    ) / 2 + mixture_weight * numeric * categorical


def forgetting(t: Array, s: Array, eps: Array) -> Array:
    """(1 - eps)^(|t - s| / 2) (Bogunovic et al., 2016).

    Args:
      t: one time, in rounds. Shape `[]`.
      s: the other one. Shape `[]`.
      eps: share that is forgotten in a round. Shape `[]`.

    Returns:
      The correlation, in [0, 1]. Shape `[]`.
    """
    return (1 - eps) ** (jnp.abs(t - s) / 2)


def kernel(params: Params, p: Point, q: Point) -> Array:
    """The covariance of the Gaussian process at two points, without noise.

    Args:
      params: in natural units.
      p: one point.
      q: the other one.

    Returns:
      The covariance. Shape `[]`.
    """
    numeric = matern52(p.numeric, q.numeric, params.lengthscale)
    categorical = category_kernel(p.categories, q.categories, params.category_weights)
    if p.categories.shape[-1] == 0:
        both = numeric
    elif p.numeric.shape[-1] == 0:
        both = categorical
    else:
        both = mixture(numeric, categorical, params.mixture_weight)
    return params.outputscale * both * forgetting(p.time, q.time, params.eps)
