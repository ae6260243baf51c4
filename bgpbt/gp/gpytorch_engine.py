"""The same process on GPyTorch (Gardner et al., 2018): the independent check, and the choice of who wants its models.

The same verbs as ours over the same `Params` and `Data`; compiled programs call back to the host for them. Kernels
are GPyTorch's own where it has them; constraints are chosen so that its raw parameters are ours.
"""

import math
from collections.abc import Callable

import gpytorch
import jax
import jax.numpy as jnp
import numpy as np
import torch
from gpytorch.constraints import GreaterThan, Interval, Positive

from bgpbt.gp import fit as ours
from bgpbt.gp.kernels import Params, Point
from bgpbt.gp.posterior import JITTER, Data
from bgpbt.types import PyTree


class Overlap(gpytorch.kernels.Kernel):
    """exp(-sum of the weights of the categories that differ)."""

    def __init__(self, categories: int):
        super().__init__()
        self.register_parameter("raw_weight", torch.nn.Parameter(torch.zeros(categories)))
        self.register_constraint("raw_weight", Positive(torch.exp, torch.log))

    def forward(self, x1, x2, diag=False, **_):
        """Covariance of rows of categories."""
        differs = x1 != x2 if diag else x1.unsqueeze(-2) != x2.unsqueeze(-3)
        weight = self.raw_weight_constraint.transform(self.raw_weight)
        return torch.exp(-(differs * weight).sum(-1))


class Forgetting(gpytorch.kernels.Kernel):
    """(1 - eps)^(|t - s| / 2)."""

    def __init__(self):
        super().__init__()
        self.register_parameter("raw_eps", torch.nn.Parameter(torch.zeros(())))
        self.register_constraint("raw_eps", Interval(0.0, 1.0))

    def forward(self, x1, x2, diag=False, **_):
        """Covariance of columns of times."""
        apart = (x1 - x2 if diag else x1.unsqueeze(-2) - x2.unsqueeze(-3)).abs().squeeze(-1)
        return (1 - self.raw_eps_constraint.transform(self.raw_eps)) ** (apart / 2)


class Mixture(gpytorch.kernels.Kernel):
    """Sum and product of the numeric and the categorical kernel, times forgetting, times the outputscale."""

    def __init__(self, numeric: int, categories: int):
        super().__init__()
        self.numeric, self.categories = numeric, categories
        if numeric:
            self.matern = gpytorch.kernels.MaternKernel(
                nu=2.5, ard_num_dims=numeric, lengthscale_constraint=Positive(torch.exp, torch.log)
            )
        if categories:
            self.overlap = Overlap(categories)
        self.forgetting = Forgetting()
        for name, constraint in (("mix", Interval(0.0, 1.0)), ("outputscale", Positive(torch.exp, torch.log))):
            self.register_parameter(f"raw_{name}", torch.nn.Parameter(torch.zeros(())))
            self.register_constraint(f"raw_{name}", constraint)

    def forward(self, x1, x2, diag=False, **_):
        """Covariance of rows [x, h, t]."""
        d, c = self.numeric, self.numeric + self.categories

        def dense(kernel, a, b):
            return kernel(a, b, diag=True) if diag else kernel(a, b).to_dense()

        if not self.categories:
            both = dense(self.matern, x1[..., :d], x2[..., :d])
        elif not d:
            both = dense(self.overlap, x1[..., d:c], x2[..., d:c])
        else:
            numeric, categorical = dense(self.matern, x1[..., :d], x2[..., :d]), dense(self.overlap, x1[..., d:c], x2[..., d:c])
            mix = self.raw_mix_constraint.transform(self.raw_mix)
            both = (1 - mix) * (numeric + categorical) / 2 + mix * numeric * categorical
        outputscale = self.raw_outputscale_constraint.transform(self.raw_outputscale)
        return outputscale * both * dense(self.forgetting, x1[..., c:], x2[..., c:])


class Process(gpytorch.models.ExactGP):
    """The process over rows [x, h, t] that has seen data."""

    def __init__(self, x: torch.Tensor, y: torch.Tensor, numeric: int, categories: int):
        noise = GreaterThan(ours.LEAST_NOISE, torch.exp, torch.log)
        super().__init__(x, y, gpytorch.likelihoods.GaussianLikelihood(noise_constraint=noise))
        self.mean_module, self.covar_module = gpytorch.means.ConstantMean(), Mixture(numeric, categories)
        self.double()

    def forward(self, x):
        """The prior at rows `x`."""
        return gpytorch.distributions.MultivariateNormal(self.mean_module(x), self.covar_module(x))

    def raw(self) -> Params:
        """Its parameters, in our order: tensors that know their gradients."""
        kernel = self.covar_module
        empty = torch.zeros(0, dtype=torch.float64)
        return Params(
            mean=self.mean_module.raw_constant,
            outputscale=kernel.raw_outputscale,
            noise=self.likelihood.noise_covar.raw_noise,
            lengthscale=kernel.matern.raw_lengthscale if kernel.numeric else empty,
            overlap=kernel.overlap.raw_weight if kernel.categories else empty,
            mix=kernel.raw_mix,
            eps=kernel.forgetting.raw_eps,
        )

    def put(self, values: Params) -> None:
        """Takes over raw parameters."""
        with torch.no_grad():
            for tensor, value in zip(self.raw(), values, strict=True):
                if tensor.numel():
                    tensor.copy_(torch.as_tensor(np.array(value, np.float64)).reshape(tensor.shape))


def _rows(points: Point) -> torch.Tensor:
    columns = [np.array(points.x, float), np.array(points.h, float), np.array(points.t, float)[..., None]]
    return torch.as_tensor(np.concatenate(columns, axis=-1))


def process(raw: Params, data: Data) -> Process:
    """The model of the valid rows with these raw parameters. Its jitter is the observation's, as in ours."""
    valid = np.array(data.valid)
    x, y = _rows(data.points)[torch.as_tensor(valid)], torch.as_tensor(np.array(data.y, float)[valid])
    model = Process(x, y, data.points.x.shape[-1], data.points.h.shape[-1])
    model.put(raw)
    return model


def exactly():
    """GPyTorch without its approximations: Cholesky factors at every size, no jitter unless a factor fails."""
    return gpytorch.settings.fast_computations(False, False, False)


def log_marginal_likelihood(model: Process) -> torch.Tensor:
    """ln p(y), of all rows together, in nats."""
    model.train()
    with exactly():
        found = model(*model.train_inputs)
        jitter = JITTER * float(torch.exp(model.covar_module.raw_outputscale.detach()))  # no gradient, as in ours
        found = gpytorch.distributions.MultivariateNormal(found.mean, found.lazy_covariance_matrix.add_jitter(jitter))
        return model.likelihood(found).log_prob(model.train_targets)


def log_posterior(model: Process) -> torch.Tensor:
    """With the log prior of `bgpbt.gp.fit`, up to a constant."""
    kernel = model.covar_module
    total = log_marginal_likelihood(model)
    for value, centre, spread in zip(model.raw(), *ours.prior(kernel.numeric, kernel.categories), strict=True):
        if value.numel():
            centre, spread = (torch.as_tensor(np.array(x, np.float64)).reshape(value.shape) for x in (centre, spread))
            total = total - 0.5 * (((value - centre) / spread) ** 2).sum()
    if kernel.numeric:
        centre = float(ours.prior(kernel.numeric, kernel.categories)[0].lengthscale[0])
        away = ((kernel.matern.raw_lengthscale[..., :-1] - centre) / ours.APART).sum()
        total = total + 0.5 * ours.shared(kernel.numeric) * away**2
    return total


def climb(starts: list[Params], data: Data, iterations: int) -> tuple[Params, float, bool]:
    """The most probable raw parameters from several starts, the first where none succeeds; their log posterior; success."""
    best, highest = starts[0], -np.inf
    for start in starts:
        model = process(start, data)
        tensors = [t for t in model.raw() if t.numel()]
        optimizer = torch.optim.LBFGS(tensors, max_iter=iterations, line_search_fn="strong_wolfe")

        def closure(optimizer=optimizer, model=model):
            optimizer.zero_grad()
            cost = -log_posterior(model)
            cost.backward()
            return cost

        try:
            optimizer.step(closure)
            value = float(log_posterior(model).detach())
        except (RuntimeError, ValueError):  # a factor that does not exist
            continue
        if np.isfinite(value) and value > highest:
            shapes = [np.shape(x) for x in start]
            best = Params(*(t.detach().numpy().reshape(s).copy() for t, s in zip(model.raw(), shapes, strict=True)))
            highest = value
    return best, highest, np.isfinite(highest)


def moments(raw: Params, data: Data, points: Point) -> tuple[np.ndarray, ...]:
    """Mean and variance `[K]` of the process at points `[K]`, without noise, and their derivatives by `x` `[K, D]`."""
    model, rows = process(raw, data), _rows(points).requires_grad_()
    with exactly():
        if len(model.train_targets) == 0:
            found = model.forward(rows)
        else:
            model.eval()
            found = model(rows)
        sums = found.mean.sum(), found.variance.sum()
        slopes = [torch.autograd.grad(s, rows, retain_graph=True, allow_unused=True)[0] for s in sums]
    numeric = points.x.shape[-1]
    slopes = [np.zeros(points.x.shape) if s is None else s[:, :numeric].numpy() for s in slopes]
    return found.mean.detach().numpy(), found.variance.detach().numpy(), *slopes


def _on_host(f: Callable, answer: PyTree, *args: PyTree, **kwargs) -> PyTree:
    """A call from a compiled program. What crosses is float32, as JAX's callbacks demand; each side computes in float64."""

    def single(tree):
        return jax.tree.map(lambda x: x.astype(np.float32) if x.dtype == np.float64 else x, tree)

    narrow = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, np.float32 if x.dtype == np.float64 else x.dtype), answer)
    found = jax.pure_callback(lambda *a: single(f(*jax.tree.map(np.asarray, a))), narrow, *single(args), **kwargs)
    return jax.tree.map(lambda x, like: x.astype(like.dtype), found, answer)


def fit(
    key: jax.Array, warm: Params, data: Data, *, number: int = ours.STARTS, iterations: int = ours.ITERATIONS
) -> tuple[Params, jax.Array, jax.Array]:
    """As `bgpbt.gp.fit.fit`, from the same starts, with PyTorch's L-BFGS."""

    def host(starts, data):
        raw, value, succeeded = climb([jax.tree.map(lambda x, i=i: x[i], starts) for i in range(number)], data, iterations)
        return raw, np.asarray(value), np.asarray(succeeded)

    answer = warm, data.y[0], jnp.array(True)
    return _on_host(host, answer, ours.starts(key, warm, number), data)


def condition(raw: Params, data: Data) -> tuple[Params, Data]:
    """What `predict` needs: GPyTorch conditions when it predicts."""
    return raw, data


@jax.custom_jvp
def predict(known: tuple[Params, Data], point: Point) -> tuple[jax.Array, jax.Array]:
    """As `bgpbt.gp.posterior.predict`; differentiable in `point.x`."""
    return _ask(known, point)[:2]


@predict.defjvp
def _predict_slope(primals, tangents):
    mean, variance, *slopes = _ask(*primals)
    return (mean, variance), tuple(jnp.sum(slope * tangents[1].x) for slope in slopes)


def _ask(known: tuple[Params, Data], point: Point) -> tuple[jax.Array, ...]:
    """`moments` of one point; a `vmap` over points asks for all of them at once."""

    def host(known, points):
        axes = points.t.ndim  # one for every `vmap`, of length 1 where nothing was mapped
        raw, data = jax.tree.map(lambda x: x.reshape(x.shape[axes:]), known)
        lead = np.broadcast_shapes(*(x.shape[:axes] for x in points))
        count = math.prod(lead)
        flat = jax.tree.map(lambda x: np.broadcast_to(x, lead + x.shape[axes:]).reshape(count, *x.shape[axes:]), points)
        return tuple(x.reshape(lead + x.shape[1:]) for x in moments(raw, data, flat))

    return _on_host(host, (point.t, point.t, point.x, point.x), known, point, vmap_method="expand_dims")
