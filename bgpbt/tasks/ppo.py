"""Proximal policy optimisation (Schulman et al., 2017) of one member in many environments, as a `Task`.

A training update plays `ROLLOUT_LENGTH` decisions in all environments, whatever the member's `unroll_length`, which cuts
the rollout into segments when advantages are estimated (`bgpbt.tasks.learner`).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bgpbt import losses
from bgpbt import space as spaces
from bgpbt.networks.mlp import MLP
from bgpbt.space import Float, Integer, SearchSpace
from bgpbt.tasks import distillation, episodes, learner, normalizer
from bgpbt.tasks.learner import BLOCKS, Experience
from bgpbt.types import Array, Hyperparams, Key, Metrics, PyTree, Task, TrainState
from envs.base import Env

ROLLOUT_LENGTH = 15  # decisions per environment and update: the largest unroll length
FLOAT = 4  # bytes


def hyperparameter_space(num_envs: int, discounting_scale: str = "log") -> SearchSpace:
    """The nine hyperparameters of BG-PBT; `batch_size` keeps its ratio to the number of environments, 1/32 to 1/2.

    Args:
      num_envs: of a member.
      discounting_scale: "log" or "log_complement".
    """
    near_one = {discounting_scale: True, "complement": True}
    return {
        "learning_rate": Float(1e-4, 1e-3, 3e-4, log=True),
        "entropy_cost": Float(1e-6, 1e-1, 1e-2, log=True),
        "discounting": Float(0.9, 0.9999, 0.97, **near_one),
        "gae_lambda": Float(0.9, 1.0, 0.95, complement=True),
        "clipping_epsilon": Float(0.1, 0.4, 0.2),
        "reward_scaling": Float(0.05, 20.0, 10.0, log=True),
        "batch_size": Integer(num_envs // 32, num_envs // 2, num_envs // 2, doubling=True),
        "num_update_epochs": Integer(2, 16, 4, log=True),
        "unroll_length": Integer(5, ROLLOUT_LENGTH, 5),
    }


def architecture_space(depth: int = 5, width: int = 256) -> SearchSpace:
    """The six architecture dimensions of BG-PBT, each belonging to the block of weights it describes.

    Args:
      depth: most hidden layers.
      width: most units of each, 32 times a power of 2.
    """
    space: SearchSpace = {}
    for block in BLOCKS:
        space[f"{block}_depth"] = Integer(1, depth, 2, group=block)
        space[f"{block}_width"] = Integer(32, width, 32, doubling=True, group=block)
        space[f"{block}_spectral_norm"] = Integer(0, 1, 1, group=block)
    return space


class Tally(NamedTuple):
    """What a round of training counts beside learning. `G` includes environments that only measure."""

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

    def new_world(key: Key) -> episodes.World:
        key_train, key_beside = jax.random.split(key)
        world = episodes.start(key_train, env, num_envs, staggered=True)
        if not beside:
            return world
        extra = episodes.start(key_beside, env, beside, staggered=False)
        return jax.tree.map(lambda *parts: jnp.concatenate(parts), world, extra)

    def init(key: Key, hyperparams: Hyperparams) -> TrainState:
        key_world, key_weights = jax.random.split(key)
        params, moments = learner.init(key_weights, mlps, fixed | hyperparams)
        return TrainState(params, moments, normalizer.init(env.observation_size), new_world(key_world))

    def acting(state: TrainState, h: Hyperparams):
        """The policy: observations `[..., O]` to distributions over actions `[..., A]` before tanh."""
        layers, _ = learner.layers_of(state.params, state.moments, h)
        return lambda obs: learner.policy(layers, normalizer.normalise(state.shared, obs), h)

    def mode_of(state: TrainState, hyperparams: Hyperparams):
        """The deterministic policy: observations `[..., O]` to actions `[..., A]`."""
        act = acting(state, fixed | hyperparams)
        return lambda obs: jnp.tanh(act(obs).loc)

    def rollout(key: Key, state: TrainState, layers: PyTree, h: Hyperparams, bank, mode):
        """Plays `ROLLOUT_LENGTH` decisions. Returns the world, what to learn from, and `[T, G]` steps."""
        key_noise, key_rows = jax.random.split(key)
        noise = jax.random.normal(key_noise, (ROLLOUT_LENGTH, num_envs, env.action_size))
        rows = jax.random.randint(key_rows, (ROLLOUT_LENGTH, num_envs + beside), 0, num_envs)

        def decide(world, inputs):
            noise, row = inputs
            obs = world.env.obs[:num_envs]
            dist = learner.policy(layers, normalizer.normalise(state.shared, obs), h)
            raw_action = dist.loc + dist.scale * noise
            action = jnp.tanh(raw_action)
            if beside:
                action = jnp.concatenate([action, mode(world.env.obs[num_envs:])])
            world, step = episodes.advance(env, world, action, bank, row)
            return world, (obs, raw_action, losses.log_prob(dist, raw_action), step)

        world, (obs, raw_action, log_prob, step) = jax.lax.scan(decide, state.world, (noise, rows))
        ours = (x[:, :num_envs] for x in (step.reward, step.terminated, step.truncated))
        return world, Experience(obs, raw_action, log_prob, *ours, world.env.obs[:num_envs]), step

    def update(key: Key, state: TrainState, tally: Tally, h: Hyperparams, bank, mode, teach) -> tuple[TrainState, Tally]:
        """One rollout and what is learnt from it; `teach` is a teacher's policy, or None."""
        key_rollout, key_learn = jax.random.split(key)
        layers, _ = learner.layers_of(state.params, state.moments, h)
        world, experience, step = rollout(key_rollout, state, layers, h, bank, mode)
        # The statistics take in the rollout before it is learnt from; the behaviour's log-probabilities stay as acted.
        statistics = normalizer.update(state.shared, experience.obs.reshape(transitions, -1))
        batch = learner.estimate(layers, lambda obs: normalizer.normalise(statistics, obs), experience, h)
        if teach:
            shown = teach(experience.obs)
            batch = batch._replace(teacher=jax.tree.map(lambda x: x.reshape(transitions, -1), shown))
        params, moments, loss = learner.learn(
            key_learn, state.params, state.moments, batch, h, normalize_advantage=normalize_advantage
        )
        latest = jax.lax.associative_scan(_later, step.finished_return)[-1]
        tally = Tally(_later(tally.finished_return, latest), tally.reward_sum + jnp.sum(step.reward, axis=0), loss)
        return TrainState(params, moments, statistics, world), tally

    def train(key: Key, state: TrainState, hyperparams: Hyperparams, updates: Array, extra) -> tuple[TrainState, Metrics]:
        h, teach = fixed | hyperparams, None
        if extra:
            h = h | distillation.HYPERPARAMS
            teach = acting(extra.teacher, fixed | spaces.decode(space, extra.config))
        key_bank, key_updates = jax.random.split(key)
        bank = jax.vmap(env.reset)(jax.random.split(key_bank, num_envs))  # start states of this round's new episodes
        mode = mode_of(state, hyperparams) if beside else None
        zeros = jnp.zeros_like(state.world.episode_return)

        def one(i, carry):
            weight = {"distillation": distillation.weight(extra, i * transitions * env.action_repeat)} if extra else {}
            return update(jax.random.fold_in(key_updates, i), *carry, h | weight, bank, mode, teach)

        state, tally = jax.lax.fori_loop(0, updates, one, (state, Tally(zeros * jnp.nan, zeros, jnp.zeros((), zeros.dtype))))
        measured = slice(num_envs, None) if beside else slice(None)
        # Where no whole episode ended in the round, the rewards of the round stand for it, stretched to an episode.
        decisions = jnp.maximum(updates, 1) * ROLLOUT_LENGTH
        stretched = tally.reward_sum / decisions * env.decisions_per_episode
        finished = tally.finished_return[measured]
        returns = jnp.where(jnp.all(jnp.isnan(finished)), stretched[measured], finished)
        return state, {"loss": tally.loss, "env_steps": updates * simulated, "episode_returns": returns}

    def fits(config: np.ndarray) -> np.ndarray:
        found = np.ones(len(config), bool)
        for block in BLOCKS:
            if (name := f"{block}_width") in space:
                width = spaces.value_at(space[name], config[:, list(space).index(name)])
                found &= width <= mlps[block].width
        return found

    def evaluate(key: Key, state: TrainState, hyperparams: Hyperparams) -> tuple[Array, Array]:
        return episodes.play(key, env, mode_of(state, hyperparams), eval_episodes)

    def in_flight(size: dict[str, int]) -> int:
        """Bytes, within a factor of 2 of XLA's own analysis.

        A rollout (observations three times: as given, normalised, shuffled), the start states of new episodes, gradients beside
        weights, and the activations of the largest minibatch, half a rollout, three times (before and after the activation
        function, and going back).
        """
        rollout = transitions * (3 * env.observation_size + 4 * env.action_size + 8) * FLOAT
        activations = 3 * transitions // 2 * sum(mlp.depth * mlp.width for mlp in mlps.values()) * FLOAT
        return rollout + activations + 2 * size["world"] + 3 * size["params"]

    return Task(
        name=f"ppo on {env.name}, {num_envs} environments each",
        space=space,
        blocks=BLOCKS,
        timesteps_per_update=transitions * env.action_repeat,
        init=init,
        train=train,
        evaluate=evaluate,
        refresh=lambda key, state: state._replace(world=new_world(key)),
        fitness_from_training=fitness != "evaluation",
        unit="environment steps",
        measure="episode return",
        evaluation_steps=eval_episodes * env.decisions_per_episode * env.action_repeat,
        in_flight=in_flight,
        context=(env, mode_of),
        fits=fits,
    )


def _later(earlier: Array, later: Array) -> Array:
    """The later of two values that exists; NaN is none."""
    return jnp.where(jnp.isnan(later), earlier, later)
