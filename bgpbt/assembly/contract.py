"""Whether a task or strategy of a user's file keeps the contract of `bgpbt.types`.

It is checked before anything is written. What is wrong is one line that names the
field; what the file itself raises is told with the line of the file.
"""

import numbers
from typing import Any, NoReturn

import jax
import numpy as np

from bgpbt import space as spaces
from bgpbt.config.errors import BadInput, nearest
from bgpbt.config.lookup import call_user_code
from bgpbt.execution.shapes import (
    evaluated_shapes,
    member_shapes,
    refreshed_shapes,
    trained_shapes,
)
from bgpbt.execution.trees import difference, kind_of
from bgpbt.registry import FIGURES
from bgpbt.training.decision_check import check_decision
from bgpbt.training.round_records import COLUMNS, is_reserved
from bgpbt.types import (
    NEEDS,
    Decision,
    Outcome,
    PyTree,
    Searched,
    Strategy,
    Task,
    TrainState,
)


def check_task(word: str, task: Task) -> None:
    """Traces the functions of a task, of one member; computes nothing.

    Args:
      word: `path/to/file.py:function` that made it.
      task: what it made.

    Raises:
      BadInput: something is not what `Task` says, or the file raises.
    """
    updates = task.timesteps_per_update
    if not isinstance(updates, numbers.Integral) or updates < 1:
        _refuse_task(
            word,
            f"timesteps_per_update is {updates!r}, give a whole number of at least 1",
        )
    if not isinstance(task.minimise, bool):
        _refuse_task(word, f"minimise is {task.minimise!r}, give True or False")
    _check_figures(word, task)
    _check_space(word, task)
    state = call_user_code("task", word, "init", member_shapes, task)
    _check_init(word, task, state)
    _check_train(word, task, state)
    _check_evaluate(word, task)
    refreshed = call_user_code("task", word, "refresh", refreshed_shapes, task)
    if changed := difference(refreshed, state):
        _refuse_task(word, f"refresh changes the state: {changed}")


def _refuse_task(word: str, problem: str) -> NoReturn:
    raise BadInput(f"task: {word}: {problem}", "task")


def _check_figures(word: str, task: Task) -> None:
    if not isinstance(task.figures, dict):
        _refuse_task(
            word, f"figures is {kind_of(task.figures)}, give a dict name -> arguments"
        )
    for name in task.figures:
        if name not in FIGURES:
            _refuse_task(word, f"figures: {name!r}, {nearest(name, tuple(FIGURES))}")


def _check_space(word: str, task: Task) -> None:
    if not isinstance(task.offered, dict):
        _refuse_task(
            word, f"offered is {kind_of(task.offered)}, give a dict as space is"
        )
    space = task.space
    if isinstance(space, dict) and space:
        if twice := [name for name in task.offered if name in space]:
            _refuse_task(word, f"offered: {twice[0]} is in space, too, keep one")
        space = space | task.offered
    if problem := space_problem(space, task.blocks):
        _refuse_task(word, problem)


def check_dimensions(word: str, task: Task) -> None:
    """Refuses dimensions that an environment of a user's file brings in.

    Args:
      word: `path/to/file.py:function` that made the environment.
      task: in it.

    Raises:
      BadInput: the records have another use for a name, or it is no name.
    """
    if problem := space_problem(task.space | task.offered, task.blocks):
        raise BadInput(f"env_name: {word}: {problem}", "env_name")


def space_problem(space: Any, blocks: tuple[str, ...]) -> str:
    """What is wrong with a search space, "" where nothing is.

    Args:
      space: name -> dimension.
      blocks: that dimensions may describe the architecture of.
    """
    if not isinstance(space, dict) or not space:
        return (
            "space has nothing to search, "
            "give a dict name -> Float, Integer or Categorical"
        )
    for name, dim in space.items():
        if not isinstance(name, str) or not name or set(name) & set("=, \t\n"):
            return f"space: {name!r} is no name, leave out spaces, = and ,"
        if is_reserved(name):
            return (
                f"space: {name} is a column that the records have already, "
                "give another name"
            )
        if problem := spaces.validate(dim):
            return f"space: {name}: {problem}"
        if dim.group not in ("hyperparameter", *blocks):
            return (
                f"space: {name}: group {dim.group!r} is no block, "
                f"give 'hyperparameter' or one of {blocks}"
            )
    return ""


def _check_init(word: str, task: Task, state: TrainState) -> None:
    if not isinstance(state, TrainState):
        _refuse_task(word, f"init gives {kind_of(state)}, not a TrainState")
    for field in ("params", "opt_state"):
        blocks = getattr(state, field)
        if not isinstance(blocks, dict) or set(blocks) != set(task.blocks):
            _refuse_task(
                word,
                f"init: {field} is {kind_of(blocks)}, give a dict with one entry "
                f"for each of blocks {task.blocks}",
            )
    averages = state.averages
    is_dict = isinstance(averages, dict)
    if not (averages == () if not is_dict else set(averages) <= set(task.blocks)):
        _refuse_task(
            word,
            f"init: averages is {kind_of(averages)}, give a dict whose entries are "
            f"some of {task.blocks}",
        )


def _check_train(word: str, task: Task, state: TrainState) -> None:
    trained = call_user_code("task", word, "train", trained_shapes, task)
    is_pair = isinstance(trained, tuple) and len(trained) == 2
    if not is_pair or not isinstance(trained[1], dict):
        _refuse_task(
            word, f"train gives {kind_of(trained)}, not a state and a dict of metrics"
        )
    if changed := difference(trained[0], state):
        _refuse_task(word, f"train changes the state: {changed}")
    wanted_axes = {"loss": 0, "env_steps": 0}
    if task.fitness_from_training:
        wanted_axes["episode_returns"] = 1
    for name, axes in wanted_axes.items():
        if name not in trained[1]:
            _refuse_task(
                word, f"train: no {name!r} among the metrics {tuple(trained[1])}"
            )
        shape = trained[1][name].shape
        if len(shape) != axes:
            right = "shape [E]" if axes else "one number"
            _refuse_task(word, f"train: {name!r} has shape {shape}, give {right}")


def _check_evaluate(word: str, task: Task) -> None:
    evaluated = call_user_code("task", word, "evaluate", evaluated_shapes, task)
    first = "returns [E]" if task.score is None else "statistics"
    pair = evaluated if isinstance(evaluated, tuple) else ()
    axes = [len(getattr(x, "shape", "no")) for x in pair]
    if len(pair) != 2 or axes[1] != 0 or (task.score is None and axes[0] != 1):
        _refuse_task(
            word,
            f"evaluate gives {kind_of(evaluated)}, "
            f"not {first} and the simulated steps []",
        )
    _check_columns(word, task, pair[0])
    if task.score is None:
        return
    if not isinstance(task.num_scores, numbers.Integral) or task.num_scores < 1:
        _refuse_task(
            word,
            f"num_scores is {task.num_scores!r}, give a whole number of at least 1",
        )


def _check_columns(word: str, task: Task, statistics: PyTree) -> None:
    """Each column is one of the statistics, and its name is free."""
    for name in task.columns:
        if task.score is None:
            _refuse_task(word, "columns are read from statistics, give a score, too")
        if is_reserved(name) or name in task.space:
            _refuse_task(
                word, f"columns: the records have {name} already, give another name"
            )
        column = statistics.get(name) if isinstance(statistics, dict) else None
        if len(getattr(column, "shape", ())) != 1:
            _refuse_task(
                word, f"columns: evaluate has no statistic {name!r} of shape [E]"
            )


def check_strategy(
    word: str,
    strategy: Strategy,
    searched: Searched,
    pop_size: int,
    *,
    steps: int = 1,
    num_returns: int = 1,
) -> None:
    """Has a strategy take two steps on made-up outcomes of P members.

    Args:
      word: `path/to/file.py:function` that made it.
      strategy: what it made, for this task and population.
      searched: what it is to serve.
      pop_size: P.
      steps: of a made-up round.
      num_returns: E, of a made-up evaluation.

    Raises:
      BadInput: it answers what `Strategy` does not allow, or the file raises.
    """
    shape = pop_size, len(searched.space)
    first, *later = _made_up_outcomes(shape, steps, num_returns)
    key = jax.random.PRNGKey(0)
    state = call_user_code("strategy", word, "init", strategy.init, key, first)
    arrays = jax.Array | np.ndarray | np.generic
    if strange := [x for x in jax.tree.leaves(state) if not isinstance(x, arrays)]:
        _refuse_strategy(
            word, f"init: the state holds {kind_of(strange[0])}, give arrays"
        )
    for outcome in later:
        state = _check_step(word, strategy, searched, key, state, outcome)
    drawn = call_user_code("strategy", word, "draw", strategy.draw, key, first.config)
    if np.shape(drawn) != first.config.shape:
        _refuse_strategy(
            word, f"draw gives shape {np.shape(drawn)}, not {first.config.shape}"
        )
    columns = call_user_code(
        "strategy", word, "diagnostics", strategy.diagnostics, state
    )
    for name, column in columns.items():
        if np.shape(column) not in ((), (pop_size,)):
            _refuse_strategy(
                word,
                f"diagnostics: {name} has shape {np.shape(column)}, "
                f"give () or ({pop_size},)",
            )
        if (kind := np.asarray(column).dtype).kind not in "fiub":
            _refuse_strategy(word, f"diagnostics: {name} has type {kind}, give numbers")
        taken = name in COLUMNS or name.startswith("parent_")
        if taken or name in searched.space:
            _refuse_strategy(
                word,
                f"diagnostics: {name} is a column that the records have already, "
                "give another name",
            )


def _refuse_strategy(word: str, problem: str) -> NoReturn:
    raise BadInput(f"strategy: {word}: {problem}", "strategy")


def _made_up_outcomes(
    shape: tuple[int, int], steps: int, num_returns: int
) -> list[Outcome]:
    """Outcomes of three rounds. `shape`: (P, D)."""
    random = np.random.default_rng(0)
    pop_size, _ = shape
    outcomes = []
    for round_ in range(3):
        trained = np.full(pop_size, round_ * steps, np.int32)
        outcome = Outcome(
            config=random.random(shape).astype(np.float32),
            fitness=random.random(pop_size).astype(np.float32),
            episode_returns=random.random((pop_size, num_returns)).astype(np.float32),
            timesteps=trained,
            age=trained.copy(),
            active=np.ones(pop_size, bool),
        )
        outcomes.append(outcome)
    return outcomes


def _check_step(
    word: str,
    strategy: Strategy,
    searched: Searched,
    key: jax.Array,
    state: PyTree,
    outcome: Outcome,
) -> PyTree:
    """Takes a step. Returns the state after it."""
    answer = call_user_code(
        "strategy", word, "step", strategy.step, key, state, outcome
    )
    is_pair = isinstance(answer, tuple) and len(answer) == 2
    if not is_pair or not isinstance(answer[1], Decision):
        _refuse_strategy(
            word, f"step gives {kind_of(answer)}, not its state and a Decision"
        )
    if changed := difference(answer[0], state):
        _refuse_strategy(
            word,
            f"step changes the state: {changed}; "
            "a checkpoint is read back in the shapes that init gives",
        )
    pop_size = len(outcome.fitness)
    check_decision(word, answer[1], searched, pop_size, strategy.mutates)
    return answer[0]


def check_needs(word: str, strategy: Strategy) -> None:
    """Raises BadInput where a strategy needs what no task can have."""
    if unknown := [need for need in strategy.needs if need not in NEEDS]:
        _refuse_strategy(
            word, f"needs {unknown[0]!r} is unknown, give some of {tuple(NEEDS)}"
        )
