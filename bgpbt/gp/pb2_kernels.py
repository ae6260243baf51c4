"""The kernels of PB2 and PB2-Mix, each with its own parameters.

They are those of their authors' code (Parker-Holder et al., 2020 and 2021), listed in
`docs/strategies.md`. Of an input, `numeric` is the scaled score before the round and
then the numbers in the unit cube, `Z` in all; there are `C` categories. Raw parameters
are not bounded.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from bgpbt.gp.kernels import Point, forgetting, mixture
from bgpbt.types import Array

MIN_NOISE = 1e-6
MAX_EPS = 0.5
# Where a search for the most likely parameters starts.
START_EPS = 0.1
START_NOISE = 0.01


class PB2Params(NamedTuple):
    """PB2's: categories have no part."""

    variance: Array  # []
    lengthscale: Array  # [] of the squared distance
    eps: Array  # [] forgotten in a round
    noise: Array  # [] variance of an observation

    @classmethod
    def start(cls) -> "PB2Params":
        """Raw: v = l = 1, eps = 0.1, noise 0.01."""
        return cls(0.0, 0.0, _raw_eps(), jnp.log(START_NOISE))

    def natural(self) -> "PB2Params":
        """Raw parameters in natural units."""
        return PB2Params(
            jnp.exp(self.variance),
            jnp.exp(self.lengthscale),
            MAX_EPS * jax.nn.sigmoid(self.eps),
            MIN_NOISE + jnp.exp(self.noise),
        )

    def prior(self) -> Array:
        """The variance of the process at any input. Shape `[]`."""
        return self.variance

    def kernel(self, p: Point, q: Point) -> Array:
        """v exp(-|z - w|^2 / l) (1 - eps)^(|t - s| / 2) of one pair. Shape `[]`."""
        return (
            self.variance
            * jnp.exp(-jnp.sum((p.numeric - q.numeric) ** 2) / self.lengthscale)
            * forgetting(p.time, q.time, self.eps)
        )


class MixedParams(NamedTuple):
    """PB2-Mix's: a kernel of numbers k1, one of categories k2, and their mixture."""

    variance: Array  # [] of k1
    lengthscale: Array  # [] of the squared distance
    eps: Array  # [] forgotten by k1 in a round
    category_variance: Array  # [] of k2
    category_eps: Array  # [] forgotten by k2 in a round
    mixture_weight: Array  # [] of the product, in (0, 1)
    noise: Array  # [] variance of an observation

    @classmethod
    def start(cls) -> "MixedParams":
        """Raw: both kernels as PB2's, a mixture weight of 0.5."""
        return cls(0.0, 0.0, _raw_eps(), 0.0, _raw_eps(), 0.0, jnp.log(START_NOISE))

    def natural(self) -> "MixedParams":
        """Raw parameters in natural units."""
        numbers = PB2Params(self.variance, self.lengthscale, self.eps, self.noise)
        numbers = numbers.natural()
        return MixedParams(
            numbers.variance,
            numbers.lengthscale,
            numbers.eps,
            jnp.exp(self.category_variance),
            MAX_EPS * jax.nn.sigmoid(self.category_eps),
            jax.nn.sigmoid(self.mixture_weight),
            numbers.noise,
        )

    def prior(self) -> Array:
        """The variance of the process at any input. Shape `[]`."""
        return mixture(self.variance, self.category_variance, self.mixture_weight)

    def kernel(self, p: Point, q: Point) -> Array:
        """(1 - lam) (k1 + k2) / 2 + lam k1 k2 of one pair. Shape `[]`.

        k1 is PB2's; k2 = v2 (equal categories / C) (1 - eps2)^(|t - s| / 2), C >= 1.
        """
        numbers = PB2Params(self.variance, self.lengthscale, self.eps, self.noise)
        categories = (
            self.category_variance
            * jnp.mean(p.categories == q.categories)
            * forgetting(p.time, q.time, self.category_eps)
        )
        return mixture(numbers.kernel(p, q), categories, self.mixture_weight)


Params = PB2Params | MixedParams


def _raw_eps() -> Array:
    return jnp.log(START_EPS / (MAX_EPS - START_EPS))
