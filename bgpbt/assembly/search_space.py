"""The search space as a user wants it: a task whose dimensions are changed or fixed.

The task's own functions see what they were written for: natural values by name, of
every dimension that they know.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from bgpbt import space as spaces
from bgpbt.config.errors import BadInput, nearest
from bgpbt.config.search_space import Change, parse_change
from bgpbt.space import Categorical, Dimension, Float, Integer, SearchSpace
from bgpbt.types import (
    NOTHING_OFFERED,
    Array,
    Distillation,
    Hyperparams,
    Key,
    Metrics,
    Policy,
    PyTree,
    Task,
    TrainState,
)

# A scale, and the field that says it.
_FIELDS = {
    Float: ("log", "log_complement"),
    Integer: ("log", "doubling"),
    Categorical: (),
}


def customise(task: Task, changed: Mapping[str, str], fixed: Mapping[str, str]) -> Task:
    """Changes and fixes dimensions of a task.

    Args:
      task: as its file made it, with the dimensions that it offers. One that has been
        customised stays as it is.
      changed: text of a change by name, as `bgpbt.config.search_space` reads it.
      fixed: text of a value by name.

    Raises:
      BadInput: there is no such dimension, or it cannot be so.
    """
    is_customised = isinstance(getattr(task.init, "__self__", None), _Rewritten)
    if is_customised or not (changed or fixed):
        return task
    known = task.space | task.offered
    for setting, names in (("space", changed), ("fix", fixed)):
        if unknown := [name for name in names if name not in known]:
            close = nearest(unknown[0], tuple(known))
            raise BadInput(
                f"{setting}: unknown dimension {unknown[0]!r} of {task.name}, {close}",
                setting,
            )
    space = {
        name: _changed(name, dim, parse_change(changed.get(name, "")))
        if name in changed
        else dim
        for name, dim in known.items()
        if name not in fixed and (name in task.space or name in changed)
    }
    if not space:
        raise BadInput("fix: no dimension is left to search, fix fewer", "fix")
    constants = {name: _constant(name, known[name], fixed[name]) for name in fixed}
    return _rewritten(task, space, constants)


def _changed(name: str, dim: Dimension, change: Change) -> Dimension:
    """A dimension with another range, scale, default or fewer choices."""
    if isinstance(dim, Categorical):
        result = _with_choices(name, dim, change)
    else:
        result = _with_range(name, dim, change)
    if problem := spaces.validate(result):
        _refuse("space", name, problem)
    return result


def _with_choices(name: str, dim: Categorical, change: Change) -> Categorical:
    words = tuple(map(str, dim.choices))
    if change.low is not None or change.scale is not None:
        _refuse("space", name, f"has no range, give some of {','.join(words)}")
    chosen = change.choices or words
    for word in (*chosen, *filter(None, [change.default])):
        if word not in words:
            _refuse("space", name, f"unknown choice {word!r}, {nearest(word, words)}")
    default = change.default or words[dim.default]
    if default not in chosen:
        if change.default:
            _refuse("space", name, f"default {default} is not among {','.join(chosen)}")
        default = chosen[0]
    choices = tuple(dim.choices[words.index(word)] for word in chosen)
    return dim._replace(choices=choices, default=chosen.index(default))


def _with_range(name: str, dim: Float | Integer, change: Change) -> Float | Integer:
    if change.choices:
        words = ",".join(change.choices)
        close = nearest(words, ("linear", *_FIELDS[type(dim)]))
        _refuse("space", name, f"{words!r} is no range and no scale, {close}")
    low, high = dim.low, dim.high
    if change.low is not None and change.high is not None:
        low, high = change.low, change.high
    if low > high or (low == high and isinstance(dim, Float)):
        _refuse("space", name, f"low {low:.10g} is not below high {high:.10g}")
    if low < dim.least or high > dim.most:
        _refuse(
            "space",
            name,
            f"{low:.10g} to {high:.10g} goes beyond {dim.least:.10g} to "
            f"{dim.most:.10g}, which is all that is possible",
        )
    scale = change.scale or spaces.scale_of(dim)
    allowed = _FIELDS[type(dim)]
    if scale != "linear" and scale not in allowed:
        right = ", ".join(("linear", *allowed))
        _refuse("space", name, f"cannot have the scale {scale}, give {right}")
    default = dim.default
    if change.default is not None:
        default = _number("space", name, change.default)
    elif low > 0 and scale == "doubling":
        default = low * 2 ** round(math.log2(min(max(default, low), high) / low))
    else:  # the task's own, or the nearest end
        default = min(max(default, low), high)
    if isinstance(dim, Integer):
        for value in (low, high, default):
            if value != int(value):
                _refuse("space", name, f"{value:.10g} is not a whole number")
        low, high, default = int(low), int(high), int(default)
    fields: dict[str, Any] = {field: field == scale for field in allowed}
    fields |= {"low": low, "high": high, "default": default}
    return dim._replace(**fields)


def _number(setting: str, name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        _refuse(setting, name, f"{text!r} is not a finite number")
    return number


def _constant(name: str, dim: Dimension, text: str) -> np.generic:
    """The value of a fixed dimension, of the type that its traced values have."""
    if isinstance(dim, Categorical):
        words = tuple(map(str, dim.choices))
        if text not in words:
            _refuse("fix", name, f"unknown choice {text!r}, {nearest(text, words)}")
        return np.int32(words.index(text))
    number = _number("fix", name, text)
    if not dim.least <= number <= dim.most:
        right = f"{dim.least:.10g} to {dim.most:.10g}"
        _refuse("fix", name, f"{number:.10g} is not in {right}")
    if problem := spaces.number_problem(dim, number):
        _refuse("fix", name, problem)
    return np.float32(number) if isinstance(dim, Float) else np.int32(number)


def _refuse(setting: str, name: str, problem: str) -> None:
    raise BadInput(f"{setting}: {name}: {problem}", setting)


class _Rewritten(NamedTuple):
    """A task's functions behind another space: they get the values that they know."""

    task: Task
    space: SearchSpace
    constants: Hyperparams

    def complete(self, values: Mapping[str, Array]) -> Hyperparams:
        """All values that the task knows, from those of the space's dimensions."""
        known = self.task.space | self.task.offered
        result = dict(self.constants)
        for name, value in values.items():
            result[name] = _in_task(self.space[name], known[name], value)
        return {name: result[name] for name in known if name in result}

    def init(self, key: Key, hyperparams: Hyperparams) -> TrainState:
        return self.task.init(key, self.complete(hyperparams))

    def train(
        self,
        key: Key,
        state: TrainState,
        hyperparams: Hyperparams,
        updates: Array,
        teaching: Distillation | tuple[()],
        **data: PyTree,
    ) -> tuple[TrainState, Metrics]:
        if teaching:
            values = self.complete(dict(teaching.teacher_hyperparams))
            teaching = teaching._replace(teacher_hyperparams=values)
        values = self.complete(hyperparams)
        return self.task.train(key, state, values, updates, teaching, **data)

    def evaluate(
        self, key: Key, state: TrainState, hyperparams: Hyperparams, **data: PyTree
    ) -> tuple[PyTree, Array]:
        return self.task.evaluate(key, state, self.complete(hyperparams), **data)

    def refresh(
        self, key: Key, state: TrainState, hyperparams: Hyperparams
    ) -> TrainState:
        return self.task.refresh(key, state, self.complete(hyperparams))

    def supports(self, architectures: dict[str, np.ndarray]) -> np.ndarray:
        size = len(next(iter(architectures.values())))
        values = {
            name: np.broadcast_to(value, size)
            for name, value in self.complete(architectures).items()
        }
        return self.task.padding.supports(values)

    def policy(self, state: TrainState, hyperparams: Hyperparams) -> Policy:
        playback = self.task.playback
        assert playback is not None
        return playback.policy(state, self.complete(hyperparams))


def _rewritten(task: Task, space: SearchSpace, constants: Hyperparams) -> Task:
    """The task in another space, in all of its paddings."""
    behind = _Rewritten(task, space, constants)
    playback = task.playback
    return task._replace(
        space=space,
        offered=NOTHING_OFFERED,
        init=behind.init,
        train=behind.train,
        evaluate=behind.evaluate,
        refresh=behind.refresh,
        initial_configs=_initial_configs(task, space),
        playback=playback and playback._replace(policy=behind.policy),
        padding=task.padding._replace(
            variants=tuple(
                _rewritten(variant, space, constants)
                for variant in task.padding.variants
            ),
            supports=behind.supports,
        ),
    )


def _in_task(dim: Dimension, known: Dimension, value: Array) -> Array:
    """The value that the task knows: a category's place among all of its choices."""
    if not isinstance(dim, Categorical) or not isinstance(known, Categorical):
        return value
    if dim.choices == known.choices:
        return value
    table = _places(dim, known)
    return table[value] if isinstance(value, np.ndarray) else jnp.asarray(table)[value]


def _initial_configs(task: Task, space: SearchSpace) -> np.ndarray | None:
    """The first configurations in the new space, at the nearest end where outside."""
    if task.initial_configs is None:
        return None
    values = spaces.decode(task.space, jnp.asarray(task.initial_configs))
    columns = []
    for name, dim in space.items():
        value = values.get(name, dim.default)
        if isinstance(dim, Categorical):
            known = task.space.get(name, dim)
            if isinstance(known, Categorical) and name in values:
                value = jnp.asarray(_places(known, dim))[value]
        else:
            value = jnp.clip(value, dim.low, dim.high)
        value = jnp.broadcast_to(value, len(task.initial_configs))
        columns.append(spaces.encode_dimension(dim, value))
    return np.stack([np.asarray(c) for c in columns], axis=-1)


def _places(dim: Categorical, other: Categorical) -> np.ndarray:
    """Where the choices of `dim` stand in `other`, else its default. int32."""
    places = [
        other.choices.index(choice) if choice in other.choices else other.default
        for choice in dim.choices
    ]
    return np.array(places, np.int32)
