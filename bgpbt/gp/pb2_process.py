"""PB2's Gaussian process (Parker-Holder et al., 2020): reward per step.

Its inputs are the score before the round, the configuration, and the round. The rules
are those of its authors' code and of its best known port, listed in
`docs/strategies.md`. `N` rows, `Z` numbers of an input, `C` categories; the kernel is
that of the parameters (`pb2_kernels.py`).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import cho_solve, solve_triangular

from bgpbt.gp.descent import descend
from bgpbt.gp.kernels import Point
from bgpbt.gp.pb2_kernels import Params
from bgpbt.gp.posterior import Data, log_density
from bgpbt.types import Array, Key

ITERATIONS = 30
STARTS = 10
LEAST_STARTS = 3
JITTER = 1e-8
# Of the upper confidence bound, see `beta`.
C1 = 0.2
C2 = 0.4
MAX_TARGET = 2.0  # standardised targets are clipped there
MIN_LENGTHSCALE = 1e-5
MAX_LENGTHSCALE = 1.0


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


def covariance(params: Params, data: Data) -> Array:
    """Covariance of the observations, noise included.

    Args:
      params: in natural units.
      data: the observations.

    Returns:
      Rows that do not count have a one on the diagonal. Shape `[N, N]`.
    """
    with_all = jax.vmap(params.kernel, (None, 0))
    pairs = jax.vmap(with_all, (0, None))(data.points, data.points)
    both = data.valid[:, None] & data.valid
    return jnp.where(both, pairs, 0) + jnp.diag(
        jnp.where(data.valid, params.noise + JITTER, 1.0)
    )


class Posterior(NamedTuple):
    """The Gaussian process that has seen rows, and knows of pending ones."""

    points: Point  # [N, ..] of both
    valid: Array  # [N] bool
    weights: Array  # [N] covariance^-1 y; 0 where pending
    inverse: Array  # [N, N] of the lower factor of the covariance of both


def condition(params: Params, data: Data, pending: Data) -> Posterior:
    """Prepares many predictions.

    Args:
      params: in natural units.
      data: what was observed; only they decide the mean.
      pending: what trains beside it; it lowers only the uncertainty.
    """
    both = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), data, pending)
    lower, lower_both = (
        jnp.linalg.cholesky(covariance(params, rows)) for rows in (data, both)
    )
    weights = cho_solve((lower, True), data.y)
    return Posterior(
        both.points,
        both.valid,
        jnp.append(weights, jnp.zeros_like(pending.y)),
        solve_triangular(lower_both, jnp.eye(len(both.y)), lower=True),
    )


def predict(params: Params, posterior: Posterior, point: Point) -> tuple[Array, Array]:
    """Predicts the Gaussian process at one point.

    Args:
      params: in natural units.
      posterior: from `condition`.
      point: one input.

    Returns:
      Mean and variance, without the noise of an observation. Shapes `[]`.
    """
    cross = jax.vmap(params.kernel, (None, 0))(point, posterior.points)
    cross = jnp.where(posterior.valid, cross, 0)
    variance = params.prior() - jnp.sum((posterior.inverse @ cross) ** 2)
    return cross @ posterior.weights, jnp.maximum(variance, 0)


def beta(count: Array) -> Array:
    """The coefficient of the bound after n = `count` rows: c1 + max(0, ln(c2 n))."""
    return C1 + jnp.maximum(0, jnp.log(C2 * jnp.maximum(count, 1)))


def fit(start: Callable[[], Params], data: Data) -> Params:
    """The most likely parameters, in natural units.

    They stay those of the start where the search does not improve on them. The
    lengthscale is clipped.

    Args:
      start: gives raw parameters, in which the search starts.
      data: the observations.
    """
    dtype = data.points.numeric.dtype
    first = jax.tree.map(lambda x: jnp.asarray(x, dtype), start())

    def cost(raw):
        return -log_density(covariance(raw.natural(), data), data.y)

    optimum, value = descend(cost, first, ITERATIONS)
    finite = jnp.stack([jnp.isfinite(x) for x in (*optimum, value)]).all()
    better = finite & (value <= cost(first))
    params = jax.tree.map(
        lambda new, old: jnp.where(better, new, old), optimum.natural(), first.natural()
    )
    return params._replace(
        lengthscale=jnp.clip(params.lengthscale, MIN_LENGTHSCALE, MAX_LENGTHSCALE)
    )


def starts_for(pop_size: int) -> int:
    """Starts of a search: from 128 members on, their searches share a budget."""
    return max(LEAST_STARTS, min(STARTS, 128 * STARTS // pop_size))


def suggest(
    key: Key,
    params: Params,
    data: Data,
    pending: Data,
    context: Array,
    categories: Array,
    t: Array,
    starts: int = STARTS,
) -> Array:
    """The numbers with the highest upper confidence bound.

    The bound is mean + sqrt(beta) * standard deviation. The search has several uniform
    starts.

    Args:
      key: PRNG key, consumed.
      params: from `fit`.
      data: what was observed.
      pending: what trains beside it.
      context: scaled score before the round. Shape `[]`.
      categories: the categories beside which the numbers stand. Shape `[C]`, int32.
      t: the round. Shape `[]`.
      starts: of the search.

    Returns:
      In the unit cube. Shape `[Z - 1]`.
    """
    posterior = condition(params, data, pending)
    weight = jnp.sqrt(beta(jnp.sum(data.valid)))

    def cost(raw):
        point = Point(jnp.append(context, jax.nn.sigmoid(raw)), categories, t)
        mean, variance = predict(params, posterior, point)
        return -(mean + weight * jnp.sqrt(variance + 1e-12))

    numeric = data.points.numeric
    unit = jax.random.uniform(
        key, (starts, numeric.shape[1] - 1), numeric.dtype, minval=0.01, maxval=0.99
    )
    optima, values = jax.lax.map(
        lambda start: descend(cost, jax.scipy.special.logit(start), ITERATIONS), unit
    )
    best = jnp.argmin(jnp.where(jnp.isnan(values), jnp.inf, values))
    return jax.nn.sigmoid(optima[best])
