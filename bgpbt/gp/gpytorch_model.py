"""The Gaussian process as a GPyTorch model (Gardner et al., 2018).

Kernels are GPyTorch's own where it has them; constraints are chosen so that its raw
parameters are those of `bgpbt.gp.kernels`.
"""

import gpytorch
import numpy as np
import torch
from gpytorch.constraints import GreaterThan, Interval, Positive

from bgpbt.gp.fit import MIN_NOISE
from bgpbt.gp.kernels import Params, Point
from bgpbt.gp.posterior import Data


class CategoryKernel(gpytorch.kernels.Kernel):
    """exp(-sum of the weights of the categories that differ)."""

    def __init__(self, categories: int):
        super().__init__()
        self.register_parameter(
            "raw_weight", torch.nn.Parameter(torch.zeros(categories))
        )
        self.register_constraint("raw_weight", Positive(torch.exp, torch.log))

    def forward(self, x1: torch.Tensor, x2: torch.Tensor, diag: bool = False, **_):
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

    def forward(self, x1: torch.Tensor, x2: torch.Tensor, diag: bool = False, **_):
        """Covariance of columns of times."""
        lag = x1 - x2 if diag else x1.unsqueeze(-2) - x2.unsqueeze(-3)
        remembered = 1 - self.raw_eps_constraint.transform(self.raw_eps)
        return remembered ** (lag.abs().squeeze(-1) / 2)


class Mixture(gpytorch.kernels.Kernel):
    """The whole kernel.

    Sum and product of the numeric and the categorical kernel, times forgetting, times
    the outputscale.
    """

    def __init__(self, numeric: int, categories: int):
        super().__init__()
        self.numeric = numeric
        self.categories = categories
        if numeric:
            self.matern = gpytorch.kernels.MaternKernel(
                nu=2.5,
                ard_num_dims=numeric,
                lengthscale_constraint=Positive(torch.exp, torch.log),
            )
        if categories:
            self.category_kernel = CategoryKernel(categories)
        self.forgetting = Forgetting()
        for name, constraint in (
            ("mixture_weight", Interval(0.0, 1.0)),
            ("outputscale", Positive(torch.exp, torch.log)),
        ):
            self.register_parameter(f"raw_{name}", torch.nn.Parameter(torch.zeros(())))
            self.register_constraint(f"raw_{name}", constraint)

    def forward(self, x1: torch.Tensor, x2: torch.Tensor, diag: bool = False, **_):
        """Covariance of rows [numeric, categories, time]."""
        d = self.numeric
        c = self.numeric + self.categories

        def dense(kernel, a, b):
            return kernel(a, b, diag=True) if diag else kernel(a, b).to_dense()

        if not self.categories:
            both = dense(self.matern, x1[..., :d], x2[..., :d])
        elif not d:
            both = dense(self.category_kernel, x1[..., d:c], x2[..., d:c])
        else:
            numeric = dense(self.matern, x1[..., :d], x2[..., :d])
            categorical = dense(self.category_kernel, x1[..., d:c], x2[..., d:c])
            weight = self.raw_mixture_weight_constraint.transform(
                self.raw_mixture_weight
            )
            both = (1 - weight) * (
                numeric + categorical
            ) / 2 + weight * numeric * categorical
        outputscale = self.raw_outputscale_constraint.transform(self.raw_outputscale)
        return outputscale * both * dense(self.forgetting, x1[..., c:], x2[..., c:])


class Process(gpytorch.models.ExactGP):
    """The Gaussian process, conditioned on rows [numeric, categories, time]."""

    def __init__(self, x: torch.Tensor, y: torch.Tensor, numeric: int, categories: int):
        noise = GreaterThan(MIN_NOISE, torch.exp, torch.log)
        super().__init__(
            x, y, gpytorch.likelihoods.GaussianLikelihood(noise_constraint=noise)
        )
        self.mean_module = gpytorch.means.ConstantMean()
        self.covar_module = Mixture(numeric, categories)
        self.double()

    def forward(self, x: torch.Tensor) -> gpytorch.distributions.MultivariateNormal:
        """The prior at rows `x`."""
        return gpytorch.distributions.MultivariateNormal(
            self.mean_module(x), self.covar_module(x)
        )

    def raw(self) -> Params:
        """Its unconstrained parameters: tensors that know their gradients."""
        kernel = self.covar_module
        empty = torch.zeros(0, dtype=torch.float64)
        return Params(
            mean=self.mean_module.raw_constant,
            outputscale=kernel.raw_outputscale,
            noise=self.likelihood.noise_covar.raw_noise,
            lengthscale=kernel.matern.raw_lengthscale if kernel.numeric else empty,
            category_weights=(
                kernel.category_kernel.raw_weight if kernel.categories else empty
            ),
            mixture_weight=kernel.raw_mixture_weight,
            eps=kernel.forgetting.raw_eps,
        )

    def set_raw(self, values: Params) -> None:
        """Takes over unconstrained parameters."""
        with torch.no_grad():
            for tensor, value in zip(self.raw(), values, strict=True):
                if tensor.numel():
                    tensor.copy_(
                        torch.as_tensor(np.array(value, np.float64)).reshape(
                            tensor.shape
                        )
                    )


def rows_of(points: Point) -> torch.Tensor:
    """Points as rows [numeric, categories, time]."""
    columns = [
        np.array(points.numeric, float),
        np.array(points.categories, float),
        np.array(points.time, float)[..., None],
    ]
    return torch.as_tensor(np.concatenate(columns, axis=-1))


def process(raw: Params, data: Data) -> Process:
    """Builds the model of the valid rows.

    Args:
      raw: unconstrained parameters.
      data: the observations.
    """
    valid = np.array(data.valid)
    model = Process(
        rows_of(data.points)[torch.as_tensor(valid)],
        torch.as_tensor(np.array(data.y, float)[valid]),
        data.points.numeric.shape[-1],
        data.points.categories.shape[-1],
    )
    model.set_raw(raw)
    return model
