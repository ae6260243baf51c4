"""Smooths a curve by an exact Gaussian process (Rasmussen and Williams, 2006).

Its kernel, priors and fit are those of the bandit, over one input: the place in the
curve. Nothing is drawn, so that the same curve gives the same bits. `C` places.
"""

import jax
import jax.numpy as jnp

from bgpbt.gp import fit as fits
from bgpbt.gp import posterior as posteriors
from bgpbt.gp.kernels import Point
from bgpbt.gp.posterior import Data
from bgpbt.gp.precision import float64
from bgpbt.types import Array

STARTS = 2  # short lengthscales and the prior's mean; further ones would be drawn


@float64
def smooth(values: Array, valid: Array) -> Array:
    """The Gaussian process's mean at every place of a curve.

    Args:
      values: standardised. Shape `[C]`.
      valid: which of them count: the last ones, at least two. Shape `[C]`, bool.

    Returns:
      Shape `[C]`; of no meaning where not valid.
    """
    count = jnp.sum(valid)
    place = jnp.arange(len(values)) - (len(values) - count)
    numeric = (place / jnp.maximum(count - 1, 1)).astype(values.dtype)[:, None]
    nothing = jnp.zeros((len(values), 0), jnp.int32)
    points = Point(numeric, nothing, jnp.zeros_like(values))
    data = Data(points, jnp.where(valid, values, 0), valid)
    prior_mean, _ = fits.prior(1, 0)
    prior_mean = jax.tree.map(lambda x: x.astype(values.dtype), prior_mean)
    first = fits.with_short_lengthscales(prior_mean)
    raw, _, _ = fits.fit(jax.random.PRNGKey(0), first, data, number=STARTS)
    posterior = posteriors.condition(fits.natural(raw), data)
    # At an observation the mean (Eq. 2.25) is what was observed less the noise in it.
    return data.y - posterior.params.noise * posterior.weights
