"""Brax's swimmer, repaired: Brax 0.14.2 calls `jnp.clip` as JAX no longer allows."""

from types import SimpleNamespace

import jax.numpy as jnp
from brax import fluid
from brax.envs.swimmer import Swimmer

# Brax refuses the others.
BACKENDS = ("generalized",)


def make(backend: str) -> Swimmer:
    """Builds the environment on a physics pipeline."""
    # The one module that calls it gets a `jnp` of its own.
    fluid.jp = SimpleNamespace(**vars(jnp) | {"clip": _clip})  # pyrefly: ignore
    return Swimmer(backend=backend)


def _clip(x, a_min=None, a_max=None):
    """`jnp.clip` with the names that its arguments had."""
    return jnp.clip(x, a_min, a_max)
