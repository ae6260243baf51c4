"""Settings become a task, a strategy, a plan, a place on the devices."""

import math
from functools import partial
from typing import NamedTuple

from bgpbt import space as spaces
from bgpbt.assembly import contract
from bgpbt.assembly.search_space import customise
from bgpbt.config.errors import BadInput
from bgpbt.config.lookup import (
    build,
    call_user_code,
    guarded,
    kwargs_from,
    resolve,
)
from bgpbt.config.options import Options
from bgpbt.config.parsers import user_file
from bgpbt.config.settings import base_name
from bgpbt.execution.devices import DeviceLayout, choose_layout
from bgpbt.execution.shapes import num_returns
from bgpbt.gp import architectures
from bgpbt.gp.inference import make_inference
from bgpbt.registry import STRATEGIES, TASKS
from bgpbt.space import Float
from bgpbt.strategies.frozen import frozen
from bgpbt.training.engine import Engine, make_engine
from bgpbt.training.generations import architecture_space
from bgpbt.training.plan import GenerationRules, Plan
from bgpbt.types import NEEDS, Searched, Strategy, Task

MOST_ARCHITECTURES = 100_000  # that a search lists and compares


class Parts(NamedTuple):
    """What all later code gets in place of the settings."""

    task: Task
    strategy: Strategy
    plan: Plan
    device_layout: DeviceLayout
    gp: str | None  # what proposes architectures; None where nothing does


def assemble(
    options: Options, task: Task | None = None, strategy: Strategy | None = None
) -> Parts:
    """Turns settings into the parts of a run.

    Args:
      options: the settings.
      task: instead of the one that `options` describes.
      strategy: instead of the one that `options` names.

    Raises:
      BadInput: the parts do not fit together, or a user's file cannot be used.
    """
    task = task or make_task(options)
    strategy = strategy or make_strategy(options, task)
    plan = make_plan(options, task)
    device_layout = choose_layout(
        options.pop_size, options.max_parallel, options.devices
    )
    gp = options.gp if plan.searches_architectures else None
    if gp is not None:
        _check_architectures(task)
    return Parts(task, strategy, plan, device_layout, gp)


def _check_architectures(task: Task) -> None:
    """Refuses more architectures than a search can list and compare."""
    dims = [dim for dim in task.space.values() if dim.group != "hyperparameter"]
    values = [spaces.num_values(dim) for dim in dims if not isinstance(dim, Float)]
    if (number := math.prod(values)) > MOST_ARCHITECTURES:
        raise BadInput(
            f"space: {number:,} architectures are too many to search, give narrower "
            f"or doubling ranges (at most {MOST_ARCHITECTURES:,}) or "
            "--arch_policy random",
            "space",
        )


def start_engine(parts: Parts, *, background: bool = True) -> Engine:
    """The programs of a run, see `make_engine`."""
    propose = None
    if parts.gp is not None:
        space = architecture_space(parts.task.space)
        propose = architectures.make_architecture_search(space, gp=parts.gp)
    return make_engine(
        parts.plan,
        parts.task,
        parts.strategy,
        parts.device_layout,
        propose,
        background=background,
    )


def make_task(options: Options) -> Task:
    """The task that the options name.

    Raises:
      BadInput: a file's task cannot be used, or the task has no such problem.
    """
    function = resolve("task", options.task, TASKS)
    task = build("task", options.task, function, Task, options)
    if options.task in TASKS:
        if options.task == "ppo" and user_file(options.env_name):
            contract.check_dimensions(options.env_name, task)
        return as_asked(options, task)
    contract.check_task(options.task, task)
    if task.score is not None:
        score = guarded("task", options.task, "score", task.score)
        task = task._replace(score=score)
    customised = as_asked(options, task)
    if customised.space is not task.space:  # other values are traced now
        contract.check_task(options.task, customised)
    return customised


def as_asked(options: Options, task: Task) -> Task:
    """A task with the search space and the direction that the options ask for.

    Raises:
      BadInput: there is no such dimension, or it cannot be so.
    """
    customised = customise(task, options.space, options.fix)
    if options.search_mode == "nas":
        for name in set(options.space) - set(task.space):
            if customised.space[name].group == "hyperparameter":
                raise BadInput(
                    f"space: {name} is not searched with -sm nas, give -sm both or "
                    f"--fix {name}=VALUE",
                    "space",
                )
    return customised._replace(minimise=True) if options.minimise else customised


def make_strategy(options: Options, task: Task) -> Strategy:
    """The strategy that the options name, frozen where they say so.

    Raises:
      BadInput: a file's strategy cannot be used, or this one cannot serve the task or
        the population.
    """
    if options.generations and options.arch_policy == "search":
        # Refuses what is not installed now, not at the first generation.
        make_inference(options.gp)
    function = resolve("strategy", options.method, STRATEGIES)
    strategy = build(
        "strategy",
        options.strategy,
        function,
        Strategy,
        task.space,
        task.blocks,
        **kwargs_from(options, function),
    )
    _check_fits(options, task, strategy)
    if options.strategy not in STRATEGIES:
        strategy = guarded_strategy(options.strategy, strategy)
    return frozen(strategy) if options.freeze else strategy


def guarded_strategy(word: str, strategy: Strategy) -> Strategy:
    """A strategy of a user's file, whose errors in a run are one line, too."""
    wrap = partial(guarded, "strategy", word)
    return strategy._replace(
        init=wrap("init", strategy.init),
        step=wrap("step", strategy.step),
        diagnostics=wrap("diagnostics", strategy.diagnostics),
        draw=wrap("draw", strategy.draw),
    )


def make_plan(options: Options, task: Task) -> Plan:
    """What the loop takes of the settings."""
    return Plan(
        pop_size=options.pop_size,
        candidates=options.candidates,
        schedule=options.schedule(task.timesteps_per_update),
        rules=GenerationRules(
            max_generations=options.generations,
            patience=options.patience,
            distill_every=options.distill_every,
            t_distillation=options.t_distillation,
            arch_policy=options.arch_policy,
        ),
        default_configs=options.freeze == "default",
        report_episodes=options.report_episodes,
        report_every=options.report_every,
        save_every=options.save_every,
    )


def _check_fits(options: Options, task: Task, strategy: Strategy) -> None:
    """Refuses a strategy that the task or the population cannot serve."""
    is_file = options.strategy not in STRATEGIES
    if is_file:
        contract.check_needs(options.strategy, strategy)
    name = base_name(options.task)
    mode = options.search_mode
    has = offers(task)
    # Counted only where they matter: it traces the task.
    has["returns"] = "returns" not in strategy.needs or num_returns(task) > 1
    if mode != "hpo" and not has["architectures"]:
        raise BadInput(
            f"search_mode: {mode} searches architectures, task {name} has none, "
            "give -sm hpo",
            "search_mode",
        )
    if missing := [need for need in strategy.needs if not has[need]]:
        reason = f"task {name} with search_mode {mode} has none"
        if missing[0] == "returns" and options.task == "ppo":
            reason = f"eval_episodes is {options.eval_episodes}, give at least 2"
        raise BadInput(
            f"strategy: {base_name(options.strategy)} needs {NEEDS[missing[0]]}, "
            f"{reason}",
            "strategy",
        )
    if options.freeze and not strategy.can_freeze:
        raise BadInput(
            f"freeze: configurations of {base_name(options.strategy)} travel with its "
            "members, leave --freeze out or give another -o",
            "freeze",
        )
    problem = call_user_code(
        "strategy", options.strategy, "validate", strategy.validate, options.pop_size
    )
    if problem:
        raise BadInput(problem, "strategy")
    if is_file:
        contract.check_strategy(
            options.strategy,
            strategy,
            task,
            options.pop_size,
            steps=task.timesteps_per_update,
            num_returns=num_returns(task),
        )


def offers(searched: Searched) -> dict[str, bool]:
    """Which of `NEEDS` a search space has."""
    arch_mask = ~spaces.group_mask(searched.space, "hyperparameter")
    continuous = any(
        dim.group == "hyperparameter" and not isinstance(dim, spaces.Categorical)
        for dim in searched.space.values()
    )
    return {
        "hyperparameters": not arch_mask.all(),
        "architectures": bool(arch_mask.any()),
        "continuous": continuous,
    }
