"""The one door to float64: a marginal likelihood in float32 is not exact enough at small noise.

The global flag stays off, so that no training program is ever traced in another precision.
"""

from collections.abc import Callable
from functools import cache, partial, wraps

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg  # noqa: F401, JAX's factorisations, which the controller below has to find
from threadpoolctl import ThreadpoolController


def _cast(tree, wide: bool):
    old, new = (np.float32, np.float64) if wide else (np.float64, np.float32)
    return jax.tree.map(lambda x: x.astype(new) if x.dtype == old else x, tree)


@cache
def _libraries() -> ThreadpoolController:
    """The numerical libraries that are loaded: JAX factorises with SciPy's BLAS, whose idle threads spin against other work."""
    return ThreadpoolController()


def float64(f: Callable) -> Callable:
    """`f` compiled, computed in float64 on the host's processor. Float arguments and results are float32 NumPy arrays."""

    # One thread: the matrices are small, and XLA's CPU thread pool is known to wedge where programs like these are batched.
    @partial(jax.jit, compiler_options={"xla_cpu_multi_thread_eigen": False})
    def compiled(*args):
        return _cast(f(*_cast(jax.tree.map(jnp.asarray, args), wide=True)), wide=False)

    @wraps(f)
    def call(*args):
        args = jax.tree.map(np.asarray, args)
        device = jax.local_devices(backend="cpu")[0]
        with jax.enable_x64(True), jax.default_device(device), _libraries().limit(limits=1, user_api="blas"):
            return jax.tree.map(np.asarray, compiled(*args))

    return call
