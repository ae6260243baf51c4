"""What a task's functions give for one member: traced as shapes, never computed."""

import math
from functools import partial

import jax
import numpy as np

from bgpbt import space as spaces
from bgpbt.types import Array, Hyperparams, Key, Metrics, PyTree, Task, TrainState


def data_kwargs(data: PyTree) -> dict[str, PyTree]:
    """The keyword that `train` and `evaluate` of a task with data get."""
    return {"data": data} if jax.tree.leaves(data) else {}


def member_shapes(task: Task) -> TrainState:
    """Shapes and dtypes of one member."""
    return jax.eval_shape(task.init, *_key_and_hyperparams(task))


def trained_shapes(task: Task) -> tuple[TrainState, Metrics]:
    """Shapes and dtypes of what `train` returns."""

    def train(key, hyperparams, state, data, updates):
        return task.train(key, state, hyperparams, updates, (), **data_kwargs(data))

    updates = jax.ShapeDtypeStruct((), np.int32)
    return jax.eval_shape(
        train, *_key_and_hyperparams(task), member_shapes(task), task.data, updates
    )


def evaluated_shapes(task: Task) -> tuple[Array, Array]:
    """Shapes and dtypes of what `evaluate` returns."""

    def evaluate(key, hyperparams, state, data):
        return task.evaluate(key, state, hyperparams, **data_kwargs(data))

    return jax.eval_shape(
        evaluate, *_key_and_hyperparams(task), member_shapes(task), task.data
    )


def refreshed_shapes(task: Task) -> TrainState:
    """Shapes and dtypes of what `refresh` returns."""
    key, hyperparams = _key_and_hyperparams(task)
    return jax.eval_shape(task.refresh, key, member_shapes(task), hyperparams)


def num_returns(task: Task) -> int:
    """E: how many returns a member's fitness is the mean of."""
    if task.fitness_from_training:
        return trained_shapes(task)[1]["episode_returns"].shape[0]
    return num_evaluated(task)


def num_evaluated(task: Task) -> int:
    """E: how many returns an evaluation of a member gives."""
    if task.score is not None:
        return task.num_scores
    return evaluated_shapes(task)[0].shape[0]


def num_bytes(tree: PyTree) -> int:
    """Bytes of a tree of arrays or of their shapes."""
    return sum(math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves(tree))


def _key_and_hyperparams(task: Task) -> tuple[Key, Hyperparams]:
    config = jax.ShapeDtypeStruct((len(task.space),), np.float32)
    hyperparams = jax.eval_shape(partial(spaces.decode, task.space), config)
    return jax.eval_shape(lambda: jax.random.PRNGKey(0)), hyperparams
