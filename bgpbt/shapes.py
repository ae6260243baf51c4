"""What the functions of a task give for one member, as shapes and types: traced, never computed."""

from functools import partial

import jax
import numpy as np

from bgpbt import space as spaces
from bgpbt.types import Array, Hyperparams, Key, Metrics, PyTree, Task, TrainState


def given(data: PyTree) -> dict[str, PyTree]:
    """What a task with data gets beside its other arguments."""
    return {"data": data} if jax.tree.leaves(data) else {}


def member_shapes(task: Task) -> TrainState:
    """One member."""
    return jax.eval_shape(task.init, *_drawn(task))


def trained_shapes(task: Task) -> tuple[TrainState, Metrics]:
    """What `train` gives."""

    def train(key, h, state, data, updates):
        return task.train(key, state, h, updates, (), **given(data))

    return jax.eval_shape(train, *_drawn(task), member_shapes(task), task.data, jax.ShapeDtypeStruct((), np.int32))


def evaluated_shapes(task: Task) -> tuple[Array, Array]:
    """What `evaluate` gives."""

    def evaluate(key, h, state, data):
        return task.evaluate(key, state, h, **given(data))

    return jax.eval_shape(evaluate, *_drawn(task), member_shapes(task), task.data)


def refreshed_shapes(task: Task) -> TrainState:
    """What `refresh` gives."""
    key, _ = _drawn(task)
    return jax.eval_shape(task.refresh, key, member_shapes(task))


def _drawn(task: Task) -> tuple[Key, Hyperparams]:
    """A key, and a configuration in natural units."""
    config = jax.ShapeDtypeStruct((len(task.space),), np.float32)
    return jax.eval_shape(lambda: jax.random.PRNGKey(0)), jax.eval_shape(partial(spaces.decode, task.space), config)
