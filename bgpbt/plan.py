"""What a run would do, worked out without running or compiling anything: `--dry_run`."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from bgpbt import space as spaces
from bgpbt.options import Options
from bgpbt.population import Arrangement
from bgpbt.tasks.ppo import ROLLOUT_LENGTH
from bgpbt.types import Task
from envs import Env

FLOAT = 4  # bytes
PROGRAMS = ("init", "evaluate", "train", "inherit")


class Plan(NamedTuple):
    """The size of a run. Steps are environment steps of all members together."""

    rounds: int
    updates: int  # of each member
    training: int
    candidates: int  # training of initial candidates beyond the population
    evaluation: int  # at most: an evaluation ends when its last episode does
    report: int  # at most; not part of `env_steps_total`
    memory_bytes: int


def rounds_of(options: Options, task: Task) -> list[int]:
    """Updates of every round, in order; the last round is the one that reaches `max_timesteps`."""
    updates, timesteps = [], 0
    while timesteps < options.max_timesteps:
        updates.append(updates_of_round(options, task, timesteps))
        timesteps += updates[-1] * task.timesteps_per_update
    return updates


def updates_of_round(options: Options, task: Task, timesteps: int) -> int:
    """Whole updates in the round that starts at `timesteps`."""
    return max(options.t_ready_at(timesteps) // task.timesteps_per_update, 1)


def make_plan(options: Options, task: Task, arrangement: Arrangement) -> Plan:
    """Counts rounds and steps and estimates memory. Nothing is compiled."""
    env, _ = task.context
    rounds = rounds_of(options, task)
    beyond = options.candidates - options.pop_size
    episode = env.decisions_per_episode * env.action_repeat
    per_call = options.pop_size * options.eval_episodes
    evaluated = options.candidates + (0 if task.fitness_from_training else len(rounds) * options.pop_size + max(beyond, 0))
    return Plan(
        rounds=len(rounds),
        updates=sum(rounds),
        training=sum(rounds) * task.timesteps_per_update * options.pop_size,
        candidates=rounds[0] * task.timesteps_per_update * beyond,
        evaluation=evaluated * options.eval_episodes * episode,
        report=2 * math.ceil(options.report_episodes / per_call) * per_call * episode,
        memory_bytes=estimate_memory(options, task, arrangement),
    )


def estimate_memory(options: Options, task: Task, arrangement: Arrangement) -> int:
    """Bytes the training program needs: the population, and what its members in flight hold beside it.

    In flight, a member holds a rollout (observations three times: as given, normalised, shuffled), the start states of
    new episodes, gradients beside weights, and the activations of its largest minibatch, half a rollout, three times
    (before and after the activation function, and going back). XLA's own analysis is within a factor of 2 of this.
    """
    state = _bytes_of_member(task)
    env: Env = task.context[0]
    transitions = ROLLOUT_LENGTH * options.num_envs
    rollout = transitions * (3 * env.observation_size + 4 * env.action_size + 8) * FLOAT
    units = sum(options.policy_layers) + sum(options.value_layers)
    activations = 3 * transitions // 2 * units * FLOAT
    in_flight = rollout + activations + 2 * state["world"] + 3 * state["params"]
    return options.pop_size * sum(state.values()) + arrangement.devices * arrangement.chunk * in_flight


def _bytes_of_member(task: Task) -> dict[str, int]:
    """Bytes of one member by field, from shapes alone."""
    shapes = jax.eval_shape(
        lambda key, config: task.init(key, spaces.decode(task.space, config)),
        jax.eval_shape(lambda: jax.random.PRNGKey(0)),
        jax.ShapeDtypeStruct((len(task.space),), jnp.float32),
    )
    return {
        field: sum(math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves(part))
        for field, part in shapes._asdict().items()
    }


def describe(options: Options, plan: Plan, arrangement: Arrangement, folders: list[str]) -> str:
    """The plan in words."""
    seeds = len(options.seed)
    lines = [
        f"{options.env_name} ({options.backend}), {options.strategy}, {options.pop_size} members, "
        f"{options.num_envs} environments each" + (f", {seeds} seeds: figures of one" if seeds > 1 else ""),
        f"rounds                     {plan.rounds:,}, {plan.updates:,} updates of each member",
        f"training                   {plan.training:,} environment steps",
        f"initial candidates         {plan.candidates:,} environment steps beyond the population's own",
        f"evaluation                 at most {plan.evaluation:,} environment steps",
        f"final report               at most {plan.report:,} environment steps, not counted in env_steps_total",
        f"programs to compile        {len(PROGRAMS)} large ({', '.join(PROGRAMS)}) and a few small ones, once for all seeds",
        f"members at once            {arrangement.devices} x {arrangement.chunk} (devices x vmapped)",
        f"memory (estimate)          {plan.memory_bytes / 1e6:,.0f} MB for training",
        *(f"folder                     {folder}" for folder in folders),
        "dry run: nothing was compiled or written",
    ]
    return "\n".join(lines)
