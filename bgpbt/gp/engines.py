"""Two engines of inference behind the same verbs: ours in JAX, and GPyTorch, imported only when it is asked for."""

import shlex
import sys
from collections.abc import Callable
from typing import NamedTuple

from bgpbt.gp import fit, posterior
from bgpbt.gp.kernels import Params
from bgpbt.options import BadInput

INSTALL = f"{shlex.quote(sys.executable)} -m pip install torch gpytorch --extra-index-url https://download.pytorch.org/whl/cpu"


class Engine(NamedTuple):
    """Inference. Both parts can be traced; `raw` are unconstrained parameters (`bgpbt.gp.fit.natural`)."""

    fit: Callable  # (key, last raw, data) -> raw, log posterior [], succeeded [] bool
    condition: Callable  # (raw, data) -> what `predict` needs
    predict: Callable  # (that, point) -> mean [], variance [] of the process, without the noise of an observation


def _condition(raw: Params, data: posterior.Data) -> posterior.Posterior:
    return posterior.condition(fit.natural(raw), data)


def engine(name: str) -> Engine:
    """The engine `jax` or `gpytorch`.

    Raises:
      BadInput: GPyTorch is not installed.
    """
    if name == "jax":
        return Engine(fit.fit, _condition, posterior.predict)
    try:
        from bgpbt.gp import gpytorch_engine
    except ImportError:
        raise BadInput(f"gp: gpytorch is not installed, run: {INSTALL}", "gp") from None
    return Engine(gpytorch_engine.fit, gpytorch_engine.condition, gpytorch_engine.predict)
