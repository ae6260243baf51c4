"""The one place that computes in float64.

A marginal likelihood in float32 is not exact enough at small noise. The global flag
stays off, so that no training program is ever traced in another precision.
"""

from collections.abc import Callable
from functools import cache, partial, wraps

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg  # noqa: F401, `_libraries` has to find JAX's factorisations
from threadpoolctl import ThreadpoolController

from bgpbt.types import PyTree


def _cast(tree: PyTree, wide: bool) -> PyTree:
    old, new = (np.float32, np.float64) if wide else (np.float64, np.float32)
    return jax.tree.map(lambda x: x.astype(new) if x.dtype == old else x, tree)


@cache
def _libraries() -> ThreadpoolController:
    """The numerical libraries that are loaded.

    JAX factorises with SciPy's BLAS, whose idle threads spin against other work.
    """
    return ThreadpoolController()


def float64(f: Callable) -> Callable:
    """Compiles `f` and computes it in float64 on the host's processor.

    Args:
      f: can be traced; takes positional arguments.

    Returns:
      A function of the same arguments. Its float arguments and results are float32
      NumPy arrays.
    """

    # One thread: the matrices are small, and XLA's CPU thread pool is known to wedge
    # where programs like these are batched.
    @partial(jax.jit, compiler_options={"xla_cpu_multi_thread_eigen": False})
    def compiled(*args):
        return _cast(f(*_cast(jax.tree.map(jnp.asarray, args), wide=True)), wide=False)

    @wraps(f)
    def call(*args):
        args = jax.tree.map(np.asarray, args)
        device = jax.local_devices(backend="cpu")[0]
        with (
            jax.enable_x64(True),
            jax.default_device(device),
            _libraries().limit(limits=1, user_api="blas"),
        ):
            return jax.tree.map(np.asarray, compiled(*args))

    return call
