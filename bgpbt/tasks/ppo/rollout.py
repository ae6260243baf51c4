"""Rollouts: a member's policy acts in its environments, and episodes are counted.

Shapes: `T` decisions of a rollout, `G` environments that a member learns from, `E`
environments that only measure; `O` and `A` are the sizes of an observation and of an
action.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from bgpbt.environment import EnvState
from bgpbt.tasks.ppo import episodes, normalizer
from bgpbt.tasks.ppo.actor_critic import BLOCKS
from bgpbt.tasks.ppo.episodes import EpisodeState, StepInfo
from bgpbt.tasks.ppo.experience import Experience
from bgpbt.tasks.ppo.exported import policy_arrays
from bgpbt.tasks.ppo.settings import PPOSettings
from bgpbt.tasks.ppo.spaces import ROLLOUT_LENGTH
from bgpbt.types import Array, Hyperparams, Key, Policy, PyTree, TrainState


class RoundInputs(NamedTuple):
    """What all rollouts of a round share."""

    start_states: EnvState  # [G, ...] where new episodes start
    eval_policy: Policy | None  # None: no environments only measure
    # observations [..., O] -> outputs of the teacher's network; None: no teacher
    teacher_outputs: Callable[[Array], Array] | None


def policy_of(
    settings: PPOSettings, state: TrainState, hyperparams: Hyperparams
) -> Policy:
    """A member's policy.

    Args:
      settings: what is static.
      state: the member.
      hyperparams: natural values by name, fixed ones or not.
    """
    hyperparams = settings.fixed | hyperparams
    layers, _ = settings.networks.layers(state.params, state.opt_state, hyperparams)
    policy = _policy(settings, state, layers, hyperparams, "policy")
    arrays = partial(policy_arrays, settings, state, layers, hyperparams)
    return policy._replace(arrays=arrays)


def outputs_of(
    settings: PPOSettings, state: TrainState, hyperparams: Hyperparams
) -> Callable[[Array], Array]:
    """What the policy network of a member without memory gives for `[..., O]`.

    Args:
      settings: what is static.
      state: the member.
      hyperparams: natural values by name, fixed ones or not.
    """
    hyperparams = settings.fixed | hyperparams
    layers, _ = settings.networks.layers(state.params, state.opt_state, hyperparams)
    return lambda obs: _act(settings, state, layers, hyperparams, (), obs)[1]


def _act(
    settings: PPOSettings,
    state: TrainState,
    layers: PyTree,
    hyperparams: Hyperparams,
    carry: PyTree,
    obs: Array,
) -> tuple[PyTree, Array]:
    obs = normalizer.normalise(state.statistics, obs)
    return settings.networks.act(layers, carry, obs, hyperparams)


def _policy(
    settings: PPOSettings,
    state: TrainState,
    layers: PyTree,
    hyperparams: Hyperparams,
    *blocks: str,
) -> Policy:
    """What acts, and carries what these blocks remember."""

    def act(carry: PyTree, obs: Array) -> tuple[PyTree, Any]:
        carry, outputs = _act(settings, state, layers, hyperparams, carry, obs)
        return carry, settings.distribution.from_outputs(outputs)

    return Policy(act, settings.networks.begin(*blocks))


def start(settings: PPOSettings, key: Key, hyperparams: Hyperparams) -> EpisodeState:
    """Resets a member's environments; those that only measure come last.

    Args:
      settings: what is static.
      key: PRNG key, consumed.
      hyperparams: natural values by name, fixed ones or not.
    """
    key_train, key_eval = jax.random.split(key)
    env = settings.training_env(hyperparams)
    begin = partial(episodes.start, env=env, carry=settings.networks.begin(*BLOCKS))
    env_state = begin(key_train, count=settings.num_envs, staggered=True)
    if not settings.num_eval_envs:
        return env_state
    eval_state = begin(key_eval, count=settings.num_eval_envs, staggered=False)
    return jax.tree.map(_join, env_state, eval_state)


def _draw(settings: PPOSettings, key: Key) -> tuple[Array, Array]:
    """Noise of the actions `[T, G, A]`, and rows of start states `[T, G + E]`."""
    num_envs = settings.num_envs
    key_noise, key_rows = jax.random.split(key)
    noise_shape = (ROLLOUT_LENGTH, num_envs, settings.env.action_size)
    noise = settings.distribution.noise(key_noise, noise_shape)
    rows_shape = (ROLLOUT_LENGTH, num_envs + settings.num_eval_envs)
    return noise, jax.random.randint(key_rows, rows_shape, 0, num_envs)


def rollout(
    settings: PPOSettings,
    key: Key,
    state: TrainState,
    layers: PyTree,
    hyperparams: Hyperparams,
    inputs: RoundInputs,
) -> tuple[EpisodeState, Experience, StepInfo]:
    """Plays `ROLLOUT_LENGTH` decisions in all environments.

    Args:
      settings: what is static.
      key: PRNG key, consumed.
      state: the member.
      layers: of `settings.networks.layers`.
      hyperparams: natural values by name.
      inputs: what all rollouts of the round share.

    Returns:
      The environments afterwards, what to learn from, and what each step gave,
      `[T, G + E]`.
    """
    env = settings.training_env(hyperparams)
    num_envs = settings.num_envs
    noise, rows = _draw(settings, key)
    policy = _policy(settings, state, layers, hyperparams, *BLOCKS)

    def decide(env_state: EpisodeState, drawn: tuple) -> tuple[EpisodeState, tuple]:
        noise, row = drawn
        obs = env_state.env.obs[:num_envs]
        learning, measuring = _split(env_state.carry, num_envs)
        carry, dist = policy(learning, obs)
        raw_action = dist.sample(noise)
        action = dist.action(raw_action)
        if inputs.eval_policy:
            measured = inputs.eval_policy(measuring, env_state.env.obs[num_envs:])
            carry = jax.tree.map(_join, carry, measured[0])
            action = _join(action, measured[1].mode())
        env_state, info = episodes.advance(
            env,
            env_state._replace(carry=carry),
            action,
            inputs.start_states,
            row,
            policy.carry,
        )
        log_prob = dist.log_prob(raw_action)
        return env_state, (obs, raw_action, log_prob, info)

    env_state, (obs, raw_action, log_prob, info) = jax.lax.scan(
        decide, state.env_state, (noise, rows)
    )
    experience = Experience(
        obs=obs,
        raw_action=raw_action,
        log_prob=log_prob,
        reward=info.reward[:, :num_envs],
        terminated=info.terminated[:, :num_envs],
        truncated=info.truncated[:, :num_envs],
        last_obs=env_state.env.obs[:num_envs],
        carry=_split(state.env_state.carry, num_envs)[0],
    )
    return env_state, experience, info


def _split(tree: PyTree, index: int) -> tuple[PyTree, PyTree]:
    """The first rows of every leaf, and the others."""
    return (
        jax.tree.map(lambda x: x[:index], tree),
        jax.tree.map(lambda x: x[index:], tree),
    )


def _join(first: Array, second: Array) -> Array:
    return jnp.concatenate([first, second])
