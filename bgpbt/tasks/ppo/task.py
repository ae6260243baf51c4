"""Proximal policy optimisation (Schulman et al., 2017) as a `Task`."""

from functools import partial

import numpy as np

from bgpbt.environment import Env
from bgpbt.networks.mlp import MLP
from bgpbt.space import SearchSpace
from bgpbt.tasks.ppo import member, rollout
from bgpbt.tasks.ppo.actor_critic import BLOCKS
from bgpbt.tasks.ppo.networks import Feedforward
from bgpbt.tasks.ppo.recurrent import Recurrent
from bgpbt.tasks.ppo.settings import PPOSettings
from bgpbt.types import NOTHING_OFFERED, Padding, Playback, Task

FLOAT_BYTES = 4
NUMBERS_PER_UNIT = 6  # of an LSTM: four gates, the cell and its output


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
    offered: SearchSpace = NOTHING_OFFERED,
    objective: str | None = None,
    recurrent_units: int | None = None,
) -> Task:
    """Builds the task.

    Args:
      env: a single environment; the task steps many of them.
      num_envs: environments that a member learns from, a multiple of 32.
      space: the searched dimensions.
      fixed: natural values of the dimensions that are not searched.
      policy: static sizes of the policy network, which reads an observation or the
        output of an LSTM; its outputs are those that the distribution over actions
        needs.
      value: static sizes of the value network.
      fitness: where the fitness comes from. "evaluation": separate deterministic
        episodes after the round. "training": episodes of the training environments that
        ended in the round. "concurrent": deterministic episodes of the round's *first*
        policy, stepped beside the training environments.
      eval_episodes: episodes of an evaluation, or environments of a concurrent one.
      normalize_advantage: per minibatch, as Brax does.
      offered: dimensions that are searched only where a user says so; else they have
        the values in `fixed`, or SiLU as activation.
      objective: the metric of `env` that members are ranked by; None: the return.
      recurrent_units: H of the LSTM in front of each network; None: no memory.
    """
    from_training = fitness != "evaluation"
    mlps = {"policy": policy, "value": value}
    settings = PPOSettings(
        env=env,
        networks=Feedforward(mlps)
        if recurrent_units is None
        else Recurrent(mlps, env.observation_size, recurrent_units),
        num_envs=num_envs,
        space=space,
        fixed=fixed,
        fitness=fitness,
        eval_episodes=eval_episodes,
        normalize_advantage=normalize_advantage,
    )
    kind = "ppo" if recurrent_units is None else "recurrent ppo"
    return Task(
        name=f"{kind} on {env.name}, {num_envs} environments each",
        space=space,
        blocks=BLOCKS,
        timesteps_per_update=settings.transitions * env.action_repeat,
        init=partial(member.init, settings),
        train=partial(member.train, settings),
        evaluate=partial(member.evaluate, settings),
        refresh=partial(member.refresh, settings),
        fitness_from_training=from_training,
        step_unit="environment steps",
        evaluation_steps=eval_episodes * env.decisions_per_episode * env.action_repeat,
        workspace_bytes=partial(workspace_bytes, settings),
        playback=Playback(settings.default_env, partial(rollout.policy_of, settings)),
        padding=Padding(supports=partial(supports, settings)),
        offered={name: dim for name, dim in offered.items() if name not in space},
        return_label=objective or "episode return",
        score=_objective if objective else None,
        num_scores=eval_episodes if objective else 1,
        columns=("return",) if objective else (),
    )


def _objective(statistics: dict[str, np.ndarray]) -> np.ndarray:
    """What members are ranked by, of what their episodes gave. Shape `[E]`."""
    return statistics["objective"]


def supports(settings: PPOSettings, architectures: dict[str, np.ndarray]) -> np.ndarray:
    """Which architectures have networks that this padding holds.

    Args:
      settings: what is static.
      architectures: natural values by name, each `[M]`.

    Returns:
      Shape `[M]`, bool.
    """
    fits = [np.ones(len(next(iter(architectures.values()))), bool)]
    for block in BLOCKS:
        if (name := f"{block}_width") in architectures:
            fits.append(architectures[name] <= settings.networks.mlps[block].width)
    return np.all(np.broadcast_arrays(*fits), axis=0)


def workspace_bytes(settings: PPOSettings, size: dict[str, int]) -> int:
    """Bytes of a member that trains, within a factor of 2 of XLA's own analysis.

    They hold a rollout (observations three times: as received, normalised, shuffled),
    the start states of new episodes, gradients beside weights, and the activations of
    the largest minibatch, half a rollout, three times (before and after the activation
    function, and in the backward pass).

    Args:
      settings: what is static.
      size: bytes of the fields of the member's state.
    """
    env = settings.env
    numbers = 3 * env.observation_size + 4 * env.action_size + 8
    rollout_bytes = settings.transitions * numbers * FLOAT_BYTES
    networks = settings.networks
    units = sum(mlp.depth * mlp.width for mlp in networks.mlps.values())
    units += NUMBERS_PER_UNIT * networks.memory_units
    activation_bytes = 3 * settings.transitions // 2 * units * FLOAT_BYTES
    state_bytes = 2 * size["env_state"] + 3 * size["params"]
    return rollout_bytes + activation_bytes + state_bytes
