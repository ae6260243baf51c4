"""Probe environments, each isolating one thing a learner must get right (after rejax's and Andy Jones's probes).

A broken loss names itself in seconds, without a simulator:
`constant`: the value of a constant reward; `observed`: a value that depends on the observation; `delayed`: discounting;
`action`: the choice of an action; `both`: an action that depends on the observation.
"""

import jax
import jax.numpy as jnp

from envs.base import Env, EnvState


def _probe(name: str, reward, *, length: int = 1) -> Env:
    """Episodes of `length` steps; `reward(obs, action, step)` is the step's; obs is one random sign and the clock."""

    def reset(key):
        sign = jax.random.rademacher(key, (), dtype=jnp.zeros(()).dtype)
        zero = jnp.zeros_like(sign)
        return EnvState((sign, zero), jnp.stack([sign, zero]), zero, jnp.zeros((), bool))

    def step(state, action):
        sign, clock = state.physics
        value = reward(sign, action[0], clock)
        clock = clock + 1
        obs = jnp.stack([sign, clock])
        return EnvState((sign, clock), obs, jnp.asarray(value, sign.dtype), clock >= length)

    # The trainer's own cut-off lies far behind the environment's end, so that every end is a termination.
    return Env(name, 2, 1, 1000, 1, 1.0, reset, step)


def constant() -> Env:
    """Every episode is one step and pays 1."""
    return _probe("constant", lambda sign, action, clock: jnp.ones_like(sign))


def observed() -> Env:
    """Every episode is one step and pays the sign that is observed."""
    return _probe("observed", lambda sign, action, clock: sign)


def delayed() -> Env:
    """Two steps, of which the second pays 1: the first state is worth the discount factor."""
    return _probe("delayed", lambda sign, action, clock: jnp.where(clock > 0, 1.0, 0.0), length=2)


def action() -> Env:
    """One step; the best action is +0.5."""
    return _probe("action", lambda sign, action, clock: 1 - (action - 0.5) ** 2)


def both() -> Env:
    """One step; the best action is half the observed sign."""
    return _probe("both", lambda sign, action, clock: 1 - (action - 0.5 * sign) ** 2)


PROBES = {"constant": constant, "observed": observed, "delayed": delayed, "action": action, "both": both}
