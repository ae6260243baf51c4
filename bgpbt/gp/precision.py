"""The one door to float64: a marginal likelihood in float32 is not exact enough at small noise.

The global flag stays off, so that no training program is ever traced in another precision.
"""

from collections.abc import Callable
from functools import wraps

import jax
import jax.numpy as jnp
import numpy as np


def _cast(tree, wide: bool):
    old, new = (np.float32, np.float64) if wide else (np.float64, np.float32)
    return jax.tree.map(lambda x: x.astype(new) if x.dtype == old else x, tree)


def float64(f: Callable) -> Callable:
    """`f` compiled, computed in float64 on the host's processor. Float arguments and results are float32 NumPy arrays."""

    @jax.jit
    def compiled(*args):
        return _cast(f(*_cast(jax.tree.map(jnp.asarray, args), wide=True)), wide=False)

    @wraps(f)
    def call(*args):
        args = jax.tree.map(np.asarray, args)
        with jax.enable_x64(True), jax.default_device(jax.local_devices(backend="cpu")[0]):
            return jax.tree.map(np.asarray, compiled(*args))

    return call
