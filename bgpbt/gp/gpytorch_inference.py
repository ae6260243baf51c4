"""The same inference on GPyTorch: an independent check, for those who want its models.

The functions are those of `bgpbt.gp.inference.Inference`, over the same `Params` and
`Data`; compiled programs call back to the host for them. `K` points, `D` numeric
inputs.
"""

import math
from collections.abc import Callable
from typing import Any

import gpytorch
import jax
import jax.numpy as jnp
import numpy as np
import torch

from bgpbt.gp import fit as fits
from bgpbt.gp.gpytorch_model import Process, process, rows_of
from bgpbt.gp.kernels import Params, Point
from bgpbt.gp.posterior import JITTER, Data
from bgpbt.types import Array, Key, PyTree


def exact_computations():
    """GPyTorch without its approximations.

    It factorises at every size, and adds no jitter unless a factor fails.
    """
    return gpytorch.settings.fast_computations(False, False, False)


def log_marginal_likelihood(model: Process) -> torch.Tensor:
    """ln p(y) of all rows together. Shape `[]`, nats."""
    model.train()
    with exact_computations():
        prior = model(*model.train_inputs)
        # The jitter has no gradient, as in `bgpbt.gp.posterior`.
        jitter = JITTER * float(torch.exp(model.covar_module.raw_outputscale.detach()))
        prior = gpytorch.distributions.MultivariateNormal(
            prior.mean, prior.lazy_covariance_matrix.add_jitter(jitter)
        )
        return model.likelihood(prior).log_prob(model.train_targets)


def log_posterior(model: Process) -> torch.Tensor:
    """Log marginal likelihood and the log prior of `bgpbt.gp.fit`, up to a constant."""
    kernel = model.covar_module
    total = log_marginal_likelihood(model)
    prior = fits.prior(kernel.numeric, kernel.categories)
    for value, mean, std in zip(model.raw(), *prior, strict=True):
        if value.numel():
            mean, std = (
                torch.as_tensor(np.array(x, np.float64)).reshape(value.shape)
                for x in (mean, std)
            )
            total = total - 0.5 * (((value - mean) / std) ** 2).sum()
    if kernel.numeric:
        mean = float(prior[0].lengthscale[0])
        standardised = (kernel.matern.raw_lengthscale[..., :-1] - mean) / fits.OWN_STD
        total = total + (
            0.5 * fits.shared_scale(kernel.numeric) * standardised.sum() ** 2
        )
    return total


def maximise(
    starts: list[Params], data: Data, iterations: int
) -> tuple[Params, float, bool]:
    """The most probable parameters from several starts.

    Args:
      starts: unconstrained parameters.
      data: the observations.
      iterations: most steps of L-BFGS from each.

    Returns:
      Unconstrained parameters, those of the first start where none succeeds; their log
      posterior; whether a start succeeded.
    """
    best = starts[0]
    highest = -np.inf
    for start in starts:
        model = process(start, data)
        try:
            value = _maximise_one(model, iterations)
        except (RuntimeError, ValueError):  # a factor that does not exist
            continue
        if np.isfinite(value) and value > highest:
            best = Params(
                *(
                    tensor.detach().numpy().reshape(np.shape(x)).copy()
                    for tensor, x in zip(model.raw(), start, strict=True)
                )
            )
            highest = value
    return best, highest, np.isfinite(highest)


def _maximise_one(model: Process, iterations: int) -> float:
    """Improves the model's parameters in place. Returns their log posterior."""
    tensors = [t for t in model.raw() if t.numel()]
    optimizer = torch.optim.LBFGS(
        tensors, max_iter=iterations, line_search_fn="strong_wolfe"
    )

    def closure():
        optimizer.zero_grad()
        cost = -log_posterior(model)
        cost.backward()
        return cost

    optimizer.step(closure)
    return float(log_posterior(model).detach())


def moments(raw: Params, data: Data, points: Point) -> tuple[np.ndarray, ...]:
    """Predictions at many points, and their slopes.

    Args:
      raw: unconstrained parameters.
      data: the observations.
      points: K inputs.

    Returns:
      Mean and variance, without noise, shape `[K]` each, and their derivatives by
      `points.numeric`, shape `[K, D]` each.
    """
    model = process(raw, data)
    rows = rows_of(points).requires_grad_()
    with exact_computations():
        if len(model.train_targets) == 0:
            prediction = model.forward(rows)
        else:
            model.eval()
            prediction = model(rows)
        sums = prediction.mean.sum(), prediction.variance.sum()
        slopes = [
            torch.autograd.grad(s, rows, retain_graph=True, allow_unused=True)[0]
            for s in sums
        ]
    numeric = points.numeric.shape[-1]
    slopes = [
        np.zeros(points.numeric.shape) if s is None else s[:, :numeric].numpy()
        for s in slopes
    ]
    mean = prediction.mean.detach().numpy()
    return mean, prediction.variance.detach().numpy(), *slopes


def _on_host(f: Callable, like: PyTree, *args: PyTree, **kwargs) -> PyTree:
    """Calls `f` on the host from a compiled program; the result is a tree like `like`.

    What crosses is float32, as JAX's callbacks demand; each side computes in float64.
    """

    def narrow(tree):
        return jax.tree.map(
            lambda x: x.astype(np.float32) if x.dtype == np.float64 else x, tree
        )

    shapes = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(
            x.shape, np.float32 if x.dtype == np.float64 else x.dtype
        ),
        like,
    )
    result = jax.pure_callback(
        lambda *a: narrow(f(*jax.tree.map(np.asarray, a))),
        shapes,
        *narrow(args),
        **kwargs,
    )
    return jax.tree.map(lambda x, y: x.astype(y.dtype), result, like)


def fit(
    key: Key,
    warm: Params,
    data: Data,
    *,
    number: int = fits.STARTS,
    iterations: int = fits.ITERATIONS,
) -> tuple[Params, Array, Array]:
    """As `bgpbt.gp.fit.fit`, from the same starts, with PyTorch's L-BFGS."""

    def host(starts, data):
        raw, value, succeeded = maximise(
            [jax.tree.map(lambda x, i=i: x[i], starts) for i in range(number)],
            data,
            iterations,
        )
        return raw, np.asarray(value), np.asarray(succeeded)

    like = warm, data.y[0], jnp.array(True)
    return _on_host(host, like, fits.starts(key, warm, number), data)


def condition(raw: Params, data: Data) -> tuple[Params, Data]:
    """What `predict` needs: GPyTorch conditions when it predicts."""
    return raw, data


@jax.custom_jvp
def predict(posterior: tuple[Params, Data], point: Point) -> tuple[Array, Array]:
    """As `bgpbt.gp.posterior.predict`; differentiable in `point.numeric`."""
    return _moments_of_one(posterior, point)[:2]


@predict.defjvp
def _predict_slope(primals: Any, tangents: Any) -> Any:
    mean, variance, *slopes = _moments_of_one(*primals)
    return (mean, variance), tuple(
        jnp.sum(slope * tangents[1].numeric) for slope in slopes
    )


def _moments_of_one(posterior: tuple[Params, Data], point: Point) -> tuple[Array, ...]:
    """`moments` of one point; a `vmap` over points computes all of them at once."""

    def host(posterior, points):
        # One axis for every `vmap`, of length 1 where nothing was mapped.
        axes = points.time.ndim
        raw, data = jax.tree.map(lambda x: x.reshape(x.shape[axes:]), posterior)
        lead = np.broadcast_shapes(*(x.shape[:axes] for x in points))
        count = math.prod(lead)
        flat = jax.tree.map(
            lambda x: np.broadcast_to(x, lead + x.shape[axes:]).reshape(
                count, *x.shape[axes:]
            ),
            points,
        )
        return tuple(x.reshape(lead + x.shape[1:]) for x in moments(raw, data, flat))

    return _on_host(
        host,
        (point.time, point.time, point.numeric, point.numeric),
        posterior,
        point,
        vmap_method="expand_dims",
    )
