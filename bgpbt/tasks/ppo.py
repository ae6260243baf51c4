"""Proximal policy optimisation (Schulman et al., 2017) of one member, every searched quantity traced.

A training update plays `ROLLOUT_LENGTH` decisions in all environments, whatever the member's `unroll_length`, which cuts
the rollout into segments when advantages are estimated; then come `num_update_epochs` passes over the transitions in
minibatches. `docs/design.md` says what differs from Brax's PPO and why.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from bgpbt import losses
from bgpbt.networks import mlp
from bgpbt.networks.mlp import MLP, Arch
from bgpbt.space import Float, Integer, SearchSpace
from bgpbt.tasks import episodes, minibatches, normalizer
from bgpbt.types import Array, Hyperparams, Key, Metrics, PyTree, Task, TrainState
from envs.base import Env

BLOCKS = ("policy", "value")
ROLLOUT_LENGTH = 15  # decisions per environment and update: the largest unroll length
FITNESS = ("evaluation", "training", "concurrent")


def hyperparameter_space(num_envs: int) -> SearchSpace:
    """The nine hyperparameters of BG-PBT; `batch_size` keeps its ratio to the number of environments, 1/32 to 1/2."""
    return {
        "learning_rate": Float(1e-4, 1e-3, 3e-4, log=True),
        "entropy_cost": Float(1e-6, 1e-1, 1e-2, log=True),
        "discounting": Float(0.9, 0.9999, 0.97, log=True, complement=True),
        "gae_lambda": Float(0.9, 1.0, 0.95, complement=True),
        "clipping_epsilon": Float(0.1, 0.4, 0.2),
        "reward_scaling": Float(0.05, 20.0, 10.0, log=True),
        "batch_size": Integer(num_envs // 32, num_envs // 2, num_envs // 2, doubling=True),
        "num_update_epochs": Integer(2, 16, 4, log=True),
        "unroll_length": Integer(5, ROLLOUT_LENGTH, 5),
    }


def architecture_space() -> SearchSpace:
    """The six architecture dimensions of BG-PBT, each belonging to the block of weights it describes."""
    space: SearchSpace = {}
    for block in BLOCKS:
        space[f"{block}_depth"] = Integer(1, 5, 2, group=block)
        space[f"{block}_width"] = Integer(32, 256, 32, doubling=True, group=block)
        space[f"{block}_spectral_norm"] = Integer(0, 1, 1, group=block)
    return space


class Batch(NamedTuple):
    """Transitions of a rollout, flat. Leading axis: `ROLLOUT_LENGTH * G`."""

    obs: Array  # [K, O] normalised
    raw_action: Array  # [K, A] before tanh
    log_prob: Array  # [K] under the policy that acted
    advantage: Array  # [K]
    target: Array  # [K] of the value


class Rounds(NamedTuple):
    """What a round of training leaves beside the member: its episodes and its loss."""

    finished_return: Array  # [G] of the latest whole episode, NaN where none ended
    reward_sum: Array  # [G]
    loss: Array  # [] of the last update


def ppo(
    env: Env,
    *,
    num_envs: int,
    space: SearchSpace,
    fixed: dict[str, float],
    policy: MLP,
    value: MLP,
    fitness: str = "evaluation",
    eval_episodes: int = 8,
    normalize_advantage: bool = True,
) -> Task:
    """Builds the task.

    Args:
      env: a single environment; the task adds the axis `G`.
      num_envs: environments that a member learns from, a multiple of 32.
      space: the searched dimensions.
      fixed: natural values of the dimensions that are not searched.
      policy: static sizes of the policy network; its output holds location and scale.
      value: static sizes of the value network.
      fitness: "evaluation": separate deterministic episodes after the round; "training": episodes of the training
        environments that ended in the round; "concurrent": deterministic episodes of the round's *first* policy, stepped
        beside the training environments.
      eval_episodes: episodes of an evaluation, or environments of a concurrent one.
      normalize_advantage: per minibatch, as Brax does.
    """
    mlps = {"policy": policy, "value": value}
    transitions = ROLLOUT_LENGTH * num_envs
    beside = eval_episodes if fitness == "concurrent" else 0  # environments that only measure
    simulated = ROLLOUT_LENGTH * (num_envs + beside) * env.action_repeat  # steps an update costs
    adam = optax.scale_by_adam()

    def arch(block: str, h: Hyperparams) -> Arch:
        return Arch(h[f"{block}_depth"], h[f"{block}_width"], h[f"{block}_spectral_norm"])

    def new_world(key: Key) -> episodes.World:
        key_train, key_beside = jax.random.split(key)
        world = episodes.start(key_train, env, num_envs, staggered=True)
        if beside:
            extra = episodes.start(key_beside, env, beside, staggered=False)
            world = jax.tree.map(lambda *x: jnp.concatenate(x), world, extra)
        return world

    def init(key: Key, hyperparams: Hyperparams) -> TrainState:
        h = fixed | hyperparams
        key_world, *keys = jax.random.split(key, 1 + len(BLOCKS))
        params, moments = {}, {}
        for block, key_block in zip(BLOCKS, keys, strict=True):
            params[block], vectors = mlp.init(key_block, mlps[block], arch(block, h))
            moments[block] = {"adam": adam.init(params[block]), "spectral": vectors}
        return TrainState(params, moments, normalizer.init(env.observation_size), new_world(key_world))

    def networks(params: PyTree, moments: PyTree, h: Hyperparams) -> tuple[PyTree, PyTree]:
        """Layers ready to apply, and the turned vectors of the power iteration, by block."""
        pairs = {b: mlp.normalise(params[b], moments[b]["spectral"], arch(b, h)) for b in BLOCKS}
        return {b: pair[0] for b, pair in pairs.items()}, {b: pair[1] for b, pair in pairs.items()}

    def policy_of(layers: PyTree, statistics: normalizer.Normalizer, h: Hyperparams):
        return lambda obs: losses.tanh_normal(
            mlp.apply(layers["policy"], normalizer.normalise(statistics, obs), arch("policy", h))
        )

    def mode_of(state: TrainState, hyperparams: Hyperparams):
        """The deterministic policy: observations `[..., O]` to actions `[..., A]`."""
        h = fixed | hyperparams
        dist = policy_of(networks(state.params, state.moments, h)[0], state.shared, h)
        return lambda obs: jnp.tanh(dist(obs).loc)

    def rollout(key: Key, state: TrainState, h: Hyperparams, bank, mode, layers: PyTree):
        """Plays `ROLLOUT_LENGTH` decisions. Returns the world, `[T, N]` experience, and `[T, G]` steps."""
        key_noise, key_start = jax.random.split(key)
        noise = jax.random.normal(key_noise, (ROLLOUT_LENGTH, num_envs, env.action_size))
        starts = jax.random.randint(key_start, (ROLLOUT_LENGTH, num_envs + beside), 0, num_envs)
        act = policy_of(layers, state.shared, h)

        def decide(world, inputs):
            noise, start = inputs
            obs = world.env.obs[:num_envs]
            dist = act(obs)
            raw_action = dist.loc + dist.scale * noise
            action = jnp.tanh(raw_action)
            if beside:
                action = jnp.concatenate([action, mode(world.env.obs[num_envs:])])
            fresh = jax.tree.map(lambda x: x[start], bank)
            world, step = episodes.advance(env, world, action, fresh)
            return world, (obs, raw_action, losses.log_prob(dist, raw_action), step)

        return jax.lax.scan(decide, state.world, (noise, starts))

    def estimate(layers: PyTree, statistics, world, experience, h: Hyperparams) -> Batch:
        """Advantages and targets of a rollout, with the trace cut every `unroll_length` steps."""
        obs, raw_action, log_prob, step = experience
        learn = jax.tree.map(lambda x: x[:, :num_envs], step)
        obs = normalizer.normalise(statistics, obs)
        last = normalizer.normalise(statistics, world.env.obs[:num_envs])
        values = mlp.apply(layers["value"], jnp.concatenate([obs, last[None]]), arch("value", h))[..., 0]
        time = jnp.arange(1, ROLLOUT_LENGTH + 1)
        targets, advantages = losses.gae(
            learn.reward * h["reward_scaling"],
            values[:-1],
            values[-1],
            learn.terminated,
            learn.truncated,
            (time % h["unroll_length"] == 0).astype(values.dtype),
            discounting=h["discounting"],
            gae_lambda=h["gae_lambda"],
        )
        batch = Batch(obs, raw_action, log_prob, advantages, targets)
        return jax.tree.map(lambda x: x.reshape(transitions, *x.shape[2:]), batch)

    def loss(params: PyTree, moments: PyTree, batch: Batch, noise: Array, h: Hyperparams):
        """PPO's loss on (a part of) a minibatch whose advantages are ready; with the turned spectral vectors."""
        layers, turned = networks(params, moments, h)
        dist = losses.tanh_normal(mlp.apply(layers["policy"], batch.obs, arch("policy", h)))
        values = mlp.apply(layers["value"], batch.obs, arch("value", h))[..., 0]
        log_prob = losses.log_prob(dist, batch.raw_action)
        total = (
            losses.ppo_policy_loss(log_prob, batch.log_prob, batch.advantage, h["clipping_epsilon"])
            + losses.value_loss(values, batch.target)
            - h["entropy_cost"] * losses.entropy(dist, noise)
        )
        return jnp.mean(total), turned

    def optimise(params: PyTree, moments: PyTree, grads: PyTree, turned: PyTree, learning_rate: Array):
        """One Adam step of every block (Kingma and Ba, 2015)."""
        new_params, new_moments = {}, {}
        for b in BLOCKS:
            direction, adam_state = adam.update(grads[b], moments[b]["adam"])
            new_params[b] = jax.tree.map(lambda p, d: p - learning_rate * d, params[b], direction)
            new_moments[b] = {"adam": adam_state, "spectral": turned[b]}
        return new_params, new_moments

    def epoch(key: Key, carry, batch: Batch, h: Hyperparams, index: Array, common: Array):
        """One pass over the transitions in minibatches: `LADDER[index]` of them, walked in `LADDER[common]` pieces."""
        key_order, key_noise = jax.random.split(key)
        order = jax.random.permutation(key_order, transitions)
        noise = jax.random.normal(key_noise, (transitions, env.action_size))
        batch = jax.tree.map(lambda x: x[order], batch)
        count = jnp.asarray(minibatches.LADDER)[index]

        def in_pieces(micro: int):
            def run(carry, batch, noise):
                group, advantages = minibatches.accumulated(micro, count, batch.advantage.reshape(micro, -1))
                if normalize_advantage:
                    batch = batch._replace(advantage=advantages.reshape(-1))

                def step(carry, i, piece):
                    params, moments, total, _ = carry
                    (value, turned), grads = jax.value_and_grad(loss, has_aux=True)(params, moments, *piece, h)
                    total = jax.tree.map(lambda t, g: t + g / group, total, grads)
                    full = (i + 1) % group == 0
                    stepped = optimise(params, moments, total, turned, h["learning_rate"])
                    params, moments = jax.tree.map(lambda n, o: jnp.where(full, n, o), stepped, (params, moments))
                    return params, moments, jax.tree.map(lambda t: jnp.where(full, 0, t), total), value

                zeros = jax.tree.map(jnp.zeros_like, carry[0])
                params, moments, _, value = minibatches.sweep(micro, step, (*carry[:2], zeros, carry[2]), (batch, noise))
                return params, moments, value

            return run

        return jax.lax.switch(common, [in_pieces(micro) for micro in minibatches.LADDER], carry, batch, noise)

    def update(key: Key, state: TrainState, rounds: Rounds, h: Hyperparams, bank, mode) -> tuple[TrainState, Rounds]:
        key_rollout, key_epochs = jax.random.split(key)
        layers, _ = networks(state.params, state.moments, h)
        world, experience = rollout(key_rollout, state, h, bank, mode, layers)
        statistics = normalizer.update(state.shared, experience[0].reshape(transitions, -1))
        batch = estimate(layers, statistics, world, experience, h)
        index = minibatches.rung(transitions, h["batch_size"], h["unroll_length"])
        common = minibatches.common_rung(index)
        carry = jax.lax.fori_loop(
            0,
            h["num_update_epochs"],
            lambda i, carry: epoch(jax.random.fold_in(key_epochs, i), carry, batch, h, index, common),
            (state.params, state.moments, rounds.loss),
        )
        step: episodes.Step = experience[3]
        latest = jax.lax.associative_scan(lambda a, b: jnp.where(jnp.isnan(b), a, b), step.finished_return)[-1]
        rounds = Rounds(
            finished_return=jnp.where(jnp.isnan(latest), rounds.finished_return, latest),
            reward_sum=rounds.reward_sum + jnp.sum(step.reward, axis=0),
            loss=carry[2],
        )
        return TrainState(carry[0], carry[1], statistics, world), rounds

    def train(key: Key, state: TrainState, hyperparams: Hyperparams, updates: Array, extra) -> tuple[TrainState, Metrics]:
        del extra
        h = fixed | hyperparams
        key_bank, key_updates = jax.random.split(key)
        bank = jax.vmap(env.reset)(jax.random.split(key_bank, num_envs))  # start states of this round's new episodes
        mode = mode_of(state, hyperparams) if beside else None
        zeros = jnp.zeros_like(state.world.episode_return)
        rounds = Rounds(zeros * jnp.nan, zeros, jnp.zeros((), zeros.dtype))
        state, rounds = jax.lax.fori_loop(
            0,
            updates,
            lambda i, carry: update(jax.random.fold_in(key_updates, i), *carry, h, bank, mode),
            (state, rounds),
        )
        measured = slice(num_envs, None) if beside else slice(None)
        # Where no whole episode ended in the round, the rewards of the round stand for it, stretched to an episode.
        decisions = jnp.maximum(updates, 1) * ROLLOUT_LENGTH
        stretched = rounds.reward_sum / decisions * env.decisions_per_episode
        finished = rounds.finished_return[measured]
        returns = jnp.where(jnp.all(jnp.isnan(finished)), stretched[measured], finished)
        return state, {"loss": rounds.loss, "env_steps": updates * simulated, "episode_returns": returns}

    def evaluate(key: Key, state: TrainState, hyperparams: Hyperparams) -> tuple[Array, Array]:
        return episodes.play(key, env, mode_of(state, hyperparams), eval_episodes)

    return Task(
        name=f"ppo on {env.name}",
        space=space,
        blocks=BLOCKS,
        timesteps_per_update=transitions * env.action_repeat,
        init=init,
        train=train,
        evaluate=evaluate,
        refresh=lambda key, state: state._replace(world=new_world(key)),
        fitness_from_training=fitness != "evaluation",
        context=(env, mode_of),
    )
