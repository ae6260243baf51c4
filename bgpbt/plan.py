"""What a run would do, worked out without running or compiling anything: `--dry_run`."""

import math
from typing import NamedTuple

import jax

from bgpbt import generations
from bgpbt.options import Options, short
from bgpbt.population import Arrangement
from bgpbt.shapes import evaluated_shapes, member_shapes, trained_shapes
from bgpbt.types import PyTree, Task

PROGRAMS = ("init", "evaluate", "train", "inherit")


class Plan(NamedTuple):
    """The size of a run. Steps are environment steps of all members together."""

    rounds: int
    updates: int  # of each member
    generations: int  # after the first, if none begins before `distill_every`
    training: int
    candidates: int  # training of candidates beyond the population's size
    evaluation: int  # at most: an evaluation ends when its last episode does
    report: int  # at most; not part of `env_steps_total`; 0 on unseen data
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


def returns_of(task: Task) -> int:
    """E: how many returns one evaluation of a member, or its training, gives."""
    if task.fitness_from_training:
        return trained_shapes(task)[1]["episode_returns"].shape[0]
    return evaluated_shapes(task)[0].shape[0]


def make_plan(options: Options, task: Task, arrangement: Arrangement) -> Plan:
    """Counts rounds and steps and estimates memory. Nothing is compiled."""
    rounds, size, steps = rounds_of(options, task), options.pop_size, task.timesteps_per_update
    evaluated = options.candidates + (0 if task.fitness_from_training else sum(r.members for r in rounds))
    calls = 0 if task.unseen else math.ceil(options.report_episodes / (size * returns_of(task)))
    return Plan(
        rounds=len(rounds),
        updates=sum(r.updates for r in rounds),
        generations=rounds[-1].generation,
        training=sum(r.updates for r in rounds) * steps * size,
        candidates=sum(r.updates * (r.members - size) for r in rounds) * steps,
        evaluation=evaluated * task.evaluation_steps,
        report=2 * calls * size * task.evaluation_steps,
        memory_bytes=estimate_memory(options, task, arrangement, max(options.candidates, *(r.members for r in rounds))),
    )


def estimate_memory(options: Options, task: Task, arrangement: Arrangement, members: int) -> int:
    """Bytes the training program needs: all `members` of its groups, what those in flight hold beside it, and the data."""
    state = {field: bytes_of(part) for field, part in member_shapes(task)._asdict().items()}
    slots = -(-members // options.pop_size) * options.pop_size
    shared = arrangement.devices * (arrangement.chunk * task.in_flight(state) + bytes_of(task.data))
    return slots * sum(state.values()) + shared


def bytes_of(tree: PyTree) -> int:
    """Of arrays or of their shapes."""
    return sum(math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves(tree))


def _later(options: Options, plan: Plan) -> str:
    """The generations after the first, in words."""
    if options.too_short:
        return "0 after the first: no distillation would end within max_timesteps"
    return f"{plan.generations} after the first, with a distillation each, if none begins early"


def describe(options: Options, task: Task, plan: Plan, arrangement: Arrangement, folders: list[str]) -> str:
    """The plan in words."""
    seeds, names = len(options.seed), (*PROGRAMS, *(["distil"] if plan.generations else []))
    sizes = f"{len(task.ladder) + 1} padded sizes" if task.ladder else "one padded size"
    lines = [
        f"{task.name}, {short(options.strategy)}, {options.pop_size} members"
        + (f", {seeds} seeds: figures of one" if seeds > 1 else ""),
        f"rounds                     {plan.rounds:,}, {plan.updates:,} updates of each member",
        f"training                   {plan.training:,} {task.unit}",
        *([f"generations                {_later(options, plan)}"] if options.generations else []),
        f"candidates                 {plan.candidates:,} {task.unit} beyond the population's own",
        f"evaluation                 at most {plan.evaluation:,} {task.unit}",
        "final report               "
        + ("on unseen data" if task.unseen else f"at most {plan.report:,} {task.unit}, not counted in env_steps_total"),
        f"programs to compile        at most {len(names)} large ({', '.join(names)}) in {sizes}"
        " and a few small ones, once for all seeds",
        f"members at once            {arrangement.devices} x {arrangement.chunk} (devices x vmapped)",
        f"memory (estimate)          {plan.memory_bytes / 1e6:,.0f} MB for training",
        *(f"folder                     {folder}" for folder in folders),
        "dry run: nothing was compiled or written",
    ]
    return "\n".join(lines)
