"""Probe environments, each of which isolates one thing that a learner must get right.

After the probes of Andy Jones and of rejax: a broken loss names itself in seconds,
without a simulator.

- `constant`: the value of a constant reward.
- `observed`: a value that depends on the observation.
- `delayed`: discounting.
- `action`: the choice of an action.
- `both`: an action that depends on the observation.
- `remembered`: an action that depends on what was observed when the episode began.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from bgpbt.environment import Env, EnvState

Array = jax.Array


def _probe(
    name: str,
    reward: Callable[[Array, Array, Array], Array],
    *,
    length: int = 1,
    hides: bool = False,
) -> Env:
    """Builds a probe whose observation is a random sign and the clock.

    Args:
      name: of the environment.
      reward: (sign, action, clock) -> the step's reward, each `[]`.
      length: steps of an episode.
      hides: the sign is observed only when an episode begins, and is 0 afterwards.
    """

    def reset(key: Array) -> EnvState:
        sign = jax.random.rademacher(key, (), dtype=jnp.zeros(()).dtype)
        zero = jnp.zeros_like(sign)
        obs = jnp.stack([sign, zero])
        return EnvState((sign, zero), obs, zero, jnp.zeros((), bool))

    def step(state: EnvState, action: Array) -> EnvState:
        sign, clock = state.physics
        value = reward(sign, action[0], clock)
        clock = clock + 1
        obs = jnp.stack([jnp.zeros_like(sign) if hides else sign, clock])
        value = jnp.asarray(value, sign.dtype)
        return EnvState((sign, clock), obs, value, clock >= length)

    return Env(
        name=name,
        observation_size=2,
        action_size=1,
        # Far behind the environment's own end, so that every end is a termination.
        episode_length=1000,
        action_repeat=1,
        seconds_per_step=1.0,
        reset=reset,
        step=step,
    )


def constant() -> Env:
    """Every episode is one step and pays 1."""
    return _probe("constant", lambda sign, action, clock: jnp.ones_like(sign))


def observed() -> Env:
    """Every episode is one step and pays the sign that is observed."""
    return _probe("observed", lambda sign, action, clock: sign)


def delayed() -> Env:
    """Two steps, of which the second pays 1.

    The first state is worth the discount factor.
    """
    return _probe(
        "delayed", lambda sign, action, clock: jnp.where(clock > 0, 1.0, 0.0), length=2
    )


def action() -> Env:
    """One step; the best action is +0.5."""
    return _probe("action", lambda sign, action, clock: 1 - (action - 0.5) ** 2)


def both() -> Env:
    """One step; the best action is half the observed sign."""
    return _probe("both", lambda sign, action, clock: 1 - (action - 0.5 * sign) ** 2)


def remembered() -> Env:
    """Eight steps; the last pays its action times the sign that the first one showed.

    Without memory, every policy gets 0 on average; the best gets 1.
    """
    last = 7
    return _probe(
        "remembered",
        lambda sign, action, clock: jnp.where(clock == last, sign * action, 0.0),
        length=last + 1,
        hides=True,
    )


PROBES = {
    "constant": constant,
    "observed": observed,
    "delayed": delayed,
    "action": action,
    "both": both,
    "remembered": remembered,
}
