"""Exact inference over a padded data set (Rasmussen and Williams, 2006, Algorithm 2.1). `N` rows, of which `valid` count.

A row that does not count has a one on the diagonal and zeros beside it: it changes neither factor nor prediction.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular

from bgpbt.gp.kernels import Params, Point, kernel

Array = jax.Array
JITTER = 1e-8  # of the process's variance, on the diagonal; grows tenfold until the factor exists
MAX_JITTER = 1e-1


class Data(NamedTuple):
    """Observations; one compilation serves every number of them."""

    points: Point  # [N, ...]
    y: Array  # [N]
    valid: Array  # [N] bool


class Posterior(NamedTuple):
    """A process that has seen data."""

    params: Params
    data: Data
    inverse: Array  # [N, N] of the lower factor of the covariance
    weights: Array  # [N] covariance^-1 (y - mean)


def covariance(params: Params, data: Data) -> Array:
    """Covariance of the observations, noise included, without jitter. Shape `[N, N]`."""
    pairs = jax.vmap(jax.vmap(kernel, (None, None, 0)), (None, 0, None))(params, data.points, data.points)
    both = data.valid[:, None] & data.valid
    return jnp.where(both, pairs, 0) + jnp.diag(jnp.where(data.valid, params.noise, 1.0))


def sufficient_jitter(matrix: Array, scale: Array) -> Array:
    """The smallest of JITTER, 10 JITTER, ... (times `scale`) with which the factor exists. Shape `[]`, no gradient."""
    matrix, scale = jax.lax.stop_gradient((matrix, scale))
    eye = jnp.eye(len(matrix))

    def fails(jitter):
        return ~jnp.all(jnp.isfinite(jnp.linalg.cholesky(matrix + jitter * scale * eye)))

    def keep_on(jitter):
        return fails(jitter) & (jitter < MAX_JITTER)

    return scale * jax.lax.while_loop(keep_on, lambda jitter: 10 * jitter, jnp.full((), JITTER, matrix.dtype))


def _with_jitter(params: Params, data: Data) -> Array:
    """The covariance of the observations with as little jitter as lets its factor exist. Shape `[N, N]`."""
    matrix = covariance(params, data)
    jitter = sufficient_jitter(matrix, params.outputscale)
    return matrix + jitter * jnp.diag(data.valid.astype(matrix.dtype))


def _residual(params: Params, data: Data) -> Array:
    return jnp.where(data.valid, data.y - params.mean, 0)


@jax.custom_vjp
def log_density(matrix: Array, residual: Array) -> Array:
    """ln of the normal density with covariance `matrix` `[N, N]` at `residual` `[N]`, without its constant. Shape `[]`."""
    return _log_density_forward(matrix, residual)[0]


def _log_density_forward(matrix, residual):
    lower = jnp.linalg.cholesky(matrix)
    inverse = solve_triangular(lower, jnp.eye(len(lower)), lower=True)
    weights = inverse.T @ (inverse @ residual)
    return -0.5 * residual @ weights - jnp.sum(jnp.log(jnp.diagonal(lower))), (inverse, weights)


def _log_density_backward(saved, slope):
    # Eq. 5.9, several times faster than differentiating through the factor.
    inverse, weights = saved
    return slope * 0.5 * (jnp.outer(weights, weights) - inverse.T @ inverse), -slope * weights


log_density.defvjp(_log_density_forward, _log_density_backward)


def log_marginal_likelihood(params: Params, data: Data) -> Array:
    """ln p(y | points, params) (Eq. 2.30). Shape `[]`, in nats, of all valid rows together."""
    count = jnp.sum(data.valid)
    return log_density(_with_jitter(params, data), _residual(params, data)) - 0.5 * count * jnp.log(2 * jnp.pi)


def condition(params: Params, data: Data) -> Posterior:
    """The posterior, ready for many predictions."""
    lower = jnp.linalg.cholesky(_with_jitter(params, data))
    inverse = solve_triangular(lower, jnp.eye(len(lower)), lower=True)
    return Posterior(params, data, inverse, inverse.T @ (inverse @ _residual(params, data)))


def predict(posterior: Posterior, point: Point) -> tuple[Array, Array]:
    """Mean and variance of the process at one point, without the noise of an observation (Eqs. 2.25, 2.26). Shapes `[]`."""
    params, data = posterior.params, posterior.data
    across = jax.vmap(kernel, (None, None, 0))(params, point, data.points)
    across = jnp.where(data.valid, across, 0)
    mean = params.mean + across @ posterior.weights
    variance = kernel(params, point, point) - jnp.sum((posterior.inverse @ across) ** 2)
    return mean, jnp.maximum(variance, 0)
