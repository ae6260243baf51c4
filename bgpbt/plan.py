"""What a run would do, worked out without running or compiling anything: `--dry_run`."""

import math
from typing import NamedTuple

import jax

from bgpbt import generations
from bgpbt.options import Options
from bgpbt.population import Arrangement, member_shapes
from bgpbt.tasks.ppo import ROLLOUT_LENGTH
from bgpbt.types import Task
from envs import Env

FLOAT = 4  # bytes
PROGRAMS = ("init", "evaluate", "train", "inherit")


class Plan(NamedTuple):
    """The size of a run. Steps are environment steps of all members together."""

    rounds: int
    updates: int  # of each member
    generations: int  # after the first, if none begins before `distill_every`
    training: int
    candidates: int  # training of candidates beyond the population's size
    evaluation: int  # at most: an evaluation ends when its last episode does
    report: int  # at most; not part of `env_steps_total`
    memory_bytes: int


class Round(NamedTuple):
    """One round of a plan."""

    generation: int
    updates: int  # of each member
    members: int  # who train: the population, or the candidates of a tournament


def rounds_of(options: Options, task: Task) -> list[Round]:
    """Every round, in order; the last one reaches `max_timesteps`. No generation begins for want of patience."""
    found, timesteps = [], 0
    generation = generations.first(options, task.space)
    while timesteps < options.max_timesteps or generation.candidates:
        updates, members = updates_of_round(options, task, timesteps), options.pop_size
        if generation.candidates:
            rungs = generations.tournament(options, task, generation)
            rung, left = generations.place(rungs, int(generation.updates))
            updates, members = min(updates, left), rung.candidates
        found.append(Round(int(generation.number), updates, members))
        timesteps += updates * task.timesteps_per_update
        if generation.candidates:
            generation = generation._replace(updates=generation.updates + updates)
            if generation.updates == sum(rung.updates for rung in rungs):
                generation = generation._replace(candidates=0, updates=0, began=timesteps)
        elif generations.due(options, task, generation, timesteps):
            number = generation.number + 1
            best = number if options.arch_policy == "search" else 0
            generation = generation._replace(number=number, candidates=options.candidates + best, updates=0)
    return found


def updates_of_round(options: Options, task: Task, timesteps: int) -> int:
    """Whole updates in the round that starts at `timesteps`."""
    return max(options.t_ready_at(timesteps) // task.timesteps_per_update, 1)


def make_plan(options: Options, task: Task, arrangement: Arrangement) -> Plan:
    """Counts rounds and steps and estimates memory. Nothing is compiled."""
    env, _ = task.context
    rounds, size, steps = rounds_of(options, task), options.pop_size, task.timesteps_per_update
    episode = env.decisions_per_episode * env.action_repeat
    per_call = size * options.eval_episodes
    evaluated = options.candidates + (0 if task.fitness_from_training else sum(r.members for r in rounds))
    return Plan(
        rounds=len(rounds),
        updates=sum(r.updates for r in rounds),
        generations=rounds[-1].generation,
        training=sum(r.updates for r in rounds) * steps * size,
        candidates=sum(r.updates * (r.members - size) for r in rounds) * steps,
        evaluation=evaluated * options.eval_episodes * episode,
        report=2 * math.ceil(options.report_episodes / per_call) * per_call * episode,
        memory_bytes=estimate_memory(options, task, arrangement, max(options.candidates, *(r.members for r in rounds))),
    )


def estimate_memory(options: Options, task: Task, arrangement: Arrangement, members: int) -> int:
    """Bytes the training program needs: all `members` of its groups, and what those in flight hold beside it.

    In flight, a member holds a rollout (observations three times: as given, normalised, shuffled), the start states of
    new episodes, gradients beside weights, and the activations of its largest minibatch, half a rollout, three times
    (before and after the activation function, and going back). XLA's own analysis is within a factor of 2 of this.
    """
    state = _bytes_of_member(task)
    env: Env = task.context[0]
    transitions = ROLLOUT_LENGTH * options.num_envs
    rollout = transitions * (3 * env.observation_size + 4 * env.action_size + 8) * FLOAT
    units = sum(math.prod(x.shape) for x in _hidden(task))
    activations = 3 * transitions // 2 * units * FLOAT
    in_flight = rollout + activations + 2 * state["world"] + 3 * state["params"]
    slots = -(-members // options.pop_size) * options.pop_size
    return slots * sum(state.values()) + arrangement.devices * arrangement.chunk * in_flight


def _bytes_of_member(task: Task) -> dict[str, int]:
    """Bytes of one member by field, from shapes alone."""
    shapes = member_shapes(task)
    return {
        field: sum(math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves(part))
        for field, part in shapes._asdict().items()
    }


def _hidden(task: Task) -> list:
    """The biases of all hidden layers, in their padding."""
    params = member_shapes(task).params
    return [layer["bias"] for block in task.blocks for layer in params[block][:-1]]


def describe(options: Options, task: Task, plan: Plan, arrangement: Arrangement, folders: list[str]) -> str:
    """The plan in words."""
    seeds, names = len(options.seed), (*PROGRAMS, *(["distil"] if plan.generations else []))
    sizes = f"{len(task.ladder) + 1} padded sizes" if task.ladder else "one padded size"
    lines = [
        f"{options.env_name} ({options.backend}), {options.strategy}, {options.pop_size} members, "
        f"{options.num_envs} environments each" + (f", {seeds} seeds: figures of one" if seeds > 1 else ""),
        f"rounds                     {plan.rounds:,}, {plan.updates:,} updates of each member",
        f"training                   {plan.training:,} environment steps",
        *(
            [f"generations                {plan.generations} after the first, with a distillation each, if none begins early"]
            if options.generations
            else []
        ),
        f"candidates                 {plan.candidates:,} environment steps beyond the population's own",
        f"evaluation                 at most {plan.evaluation:,} environment steps",
        f"final report               at most {plan.report:,} environment steps, not counted in env_steps_total",
        f"programs to compile        at most {len(names)} large ({', '.join(names)}) in {sizes}"
        " and a few small ones, once for all seeds",
        f"members at once            {arrangement.devices} x {arrangement.chunk} (devices x vmapped)",
        f"memory (estimate)          {plan.memory_bytes / 1e6:,.0f} MB for training",
        *(f"folder                     {folder}" for folder in folders),
        "dry run: nothing was compiled or written",
    ]
    return "\n".join(lines)
