"""Exact inference over a padded data set (Rasmussen and Williams, 2006, Algorithm 2.1).

`N` rows, of which those that are `valid` count. A row that does not count has a one on
the diagonal and zeros beside it: it changes neither the factor nor a prediction.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular

from bgpbt.gp.kernels import Params, Point, kernel
from bgpbt.types import Array

# Share of the outputscale added to the diagonal; tenfold until the factor exists.
JITTER = 1e-8
MAX_JITTER = 1e-1


class Data(NamedTuple):
    """Observations; one compilation serves every number of them."""

    points: Point  # [N, ...]
    y: Array  # [N]
    valid: Array  # [N] bool


class Posterior(NamedTuple):
    """A Gaussian process that has seen data."""

    params: Params
    data: Data
    inverse: Array  # [N, N] of the lower factor of the covariance
    weights: Array  # [N] covariance^-1 (y - mean)


def covariance(params: Params, data: Data) -> Array:
    """Covariance of the observations, noise included, without jitter.

    Args:
      params: in natural units.
      data: the observations.

    Returns:
      Shape `[N, N]`.
    """
    pairs = jax.vmap(jax.vmap(kernel, (None, None, 0)), (None, 0, None))(
        params, data.points, data.points
    )
    both = data.valid[:, None] & data.valid
    return jnp.where(both, pairs, 0) + jnp.diag(
        jnp.where(data.valid, params.noise, 1.0)
    )


def sufficient_jitter(matrix: Array, scale: Array) -> Array:
    """The smallest jitter with which the Cholesky factor exists. It has no gradient.

    Args:
      matrix: a covariance. Shape `[N, N]`.
      scale: variance of the Gaussian process. Shape `[]`.

    Returns:
      One of JITTER, 10 JITTER, ..., times `scale`. Shape `[]`.
    """
    matrix, scale = jax.lax.stop_gradient((matrix, scale))
    eye = jnp.eye(len(matrix))

    def fails(jitter):
        return ~jnp.all(
            jnp.isfinite(jnp.linalg.cholesky(matrix + jitter * scale * eye))
        )

    def should_grow(jitter):
        return fails(jitter) & (jitter < MAX_JITTER)

    return scale * jax.lax.while_loop(
        should_grow, lambda jitter: 10 * jitter, jnp.full((), JITTER, matrix.dtype)
    )


def _with_jitter(params: Params, data: Data) -> Array:
    """The covariance `[N, N]` with as little jitter as lets its factor exist."""
    matrix = covariance(params, data)
    jitter = sufficient_jitter(matrix, params.outputscale)
    return matrix + jitter * jnp.diag(data.valid.astype(matrix.dtype))


def _residual(params: Params, data: Data) -> Array:
    return jnp.where(data.valid, data.y - params.mean, 0)


@jax.custom_vjp
def log_density(matrix: Array, residual: Array) -> Array:
    """ln of the normal density of mean 0, without its constant.

    Args:
      matrix: the covariance. Shape `[N, N]`.
      residual: where the density is evaluated. Shape `[N]`.

    Returns:
      Shape `[]`, nats.
    """
    return _log_density_forward(matrix, residual)[0]


def _log_density_forward(matrix, residual):
    lower = jnp.linalg.cholesky(matrix)
    inverse = solve_triangular(lower, jnp.eye(len(lower)), lower=True)
    weights = inverse.T @ (inverse @ residual)
    return -0.5 * residual @ weights - jnp.sum(jnp.log(jnp.diagonal(lower))), (
        inverse,
        weights,
    )


def _log_density_backward(saved, slope):
    # Eq. 5.9, several times faster than differentiating through the factor.
    inverse, weights = saved
    return slope * 0.5 * (
        jnp.outer(weights, weights) - inverse.T @ inverse
    ), -slope * weights


log_density.defvjp(_log_density_forward, _log_density_backward)


def log_marginal_likelihood(params: Params, data: Data) -> Array:
    """ln p(y | points, params) (Eq. 2.30).

    Args:
      params: in natural units.
      data: the observations.

    Returns:
      Of all valid rows together. Shape `[]`, nats.
    """
    count = jnp.sum(data.valid)
    return log_density(
        _with_jitter(params, data), _residual(params, data)
    ) - 0.5 * count * jnp.log(2 * jnp.pi)


def condition(params: Params, data: Data) -> Posterior:
    """Prepares the posterior for many predictions.

    Args:
      params: in natural units.
      data: the observations.
    """
    lower = jnp.linalg.cholesky(_with_jitter(params, data))
    inverse = solve_triangular(lower, jnp.eye(len(lower)), lower=True)
    return Posterior(
        params, data, inverse, inverse.T @ (inverse @ _residual(params, data))
    )


def predict(posterior: Posterior, point: Point) -> tuple[Array, Array]:
    """Predicts the Gaussian process at one point (Eqs. 2.25, 2.26).

    Args:
      posterior: from `condition`.
      point: one input.

    Returns:
      Mean and variance, without the noise of an observation. Shapes `[]`.
    """
    params, data = posterior.params, posterior.data
    cross = jax.vmap(kernel, (None, None, 0))(params, point, data.points)
    cross = jnp.where(data.valid, cross, 0)  # covariances with the observations
    mean = params.mean + cross @ posterior.weights
    variance = kernel(params, point, point) - jnp.sum((posterior.inverse @ cross) ** 2)
    return mean, jnp.maximum(variance, 0)
