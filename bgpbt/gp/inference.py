"""Inference of the Gaussian process: this package in JAX, or GPyTorch.

GPyTorch is imported only when it is asked for.
"""

import shlex
import sys
from typing import NamedTuple, Protocol

from bgpbt.config.errors import BadInput
from bgpbt.gp import fit, posterior
from bgpbt.gp.kernels import Params, Point
from bgpbt.gp.posterior import Data
from bgpbt.types import Array, Key, PyTree

INSTALL = (
    f"{shlex.quote(sys.executable)} -m pip install torch gpytorch"
    " --extra-index-url https://download.pytorch.org/whl/cpu"
)


class Fit(Protocol):
    """Fits the parameters of the Gaussian process. It can be traced."""

    def __call__(
        self, key: Key, warm: Params, data: Data
    ) -> tuple[Params, Array, Array]:
        """Finds the most probable parameters.

        Args:
          key: PRNG key, consumed.
          warm: the last unconstrained parameters.
          data: the observations.

        Returns:
          Unconstrained parameters, their log posterior `[]`, and whether the fit
          succeeded `[]`, bool.
        """
        ...


class Condition(Protocol):
    """Conditions the Gaussian process on observations. It can be traced."""

    def __call__(self, raw: Params, data: Data) -> PyTree:
        """Prepares predictions.

        Args:
          raw: unconstrained parameters, see `bgpbt.gp.fit.natural`.
          data: the observations.

        Returns:
          The posterior, in the form that `Predict` takes.
        """
        ...


class Predict(Protocol):
    """Predicts one point. It can be traced and differentiated in `point.numeric`."""

    def __call__(self, posterior: PyTree, point: Point) -> tuple[Array, Array]:
        """Predicts the Gaussian process at one point.

        Args:
          posterior: from `Condition`.
          point: one input.

        Returns:
          Mean and variance, without the noise of an observation. Shapes `[]`.
        """
        ...


class Inference(NamedTuple):
    """The three functions of a Gaussian process that the bandit needs."""

    fit: Fit
    condition: Condition
    predict: Predict


def _condition(raw: Params, data: Data) -> posterior.Posterior:
    return posterior.condition(fit.natural(raw), data)


def make_inference(name: str) -> Inference:
    """Builds the inference of that name.

    Args:
      name: `jax` or `gpytorch`.

    Raises:
      BadInput: GPyTorch is not installed.
    """
    if name == "jax":
        return Inference(fit.fit, _condition, posterior.predict)
    try:
        from bgpbt.gp import gpytorch_inference
    except ImportError:
        raise BadInput(f"gp: gpytorch is not installed, run: {INSTALL}", "gp") from None
    return Inference(
        gpytorch_inference.fit, gpytorch_inference.condition, gpytorch_inference.predict
    )
