"""Whether a task or strategy from a person's own file keeps the contract of `bgpbt.types`, before anything is written.

What is wrong is one line that names the field; what the file itself raises is told with the line of the file.
"""

import numbers
from typing import Any

import jax
import numpy as np

from bgpbt import space as spaces
from bgpbt.lookup import attempt
from bgpbt.options import BadInput
from bgpbt.plan import returns_of
from bgpbt.shapes import evaluated_shapes, member_shapes, refreshed_shapes, trained_shapes
from bgpbt.types import NEEDS, Decision, Outcome, PyTree, Source, Strategy, Task, TrainState


def check_task(word: str, task: Task) -> None:
    """Traces the functions of a task, of one member; computes nothing.

    Args:
      word: `path/to/file.py:function` that made it.
      task: what it made.

    Raises:
      BadInput: something is not what `Task` says, or the file raises.
    """

    def refuse(what: str) -> None:
        raise BadInput(f"task: {word}: {what}", "task")

    if not isinstance(task.timesteps_per_update, numbers.Integral) or task.timesteps_per_update < 1:
        refuse(f"timesteps_per_update is {task.timesteps_per_update!r}, give a whole number of at least 1")
    if not isinstance(task.space, dict) or not task.space:
        refuse("space has nothing to search, give a dict name -> Float, Integer or Categorical")
    for name, dim in task.space.items():
        if complaint := spaces.complaint(dim):
            refuse(f"space: {name}: {complaint}")
        if dim.group not in ("hyperparameter", *task.blocks):
            refuse(f"space: {name}: group {dim.group!r} is no block, give 'hyperparameter' or one of {task.blocks}")
    state = attempt("task", word, "init", member_shapes, task)
    if not isinstance(state, TrainState):
        refuse(f"init gives {_kind(state)}, not a TrainState")
    for field in ("params", "moments"):
        there = getattr(state, field)
        if not isinstance(there, dict) or set(there) != set(task.blocks):
            refuse(f"init: {field} is {_kind(there)}, give a dict with one entry for each of blocks {task.blocks}")
    trained = attempt("task", word, "train", trained_shapes, task)
    if not isinstance(trained, tuple) or len(trained) != 2 or not isinstance(trained[1], dict):
        refuse(f"train gives {_kind(trained)}, not a state and a dict of metrics")
    if changed := difference(trained[0], state):
        refuse(f"train changes the state: {changed}")
    wanted = {"loss": 0, "env_steps": 0} | ({"episode_returns": 1} if task.fitness_from_training else {})
    for name, axes in wanted.items():
        if name not in trained[1]:
            refuse(f"train: no {name!r} among the metrics {tuple(trained[1])}")
        if len(trained[1][name].shape) != axes:
            refuse(f"train: {name!r} has shape {trained[1][name].shape}, give {'one number' if axes == 0 else 'shape [E]'}")
    judged = attempt("task", word, "evaluate", evaluated_shapes, task)
    if not isinstance(judged, tuple) or [len(getattr(x, "shape", "no")) for x in judged] != [1, 0]:
        refuse(f"evaluate gives {_kind(judged)}, not returns [E] and the simulated steps []")
    if changed := difference(attempt("task", word, "refresh", refreshed_shapes, task), state):
        refuse(f"refresh changes the state: {changed}")


def check_strategy(word: str, strategy: Strategy, task: Task, pop_size: int) -> None:
    """Has a strategy take two steps on made-up outcomes of `pop_size` members.

    Args:
      word: `path/to/file.py:function` that made it.
      strategy: what it made, for this task and population.
      task: what it is to serve.
      pop_size: P.

    Raises:
      BadInput: it answers what `Strategy` does not allow, or the file raises.
    """
    size, episodes, random = pop_size, returns_of(task), np.random.default_rng(0)
    made_up = [
        Outcome(
            config=random.random((size, len(task.space))).astype(np.float32),
            fitness=random.random(size).astype(np.float32),
            episode_returns=random.random((size, episodes)).astype(np.float32),
            timesteps=np.full(size, round_ * task.timesteps_per_update, np.int32),
            age=np.full(size, round_ * task.timesteps_per_update, np.int32),
            active=np.ones(size, bool),
        )
        for round_ in range(3)
    ]
    key = jax.random.PRNGKey(0)
    state = attempt("strategy", word, "init", strategy.init, key, made_up[0])
    if strange := [x for x in jax.tree.leaves(state) if not isinstance(x, jax.Array | np.ndarray | np.generic)]:
        raise BadInput(f"strategy: {word}: init: the state holds {_kind(strange[0])}, give arrays", "strategy")
    for outcome in made_up[1:]:
        answer = attempt("strategy", word, "step", strategy.step, key, state, outcome)
        if not isinstance(answer, tuple) or len(answer) != 2 or not isinstance(answer[1], Decision):
            raise BadInput(f"strategy: {word}: step gives {_kind(answer)}, not its state and a Decision", "strategy")
        if changed := difference(answer[0], state):
            text = f"step changes the state: {changed}; a checkpoint is read back in the shapes that init gives"
            raise BadInput(f"strategy: {word}: {text}", "strategy")
        state = answer[0]
        check_decision(word, answer[1], task, size, strategy.mutates)
    drawn = np.shape(attempt("strategy", word, "draw", strategy.draw, key, made_up[0].config))
    if drawn != made_up[0].config.shape:
        raise BadInput(f"strategy: {word}: draw gives shape {drawn}, not {made_up[0].config.shape}", "strategy")
    for name, belief in attempt("strategy", word, "beliefs", strategy.beliefs, state).items():
        if np.shape(belief) not in ((), (size,)):
            raise BadInput(f"strategy: {word}: beliefs: {name} has shape {np.shape(belief)}, give () or ({size},)", "strategy")


def check_needs(word: str, strategy: Strategy) -> None:
    """Raises BadInput where a strategy needs what no task can have."""
    if unknown := [need for need in strategy.needs if need not in NEEDS]:
        raise BadInput(f"strategy: {word}: needs {unknown[0]!r} is unknown, give some of {tuple(NEEDS)}", "strategy")


def check_decision(word: str, decision: Decision, task: Task, pop_size: int, mutates: bool) -> None:
    """Raises BadInput where members cannot be made from a decision: its shapes, who does not exist, what is not finite."""
    members, blocks = (pop_size,), (pop_size, len(task.blocks))
    shapes = {"config": (pop_size, len(task.space)), "parents": blocks, "shrink": blocks, "perturb": blocks}
    shapes |= {"active": members, "source": members} | ({"mutate": members} if mutates else {})
    for field, shape in shapes.items():
        there = np.asarray(getattr(decision, field))
        if there.shape != shape:
            raise BadInput(f"strategy: {word}: decision: {field} has shape {there.shape}, give {shape}", "strategy")
        kinds, wanted = ("iu", "whole numbers") if field in ("parents", "source") else ("fiub", "numbers")
        if there.dtype.kind not in kinds:
            raise BadInput(f"strategy: {word}: decision: {field} has type {there.dtype}, give {wanted}", "strategy")
        if there.dtype.kind == "f" and not np.isfinite(there).all():
            raise BadInput(f"strategy: {word}: decision: {field} is not finite everywhere", "strategy")
    for field, above, those in (
        ("parents", pop_size, f"members 0 to {pop_size - 1} or {pop_size}, the saved best"),
        ("source", max(Source), "a Source"),
    ):
        numbers = np.asarray(getattr(decision, field))
        if wrong := numbers[(numbers < 0) | (numbers > above)].tolist():
            raise BadInput(f"strategy: {word}: decision: {field} has {wrong[0]}, give {those}", "strategy")


def difference(tree: PyTree, wanted: PyTree) -> str:
    """Where two trees differ first in a leaf, its shape or type, in words; "" where they do not."""
    here, there = (
        {jax.tree_util.keystr(path) or "it": leaf for path, leaf in jax.tree.leaves_with_path(x)} for x in (tree, wanted)
    )
    for path in [*there, *here]:
        now, before = (_leaf(leaves[path]) if path in leaves else "nothing" for leaves in (here, there))
        if now != before:
            return f"{path} is {now}, was {before}"
    same = jax.tree.structure(tree) == jax.tree.structure(wanted)
    return "" if same else f"{_kind(tree)} instead of {_kind(wanted)}, or of other kinds inside"


def _leaf(what: Any) -> str:
    return f"{what.dtype}{list(what.shape)}" if hasattr(what, "dtype") else type(what).__name__


def _kind(what: Any) -> str:
    """What something is, in a word or a few."""
    if isinstance(what, tuple) and not hasattr(what, "_fields"):
        return f"({', '.join(map(_kind, what))})"
    if isinstance(what, dict):
        return f"a dict of {tuple(what)}"
    return f"an array {list(what.shape)}" if hasattr(what, "shape") else type(what).__name__
