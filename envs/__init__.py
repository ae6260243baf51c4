"""Environments by name. A new one is one file and one line here."""

from functools import partial

from envs import brax
from envs.base import Env, EnvState

ENVS = {name: partial(brax.make, name) for name in brax.NAMES}

__all__ = ["ENVS", "Env", "EnvState"]
