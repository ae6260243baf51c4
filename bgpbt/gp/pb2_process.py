"""PB2's Gaussian process (Parker-Holder et al., 2020): reward per step.

Its inputs are the score before the round, the configuration, and the round. The rules
are those of its authors' code and of its best known port, listed in
`docs/strategies.md`. `N` rows, `Z` inputs: the scaled score before the round, then the
configuration in the unit cube.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import cho_solve

from bgpbt.gp.descent import descend
from bgpbt.gp.posterior import log_density
from bgpbt.types import Array, Key

ITERATIONS = 30
STARTS = 10
MIN_NOISE = 1e-6
JITTER = 1e-8
# Of the upper confidence bound, see `beta`.
C1 = 0.2
C2 = 0.4
MAX_TARGET = 2.0  # standardised targets are clipped there
MIN_LENGTHSCALE = 1e-5
MAX_LENGTHSCALE = 1.0
MAX_EPS = 0.5


class PB2Params(NamedTuple):
    """Parameters of the Gaussian process, in natural units."""

    variance: Array  # []
    lengthscale: Array  # [] of the squared distance
    eps: Array  # [] forgotten in a round
    noise: Array  # [] variance of an observation


class Rows(NamedTuple):
    """Observations; those that are not `valid` do not count."""

    z: Array  # [N, Z]
    t: Array  # [N] round
    y: Array  # [N]
    valid: Array  # [N] bool


def standardise(y: Array, valid: Array) -> Array:
    """Scales targets to mean 0 and standard deviation 1, and clips them.

    Args:
      y: targets. Shape `[N]`.
      valid: which of them count. Shape `[N]`, bool.

    Returns:
      0 where not valid. Shape `[N]`.
    """
    count = jnp.maximum(jnp.sum(valid), 1)
    mean = jnp.sum(jnp.where(valid, y, 0)) / count
    spread = jnp.sqrt(jnp.sum(jnp.where(valid, (y - mean) ** 2, 0)) / count)
    return jnp.where(
        valid, jnp.clip((y - mean) / (spread + 1e-8), -MAX_TARGET, MAX_TARGET), 0
    )


def kernel(params: PB2Params, z: Array, t: Array, w: Array, s: Array) -> Array:
    """v exp(-|z - w|^2 / l) (1 - eps)^(|t - s| / 2) of one pair.

    Args:
      params: in natural units.
      z: one input. Shape `[Z]`.
      t: its round. Shape `[]`.
      w: the other input. Shape `[Z]`.
      s: its round. Shape `[]`.

    Returns:
      The covariance. Shape `[]`.
    """
    return (
        params.variance
        * jnp.exp(-jnp.sum((z - w) ** 2) / params.lengthscale)
        * (1 - params.eps) ** (jnp.abs(t - s) / 2)
    )


def covariance(params: PB2Params, rows: Rows) -> Array:
    """Covariance of the observations, noise included.

    Args:
      params: in natural units.
      rows: the observations.

    Returns:
      Rows that do not count have a one on the diagonal. Shape `[N, N]`.
    """
    with_all = jax.vmap(kernel, (None, None, None, 0, 0))
    pairs = jax.vmap(with_all, (None, 0, 0, None, None))(
        params, rows.z, rows.t, rows.z, rows.t
    )
    both = rows.valid[:, None] & rows.valid
    return jnp.where(both, pairs, 0) + jnp.diag(
        jnp.where(rows.valid, params.noise + JITTER, 1.0)
    )


def predict(
    params: PB2Params, lower: Array, rows: Rows, z: Array, t: Array
) -> tuple[Array, Array]:
    """Predicts the Gaussian process at one point.

    Args:
      params: in natural units.
      lower: Cholesky factor of the rows' covariance. Shape `[N, N]`.
      rows: the observations.
      z: the input. Shape `[Z]`.
      t: its round. Shape `[]`.

    Returns:
      Mean and variance, without the noise of an observation. Shapes `[]`.
    """
    cross = jnp.where(
        rows.valid,
        jax.vmap(kernel, (None, None, None, 0, 0))(params, z, t, rows.z, rows.t),
        0,
    )
    solved = cho_solve((lower, True), cross)
    return solved @ rows.y, jnp.maximum(params.variance - cross @ solved, 0)


def beta(count: Array) -> Array:
    """The coefficient of the bound after n = `count` rows: c1 + max(0, ln(c2 n))."""
    return C1 + jnp.maximum(0, jnp.log(C2 * jnp.maximum(count, 1)))


def natural(raw: PB2Params) -> PB2Params:
    """Turns unconstrained parameters into natural units."""
    return PB2Params(
        jnp.exp(raw.variance),
        jnp.exp(raw.lengthscale),
        MAX_EPS * jax.nn.sigmoid(raw.eps),
        MIN_NOISE + jnp.exp(raw.noise),
    )


def fit(rows: Rows) -> PB2Params:
    """The most likely parameters, in natural units.

    The search starts from v = l = 1, eps = 0.1, noise 0.01, which stay where it does
    not improve on them. The lengthscale is clipped.

    Args:
      rows: the observations.
    """
    start = PB2Params(
        *(
            jnp.asarray(x, rows.z.dtype)
            for x in (0.0, 0.0, jnp.log(0.1 / 0.4), jnp.log(0.01))
        )
    )

    def cost(raw):
        return -log_density(covariance(natural(raw), rows), rows.y)

    optimum, value = descend(cost, start, ITERATIONS)
    finite = jnp.stack([jnp.isfinite(x) for x in (*optimum, value)]).all()
    better = finite & (value <= cost(start))
    params = jax.tree.map(
        lambda new, old: jnp.where(better, new, old), natural(optimum), natural(start)
    )
    return params._replace(
        lengthscale=jnp.clip(params.lengthscale, MIN_LENGTHSCALE, MAX_LENGTHSCALE)
    )


def suggest(
    key: Key, params: PB2Params, rows: Rows, pending: Rows, context: Array, t: Array
) -> Array:
    """The configuration with the highest upper confidence bound.

    The bound is mean + sqrt(beta) * standard deviation. The search has several uniform
    starts.

    Args:
      key: PRNG key, consumed.
      params: from `fit`.
      rows: what was observed; only they decide the mean.
      pending: what trains beside it; it lowers only the uncertainty.
      context: scaled score before the round. Shape `[]`.
      t: the round. Shape `[]`.

    Returns:
      In the unit cube. Shape `[Z - 1]`.
    """
    both = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), rows, pending)
    lower, lower_both = (
        jnp.linalg.cholesky(covariance(params, r)) for r in (rows, both)
    )
    weight = jnp.sqrt(beta(jnp.sum(rows.valid)))

    def cost(raw):
        z = jnp.append(context, jax.nn.sigmoid(raw))
        mean, _ = predict(params, lower, rows, z, t)
        _, variance = predict(params, lower_both, both, z, t)
        return -(mean + weight * jnp.sqrt(variance + 1e-12))

    unit = jax.random.uniform(
        key, (STARTS, rows.z.shape[1] - 1), rows.z.dtype, minval=0.01, maxval=0.99
    )
    optima, values = jax.lax.map(
        lambda start: descend(cost, jax.scipy.special.logit(start), ITERATIONS), unit
    )
    best = jnp.argmin(jnp.where(jnp.isnan(values), jnp.inf, values))
    return jax.nn.sigmoid(optima[best])
