"""`task_from`: a person's own JAX functions of one network or agent become a task."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from bgpbt.execution.trees import strong
from bgpbt.space import SearchSpace
from bgpbt.types import (
    Array,
    Distillation,
    Hyperparams,
    Key,
    Metrics,
    PyTree,
    Task,
    TrainState,
)

BLOCK = "all"


def task_from(
    init: Callable[[Key, Hyperparams], PyTree],
    train: Callable[[Key, PyTree, Hyperparams], PyTree],
    evaluate: Callable[[Key, PyTree, Hyperparams], Array],
    space: SearchSpace,
    *,
    name: str = "own functions",
    steps: int = 1,
    evaluation_steps: int = 0,
    minimise: bool = False,
) -> Task:
    """Builds a task from pure functions that know nothing of populations.

    All that a member is belongs to one block: who copies a member copies its
    environments and its optimizer, too, a strategy that shrinks or mutates weights does
    so to all of it, and a number that is not finite anywhere is a failure. Write a
    `Task` where that is not right.

    Args:
      init: (key, hyperparams) -> state, any tree of arrays.
      train: (key, state, hyperparams) -> state, of the same shapes and types.
      evaluate: (key, state, hyperparams) -> a return `[]` or returns `[E]`. All members
        of a round get the same key.
      space: the searched dimensions; `hyperparams` are their natural values by name.
      name: for titles.
      steps: what one call of `train` counts as, in the units of `-tr` and `-mt`.
      evaluation_steps: what one call of `evaluate` simulates.
      minimise: smaller returns are better, as those of a loss; else larger ones.
    """

    def init_member(key: Key, hyperparams: Hyperparams) -> TrainState:
        state = jax.tree.map(strong, init(key, hyperparams))
        return TrainState({BLOCK: state}, {BLOCK: ()}, (), ())

    def train_member(
        key: Key,
        state: TrainState,
        hyperparams: Hyperparams,
        updates: Array,
        teaching: Distillation | tuple[()],
    ) -> tuple[TrainState, Metrics]:
        del teaching

        def update(i: Array, own: PyTree) -> PyTree:
            trained = train(jax.random.fold_in(key, i), own, hyperparams)
            return jax.tree.map(strong, trained)

        own = jax.lax.fori_loop(0, updates, update, state.params[BLOCK])
        metrics = {"loss": jnp.zeros(()), "env_steps": updates * steps}
        return state._replace(params={BLOCK: own}), metrics

    def evaluate_member(
        key: Key, state: TrainState, hyperparams: Hyperparams
    ) -> tuple[Array, Array]:
        returns = evaluate(key, state.params[BLOCK], hyperparams)
        return jnp.atleast_1d(returns), jnp.asarray(evaluation_steps, jnp.int32)

    return Task(
        name=name,
        space=space,
        blocks=(BLOCK,),
        timesteps_per_update=steps,
        init=init_member,
        train=train_member,
        evaluate=evaluate_member,
        evaluation_steps=evaluation_steps,
        minimise=minimise,
    )
