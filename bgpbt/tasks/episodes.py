"""Many environments of one member: clocks, endings, fresh starts, whole episodes. `G` environments, `O`, `A` sizes."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from bgpbt.compilation import quick_to_compile
from envs.base import Env, EnvState

Array = jax.Array


class World(NamedTuple):
    """Environments and their running episodes."""

    env: EnvState  # [G, ...]
    clock: Array  # [G] int32, decisions into the episode
    episode_return: Array  # [G] rewards of the running episode so far
    whole: Array  # [G] bool, the episode began at clock 0


class Step(NamedTuple):
    """What one decision in every environment gave."""

    reward: Array  # [G]
    terminated: Array  # [G] 0 or 1
    truncated: Array  # [G] 0 or 1, never with `terminated`
    finished_return: Array  # [G] return of the whole episode that ended here, else NaN


def start(key: Array, env: Env, count: int, *, staggered: bool) -> World:
    """Resets `count` environments. Staggered clocks spread the cut-offs evenly, so that no round sees them all at once."""
    state = jax.vmap(env.reset)(jax.random.split(key, count))
    clock = jnp.arange(count, dtype=jnp.int32) * (env.decisions_per_episode if staggered else 0) // count
    return World(state, clock, jnp.zeros(count, state.reward.dtype), clock == 0)


def advance(env: Env, world: World, action: Array, bank: EnvState, row: Array) -> tuple[World, Step]:
    """One decision everywhere; an environment whose episode ends continues from its row of the bank.

    Args:
      env: the environment.
      world: before the step.
      action: in [-1, 1]. Shape `[G, A]`.
      bank: start states, any number of them.
      row: which of them is whose. Shape `[G]`, int32.
    """
    state = jax.vmap(env.step)(world.env, action)
    clock = world.clock + 1
    episode_return = world.episode_return + state.reward
    terminated = state.terminated
    truncated = (clock >= env.decisions_per_episode) & ~terminated
    done = terminated | truncated
    step = Step(
        reward=state.reward,
        terminated=terminated.astype(state.reward.dtype),
        truncated=truncated.astype(state.reward.dtype),
        finished_return=jnp.where(done & world.whole, episode_return, jnp.nan),
    )

    def restart(state: EnvState) -> EnvState:
        return jax.tree.map(lambda new, old: _select(done, new[row], old), bank, state)

    # Most decisions end no episode, and a chunk of one then skips the look into the bank.
    state = jax.lax.cond(jnp.any(done), restart, lambda state: state, state)
    return World(
        env=state._replace(terminated=jnp.zeros_like(terminated)),
        clock=jnp.where(done, 0, clock),
        episode_return=jnp.where(done, 0, episode_return),
        whole=done | world.whole,
    ), step


def _select(mask: Array, x: Array, y: Array) -> Array:
    return jnp.where(mask.reshape(mask.shape + (1,) * (x.ndim - 1)), x, y)


def play(key: Array, env: Env, act: Callable[[Array], Array], count: int) -> tuple[Array, Array]:
    """Plays `count` whole episodes from fresh starts.

    Args:
      key: PRNG key, consumed.
      env: the environment.
      act: observations `[E, O]` to actions `[E, A]`.
      count: number of episodes E.

    Returns:
      Returns, shape `[E]`, and the environment steps simulated, shape `[]`, int32.
    """
    world = start(key, env, count, staggered=False)

    def going(carry):
        _, _, alive, clock = carry
        return (clock < env.decisions_per_episode) & jnp.any(alive)

    def body(carry):
        state, total, alive, clock = carry
        state = jax.vmap(env.step)(state, act(state.obs))
        total = total + jnp.where(alive, state.reward, 0)
        return state, total, alive & ~state.terminated, clock + 1

    carry = (world.env, world.episode_return, jnp.ones(count, bool), jnp.zeros((), jnp.int32))
    _, total, _, clock = jax.lax.while_loop(going, body, carry)
    return total, clock * (count * env.action_repeat)


def film(key: Array, env: Env, act: Callable[[Array], Array], count: int, decisions: int) -> tuple[Array, Array]:
    """Poses of one episode, for drawing; an episode that ends early starts again.

    Args:
      key: PRNG key, consumed.
      env: an environment with bodies.
      act: an observation `[O]` to an action `[A]`.
      count: number of frames T.
      decisions: actions between two frames.

    Returns:
      Positions `[T, L, 3]` and rotations `[T, L, 4]` of the bodies.
    """

    def decide(_, state):
        return env.step(state, act(state.obs))

    def frame(state, key):
        pose = env.pose(state)
        state = jax.lax.fori_loop(0, decisions, decide, state)
        return jax.lax.cond(state.terminated, lambda: env.reset(key), lambda: state), pose

    def record(keys):
        return jax.lax.scan(frame, env.reset(keys[0]), keys[1:])[1]

    return jax.jit(record, compiler_options=quick_to_compile())(jax.random.split(key, count + 1))
