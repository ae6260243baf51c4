"""Many environments of one member: clocks, endings, fresh starts, full episodes.

`G` environments; `O` and `A` are the sizes of an observation and of an action.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from bgpbt.environment import Env, EnvState
from bgpbt.types import Array, Key, Policy, PyTree


class EpisodeState(NamedTuple):
    """Environments and their running episodes."""

    env: EnvState  # [G, ...]
    clock: Array  # [G] int32, decisions into the episode
    # [G] what the running episode gave so far, as `gained` says
    episode_return: PyTree
    complete: Array  # [G] bool, the episode began at clock 0
    carry: PyTree = ()  # [G, ...] of the policy that acts there


class StepInfo(NamedTuple):
    """What one decision in every environment gave."""

    reward: Array  # [G]
    terminated: Array  # [G] 0 or 1
    truncated: Array  # [G] 0 or 1, never with `terminated`
    # [G] what the complete episode gave that ended at this step, else NaN.
    finished_return: PyTree
    metrics: dict[str, Array] | tuple[()] = ()  # each [G]


class Played(NamedTuple):
    """Complete episodes."""

    gained: PyTree  # [E] what each gave, as `gained` says
    decisions: Array  # [E] int32, how long each was
    env_steps: Array  # [] int32, simulated until all had ended


def gained(reward: Array, metrics: dict[str, Array] | tuple[()]) -> PyTree:
    """What steps add to their episodes: rewards; with an objective, both by name."""
    if not metrics:
        return reward
    (objective,) = metrics.values()
    return {"objective": objective, "return": reward}


def for_each(carry: PyTree, count: int) -> PyTree:
    """The carry of one episode for many."""
    return jax.tree.map(lambda x: jnp.broadcast_to(x, (count, *jnp.shape(x))), carry)


def start(
    key: Key, env: Env, count: int, *, staggered: bool, carry: PyTree = ()
) -> EpisodeState:
    """Resets environments.

    Args:
      key: PRNG key, consumed.
      env: the environment.
      count: number of environments G.
      staggered: spread the clocks evenly, so that no round sees all cut-offs at once.
      carry: with which an episode begins.
    """
    state = jax.vmap(env.reset)(jax.random.split(key, count))
    length = env.decisions_per_episode if staggered else 0
    clock = jnp.arange(count, dtype=jnp.int32) * length // count
    no_return = jax.tree.map(jnp.zeros_like, gained(state.reward, state.metrics))
    return EpisodeState(state, clock, no_return, clock == 0, for_each(carry, count))


def advance(
    env: Env,
    env_state: EpisodeState,
    action: Array,
    start_states: EnvState,
    row: Array,
    carry: PyTree = (),
) -> tuple[EpisodeState, StepInfo]:
    """Takes one decision everywhere, and restarts environments whose episode ends.

    Args:
      env: the environment.
      env_state: before the step, with the carry after the policy has acted.
      action: in [-1, 1], shape `[G, A]`, or choices, shape `[G]`.
      start_states: any number of them, on the leading axis.
      row: which start state an environment continues from. Shape `[G]`, int32.
      carry: with which an episode begins.

    Returns:
      The environments after the step, and what the step gave.
    """
    state = jax.vmap(env.step)(env_state.env, action)
    clock = env_state.clock + 1
    episode_return = jax.tree.map(
        jnp.add, env_state.episode_return, gained(state.reward, state.metrics)
    )
    terminated = state.terminated
    timed_out = state.over | (clock >= env.decisions_per_episode)
    truncated = timed_out & ~terminated
    done = terminated | truncated
    info = StepInfo(
        reward=state.reward,
        terminated=terminated.astype(state.reward.dtype),
        truncated=truncated.astype(state.reward.dtype),
        finished_return=jax.tree.map(
            lambda x: jnp.where(done & env_state.complete, x, jnp.nan), episode_return
        ),
        metrics=state.metrics,
    )

    def restart(state: EnvState) -> EnvState:
        return jax.tree.map(
            lambda new, old: _select(done, new[row], old), start_states, state
        )

    # Most decisions end no episode; a chunk of one then skips the gather.
    state = jax.lax.cond(jnp.any(done), restart, lambda state: state, state)
    env_state = EpisodeState(
        env=state._replace(
            terminated=jnp.zeros_like(terminated),
            truncated=jax.tree.map(jnp.zeros_like, state.truncated),
        ),
        clock=jnp.where(done, 0, clock),
        episode_return=jax.tree.map(lambda x: jnp.where(done, 0, x), episode_return),
        complete=done | env_state.complete,
        carry=jax.tree.map(
            lambda new, old: _select(done, new, old), carry, env_state.carry
        ),
    )
    return env_state, info


def _select(mask: Array, x: Array, y: Array) -> Array:
    return jnp.where(mask.reshape(mask.shape + (1,) * (y.ndim - 1)), x, y)


def play(key: Key, env: Env, policy: Policy, count: int) -> Played:
    """Plays complete episodes without noise, from fresh starts.

    Args:
      key: PRNG key, consumed.
      env: the environment.
      policy: what acts.
      count: number of episodes E.
    """
    env_state = start(key, env, count, staggered=False, carry=policy.carry)

    def running(carry: tuple) -> Array:
        *_, alive, clock = carry
        return (clock < env.decisions_per_episode) & jnp.any(alive)

    def body(carry: tuple) -> tuple:
        state, memory, total, decisions, alive, clock = carry
        memory, dist = policy(memory, state.obs)
        state = jax.vmap(env.step)(state, dist.mode())
        total = jax.tree.map(
            lambda so_far, x: so_far + jnp.where(alive, x, 0),
            total,
            gained(state.reward, state.metrics),
        )
        alive, decisions = alive & ~state.over, decisions + alive
        return state, memory, total, decisions, alive, clock + 1

    carry = (
        env_state.env,
        env_state.carry,
        env_state.episode_return,
        jnp.zeros(count, jnp.int32),
        jnp.ones(count, bool),
        jnp.zeros((), jnp.int32),
    )
    _, _, total, decisions, _, clock = jax.lax.while_loop(running, body, carry)
    return Played(total, decisions, clock * (count * env.action_repeat))


class Filmed(NamedTuple):
    """Moments of an episode. `T` frames."""

    # Positions [T, L, 3] and rotations [T, L, 4] of the L bodies.
    pose: tuple[Array, Array]
    reward: Array  # [T] from this frame to the next
    over: Array  # [T] bool, the episode ended in between


def record_poses(
    key: Key,
    env: Env,
    policy: Policy,
    num_frames: int,
    decisions_per_frame: int,
) -> Filmed:
    """Records the poses of one episode, for rendering.

    An episode that ends early starts again.

    Args:
      key: PRNG key, consumed.
      env: an environment with bodies.
      policy: what acts, without noise.
      num_frames: number of frames T.
      decisions_per_frame: actions between two frames.
    """

    pose_of = env.pose
    if pose_of is None:
        raise ValueError(f"{env.name} has no bodies")

    def decide(_: Array, now: tuple) -> tuple:
        (state, carry), reward = now
        carry, dist = policy(carry, state.obs)
        state = env.step(state, dist.mode())
        return (state, carry), reward + state.reward

    def begin(key: Key) -> tuple[EnvState, PyTree]:
        return env.reset(key), policy.carry

    def frame(now: tuple[EnvState, PyTree], key: Key) -> tuple:
        pose = pose_of(now[0])
        none = jnp.zeros_like(now[0].reward)
        now, reward = jax.lax.fori_loop(0, decisions_per_frame, decide, (now, none))
        over = now[0].over
        now = jax.lax.cond(over, lambda: begin(key), lambda: now)
        return now, Filmed(pose, reward, over)

    keys = jax.random.split(key, num_frames + 1)
    return jax.lax.scan(frame, begin(keys[0]), keys[1:])[1]
