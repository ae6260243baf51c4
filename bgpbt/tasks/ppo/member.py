"""A member that learns by PPO: how it begins, trains and is evaluated.

It acts in many environments. An update plays `ROLLOUT_LENGTH` decisions in all of them,
whatever the member's `unroll_length`, which cuts the rollout into segments when
advantages are estimated (`bgpbt.tasks.ppo.batch`).
"""

from functools import partial

import jax

from bgpbt.tasks import distillation
from bgpbt.tasks.ppo import episodes, learner, normalizer, rollout, round_metrics
from bgpbt.tasks.ppo.batch import estimate
from bgpbt.tasks.ppo.rollout import RoundInputs
from bgpbt.tasks.ppo.round_metrics import RoundMetrics
from bgpbt.tasks.ppo.settings import PPOSettings
from bgpbt.types import (
    Array,
    Distillation,
    Hyperparams,
    Key,
    Metrics,
    PyTree,
    TrainState,
)


def init(settings: PPOSettings, key: Key, hyperparams: Hyperparams) -> TrainState:
    """Draws an untrained member, as `bgpbt.types.Init`.

    Args:
      settings: what is static.
      key: PRNG key, consumed.
      hyperparams: searched values by name.
    """
    key_env, key_weights = jax.random.split(key)
    params, opt_state = settings.networks.init(
        key_weights, settings.fixed | hyperparams
    )
    obs_statistics = normalizer.init(settings.env.observation_size)
    env_state = rollout.start(settings, key_env, hyperparams)
    return TrainState(params, opt_state, obs_statistics, env_state)


def refresh(
    settings: PPOSettings, key: Key, state: TrainState, hyperparams: Hyperparams
) -> TrainState:
    """Resets a member's environments, as `bgpbt.types.Refresh`.

    Args:
      settings: what is static.
      key: PRNG key, consumed.
      state: the member.
      hyperparams: searched values by name; the environments may have knobs.
    """
    return state._replace(env_state=rollout.start(settings, key, hyperparams))


def evaluate(
    settings: PPOSettings, key: Key, state: TrainState, hyperparams: Hyperparams
) -> tuple[PyTree, Array]:
    """Plays fresh deterministic episodes, as `bgpbt.types.Evaluate`.

    Args:
      settings: what is static.
      key: PRNG key, consumed.
      state: the member.
      hyperparams: searched values by name.
    """
    policy = rollout.policy_of(settings, state, hyperparams)
    played = episodes.play(key, settings.default_env, policy, settings.eval_episodes)
    return played.gained, played.env_steps


def train(
    settings: PPOSettings,
    key: Key,
    state: TrainState,
    hyperparams: Hyperparams,
    updates: Array,
    teaching: Distillation | tuple[()],
) -> tuple[TrainState, Metrics]:
    """Trains a member for a round, as `bgpbt.types.Train`.

    Args:
      settings: what is static.
      key: PRNG key, consumed.
      state: the member.
      hyperparams: searched values by name.
      updates: how many. Shape `[]`, int32.
      teaching: what a student learns from, or `()`.

    Returns:
      The trained member and its metrics.
    """
    hyperparams = settings.fixed | hyperparams
    if teaching:
        hyperparams = hyperparams | distillation.HYPERPARAMS
    key_inputs, key_updates = jax.random.split(key)
    inputs = _round_inputs(settings, key_inputs, state, hyperparams, teaching)

    def body(index: Array, carry: tuple) -> tuple[TrainState, RoundMetrics]:
        weight = {}
        if teaching:
            steps = index * settings.transitions * settings.env.action_repeat
            weight["distillation"] = distillation.weight(teaching, steps)
        key_update = jax.random.fold_in(key_updates, index)
        state, so_far = carry
        return update(settings, key_update, state, so_far, hyperparams | weight, inputs)

    carry = (state, round_metrics.init(state.env_state))
    state, measured = jax.lax.fori_loop(0, updates, body, carry)
    returns = round_metrics.episode_returns(settings, measured, updates)
    metrics = {
        "loss": measured.loss,
        "env_steps": updates * settings.steps_per_update,
    }
    if isinstance(returns, dict):  # ranked by an objective
        named = {"episode_returns": returns["objective"], "return": returns["return"]}
    else:
        named = {"episode_returns": returns}
    return state, metrics | named


def _round_inputs(
    settings: PPOSettings,
    key: Key,
    state: TrainState,
    hyperparams: Hyperparams,
    teaching: Distillation | tuple[()],
) -> RoundInputs:
    """Draws start states, and fixes the policies that do not learn in the round."""
    teacher_outputs = None
    if teaching:
        teacher_outputs = rollout.outputs_of(
            settings,
            teaching.teacher,
            dict(teaching.teacher_hyperparams),
        )
    start_states = jax.vmap(settings.training_env(hyperparams).reset)(
        jax.random.split(key, settings.num_envs)
    )
    eval_policy = None
    if settings.num_eval_envs:
        eval_policy = rollout.policy_of(settings, state, hyperparams)
    return RoundInputs(start_states, eval_policy, teacher_outputs)


def update(
    settings: PPOSettings,
    key: Key,
    state: TrainState,
    so_far: RoundMetrics,
    hyperparams: Hyperparams,
    inputs: RoundInputs,
) -> tuple[TrainState, RoundMetrics]:
    """Plays one rollout and learns from it.

    The observation statistics take in the rollout before it is learnt from; the
    log-probabilities of its actions stay as they were when it acted.

    Args:
      settings: what is static.
      key: PRNG key, consumed.
      state: the member.
      so_far: metrics of the round before this update.
      hyperparams: natural values by name.
      inputs: what all rollouts of the round share.
    """
    key_rollout, key_learn = jax.random.split(key)
    networks = settings.networks
    layers, _ = networks.layers(state.params, state.opt_state, hyperparams)
    env_state, experience, info = rollout.rollout(
        settings, key_rollout, state, layers, hyperparams, inputs
    )
    obs = experience.obs.reshape(settings.transitions, -1)
    obs_statistics = normalizer.update(state.statistics, obs)
    normalise = partial(normalizer.normalise, obs_statistics)
    batch = estimate(networks, layers, normalise, experience, hyperparams)
    if inputs.teacher_outputs:
        outputs = inputs.teacher_outputs(experience.obs)
        batch = batch._replace(teacher=outputs.reshape(settings.transitions, -1))
    params, opt_state, loss = learner.learn(
        key_learn,
        state.params,
        state.opt_state,
        batch,
        hyperparams,
        normalize_advantage=settings.normalize_advantage,
        networks=networks,
        kind=settings.distribution,
        action_size=settings.env.action_size,
    )
    state = TrainState(params, opt_state, obs_statistics, env_state)
    return state, round_metrics.update(so_far, info, loss)
