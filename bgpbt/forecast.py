"""What a run would do, without running or compiling anything: `--dry_run`."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from bgpbt.config.options import Options
from bgpbt.config.settings import base_name
from bgpbt.execution.devices import DeviceLayout
from bgpbt.execution.memory import estimate_memory
from bgpbt.execution.shapes import num_evaluated
from bgpbt.successive_halving import current_rung
from bgpbt.training.engine import ROUND_PROGRAMS
from bgpbt.training.generations import first_generation, halving_rungs, should_start
from bgpbt.training.plan import Plan
from bgpbt.training.run_state import Generation
from bgpbt.types import Task
from bgpbt.viz.formatting import counted
from bgpbt.viz.space_table import fixed_table, space_table


class Forecast(NamedTuple):
    """The size of a run. Steps are of all members together."""

    rounds: int
    updates: int  # of each member
    generations: int  # after the first, if none begins before `distill_every`
    training: int
    candidates: int  # training of candidates beyond the population's size
    evaluation: int  # at most: an evaluation ends when its last episode does
    report: int  # at most; not part of `env_steps_total`; 0 on test data
    memory_bytes: int


class ForecastRound(NamedTuple):
    """One round of a forecast."""

    generation: int
    updates: int  # of each member
    members: int  # who train: the population, or the candidates of a halving


def forecast_rounds(plan: Plan, task: Task) -> Iterator[ForecastRound]:
    """Every round, in order; the last one reaches `max_timesteps`.

    It assumes that `patience` begins no generation.
    """
    timesteps = 0
    rules = plan.rules
    generation = first_generation(plan, task.space)
    while timesteps < plan.schedule.max_timesteps or generation.candidates:
        updates = plan.schedule.round_updates(timesteps)
        members = plan.pop_size
        if generation.candidates:
            rungs = halving_rungs(plan, generation)
            rung, left = current_rung(rungs, int(generation.updates))
            updates = min(updates, left)
            members = rung.candidates
        yield ForecastRound(int(generation.number), updates, members)
        timesteps += updates * task.timesteps_per_update
        # There may be a million rounds.
        if generation.candidates or generation.number < rules.max_generations:
            generation = _after_round(plan, generation, timesteps, updates)


def _after_round(
    plan: Plan, generation: Generation, timesteps: int, updates: int
) -> Generation:
    """The generation in which the next round is."""
    zero = np.array(0)
    if generation.candidates:
        rungs = halving_rungs(plan, generation)
        done = generation.updates + updates
        if done == sum(rung.updates for rung in rungs):
            began = np.array(timesteps)
            return generation._replace(candidates=zero, updates=zero, began=began)
        return generation._replace(updates=done)
    if should_start(plan, generation, timesteps):
        index = generation.number + 1
        # A search also tries the best architecture of every generation so far.
        repeated = index if plan.rules.arch_policy == "search" else zero
        candidates = plan.candidates + repeated
        return generation._replace(number=index, candidates=candidates, updates=zero)
    return generation


def make_forecast(plan: Plan, task: Task, device_layout: DeviceLayout) -> Forecast:
    """Counts rounds and steps and estimates memory. Nothing is compiled."""
    rounds = list(forecast_rounds(plan, task))
    pop_size = plan.pop_size
    steps = task.timesteps_per_update
    evaluated = plan.candidates
    if not task.fitness_from_training:
        evaluated += sum(r.members for r in rounds)
    calls = 0
    if task.test_data is None:
        final = math.ceil(plan.report_episodes / (pop_size * num_evaluated(task)))
        interim = len(rounds) // plan.report_every if plan.report_every else 0
        calls = 2 * final + interim
    most_members = max(plan.candidates, *(r.members for r in rounds))
    return Forecast(
        rounds=len(rounds),
        updates=sum(r.updates for r in rounds),
        generations=rounds[-1].generation,
        training=sum(r.updates for r in rounds) * steps * pop_size,
        candidates=sum(r.updates * (r.members - pop_size) for r in rounds) * steps,
        evaluation=evaluated * task.evaluation_steps,
        report=calls * pop_size * task.evaluation_steps,
        memory_bytes=estimate_memory(pop_size, task, device_layout, most_members),
    )


def describe(
    options: Options,
    task: Task,
    forecast: Forecast,
    device_layout: DeviceLayout,
    folders: list[str],
) -> str:
    """A forecast in words.

    Args:
      options: the settings.
      task: what is trained.
      forecast: of one seed.
      device_layout: how the members are spread.
      folders: what would be done in each seed's folder.
    """
    seeds = len(options.seed)
    members = counted(options.pop_size, "member")
    title = f"{task.name}, {base_name(options.strategy)}, {members}"
    if seeds > 1:
        title += f", {seeds} seeds: figures of one"
    report = (
        f"at most {forecast.report:,} {task.step_unit}, not counted in env_steps_total"
    )
    entries = {
        "rounds": f"{forecast.rounds:,}, {forecast.updates:,} updates of each member",
        "training": f"{forecast.training:,} {task.step_unit}",
        "generations": _generations(options, forecast),
        "candidates": f"{forecast.candidates:,} {task.step_unit} "
        "beyond the population's own",
        "evaluation": f"at most {forecast.evaluation:,} {task.step_unit}",
        "fitness": "smaller is better" if task.minimise else "",
        "report": report if task.test_data is None else "on unseen data",
        "programs to compile": _programs(task, forecast),
        "members at once": f"{device_layout.devices} x {device_layout.chunk} "
        "(devices x vmapped)",
        "memory (estimate)": f"{forecast.memory_bytes / 1e6:,.0f} MB for training",
    }
    lines = [f"{name:27}{text}" for name, text in entries.items() if text]
    lines += [f"{'folder':27}{folder}" for folder in folders]
    lines += ["", *space_table(task.space), ""]
    if options.fix:
        lines += [*fixed_table(options.fix), ""]
    return "\n".join([title, *lines, "dry run: nothing was written"])


def _generations(options: Options, forecast: Forecast) -> str:
    """The generations after the first, "" where there are none by the settings."""
    if not options.generations:
        return ""
    if options.too_short:
        return "0 after the first: no distillation would end within max_timesteps"
    count = forecast.generations
    return f"{count} after the first, with a distillation each, if none begins early"


def _programs(task: Task, forecast: Forecast) -> str:
    names = [*ROUND_PROGRAMS, *(["distil"] if forecast.generations else [])]
    variants = len(task.padding.variants)
    sizes = f"{variants + 1} padded sizes" if variants else "one padded size"
    return (
        f"at most {len(names)} large ({', '.join(names)}) in {sizes} "
        "and a few small ones, once for all seeds"
    )
