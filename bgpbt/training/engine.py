"""What all seeds of a run share: the compiled programs and what they are called with.

`P` members, `D` dimensions.
"""

from typing import Any, NamedTuple

import jax
import numpy as np

from bgpbt.execution.background import BackgroundCompile, compile_in_background
from bgpbt.execution.devices import DeviceLayout, replicate
from bgpbt.execution.programs import Programs, make_programs
from bgpbt.gp import architectures
from bgpbt.gp.architectures import Propose
from bgpbt.space import SearchSpace
from bgpbt.training.generations import architecture_space
from bgpbt.training.observer import Observer
from bgpbt.training.plan import Plan
from bgpbt.types import PyTree, Strategy, Task

# The programs of every round.
ROUND_PROGRAMS = ("init", "evaluate", "train", "inherit")


class Engine(NamedTuple):
    """What all seeds of a run share: compiled once."""

    plan: Plan
    task: Task
    strategy: Strategy
    programs: tuple[Programs, ...]  # of each padding, ascending
    device_layout: DeviceLayout
    data: PyTree = ()  # the task's, on the devices
    propose: Propose | None = None  # architectures for a new generation

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The task in each padding, ascending."""
        return (*self.task.padding.variants, self.task)

    @property
    def round_data(self) -> PyTree:
        """The data of a round, with what is known when it begins."""
        cache = self.task.cache
        return self.data if cache is None else cache.fill(self.data)

    @property
    def largest(self) -> Programs:
        """The programs of the largest padding."""
        return self.programs[-1]


def make_engine(
    plan: Plan,
    task: Task,
    strategy: Strategy,
    device_layout: DeviceLayout,
    propose: Propose | None = None,
    *,
    background: bool = True,
) -> Engine:
    """Builds the programs.

    Args:
      plan: members and rules.
      task: what they learn.
      strategy: what decides between rounds.
      device_layout: how the members are spread.
      propose: what proposes architectures, where a Gaussian process does.
      background: the large programs, the strategy and `propose` are compiled in the
        background once they are begun. False: nothing is compiled before it is called.
    """
    tasks = (*task.padding.variants, task)
    programs = [make_programs(padded, plan.pop_size, device_layout) for padded in tasks]
    if background:
        programs = [
            compile_in_background(small, padded, task, plan.pop_size, device_layout)
            for small, padded in zip(programs, tasks, strict=True)
        ]
        strategy = _prepared(strategy, plan.pop_size)
        if propose is not None:
            space = architecture_space(task.space)
            propose = _prepared_search(propose, space, plan.candidates // 2)
    data = replicate(task.data, device_layout)
    return Engine(plan, task, strategy, tuple(programs), device_layout, data, propose)


def _prepared(strategy: Strategy, pop_size: int) -> Strategy:
    """The strategy, which is prepared in the background once its step is begun.

    A step waits for that.
    """

    def make():
        strategy.prepare(pop_size)
        return strategy.step

    step: Any = BackgroundCompile(make)
    return strategy._replace(step=step)


def _prepared_search(propose: Propose, space: SearchSpace, count: int) -> Propose:
    """The search over architectures, which an imagined proposal compiles."""

    def make():
        some = architectures.all_architectures(space)[:1]
        propose(jax.random.PRNGKey(0), some, np.zeros(1), count)
        return propose

    prepared: Any = BackgroundCompile(make)
    return prepared


def compile_for(
    engine: Engine, paddings: np.ndarray, names: tuple[str, ...], observer: Observer
) -> None:
    """Waits until programs of some paddings are compiled, on all cores.

    Behind them the strategy is compiled, which the end of a round needs.

    Args:
      engine: has the programs.
      paddings: indices of paddings; duplicates count once.
      names: fields of `Programs`.
      observer: told that this takes time.
    """
    programs = [
        getattr(engine.programs[padding], name)
        for padding in sorted(set(paddings.tolist()))
        for name in names
    ]
    missing = [program for program in programs if not program.ready]
    if missing:
        observer.phase("compiling", f"{len(missing)} programs")
    for program in missing:
        program.begin()
    begin_compiling(engine.strategy.step)
    for program in missing:
        program.wait()


def begin_compiling(function: Any) -> None:
    """Begins to make what is made in the background. Nothing waits for it.

    Args:
      function: of an engine; anything else is left alone.
    """
    if isinstance(function, BackgroundCompile):
        function.begin()
