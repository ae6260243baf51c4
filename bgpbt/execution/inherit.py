"""Inheritance along the axis P: one gather, then shrink-perturb."""

import jax
import jax.numpy as jnp

from bgpbt.types import Array, Decision, PyTree, Task, TrainState


def heritage(task: Task, state: TrainState) -> TrainState:
    """What can be inherited of a member, or of many: all that is not its slot's own."""
    memory = state.memory if task.inherits_memory else ()
    return state._replace(env_state=(), memory=memory)


def with_slot(task: Task, state: TrainState, slot: TrainState) -> TrainState:
    """A heritage in a slot, with the environments there, and its memory if it stays."""
    memory = state.memory if task.inherits_memory else slot.memory
    return state._replace(env_state=slot.env_state, memory=memory)


def shrink_perturb(
    weights: PyTree, fresh: PyTree, shrink: Array, perturb: Array
) -> PyTree:
    """shrink * weights + perturb * fresh (Ash and Adams, 2020).

    A factor of 0 removes its part even where that is NaN. Every leaf keeps its dtype.
    What is not a float cannot be shrunk: it stays, or is fresh where `shrink` is 0 and
    something is added.

    Args:
      weights: of one member.
      fresh: a fresh initialisation of the same shapes.
      shrink: shape `[]`.
      perturb: shape `[]`.
    """

    def blend(old: Array, new: Array) -> Array:
        if not jnp.issubdtype(old.dtype, jnp.inexact):
            return jnp.where((shrink == 0) & (perturb != 0), new, old)
        kept = jnp.where(shrink == 0, 0, shrink * old)
        added = jnp.where(perturb == 0, 0, perturb * new)
        blended = (kept + added).astype(old.dtype)
        return jnp.where((shrink == 1) & (perturb == 0), old, blended)

    return jax.tree.map(blend, weights, fresh)


def starts_afresh(decision: Decision) -> Array:
    """Members all of whose blocks begin with fresh weights. Shape `[P]`, bool."""
    return ((decision.shrink == 0) & (decision.perturb > 0)).all(axis=1)


def is_blended(decision: Decision) -> Array:
    """Members with a block whose weights are not the parent's. Shape `[P]`, bool."""
    return ((decision.shrink != 1) | (decision.perturb != 0)).any(axis=1)


def gather(
    task: Task,
    population: TrainState,
    best: TrainState,
    fresh: TrainState,
    decision: Decision,
) -> TrainState:
    """Gives every member what it inherits. `env_state` stays where it is.

    Weights, optimizer state and averages of a block come from the block's parent. Where
    the weights are blended, the optimizer state is fresh. Where they begin afresh, so
    do the averages. Statistics, and memory where the task inherits it, come from the
    parent of the first block, and are fresh where all blocks begin afresh.

    Args:
      task: names the blocks, in the order of the decision's columns.
      population: shape `[P, ...]`.
      best: the heritage of the saved best, parent number P.
      fresh: the heritage of a fresh initialisation of every member. Shape `[P, ...]`.
      decision: parents, shrink and perturb.
    """
    sources = population, best, fresh
    params, opt_state, averages = {}, {}, {}
    for b, block in enumerate(task.blocks):
        parents = decision.parents[:, b]
        shrink = decision.shrink[:, b]
        perturb = decision.perturb[:, b]
        weights = _take(population.params[block], best.params[block], parents)
        params[block] = jax.vmap(shrink_perturb)(
            weights, fresh.params[block], shrink, perturb
        )
        unchanged = (shrink == 1) & (perturb == 0)
        of_block = [state.opt_state[block] for state in sources]
        opt_state[block] = _inherited(of_block, parents, unchanged)
        if block in population.averages:
            goes_on = (shrink != 0) | (perturb == 0)
            of_block = [state.averages[block] for state in sources]
            averages[block] = _inherited(of_block, parents, goes_on)
    parents = decision.parents[:, 0]
    goes_on = ~starts_afresh(decision)
    statistics = _inherited([state.statistics for state in sources], parents, goes_on)
    memory = population.memory
    if task.inherits_memory:
        memory = _inherited([state.memory for state in sources], parents, goes_on)
    return TrainState(
        params=params,
        opt_state=opt_state,
        statistics=statistics,
        env_state=population.env_state,
        averages=averages or population.averages,  # which is empty in the same way
        memory=memory,
    )


def _inherited(sources: list[PyTree], parents: Array, goes_on: Array) -> PyTree:
    """The parents' part where it goes on, else the fresh one.

    Args:
      sources: the part of the population, of the saved best, of fresh members.
      parents: shape `[P]`.
      goes_on: shape `[P]`, bool.
    """
    members, best, fresh = sources
    return jax.vmap(_choose)(goes_on, _take(members, best, parents), fresh)


def _take(members: PyTree, best: PyTree, parents: Array) -> PyTree:
    """The parents' part; parent number P is the saved best."""
    saved_best = len(parents)
    in_population = jnp.minimum(parents, saved_best - 1)

    def leaf(x: Array, saved: Array) -> Array:
        from_best = (parents == saved_best).reshape(-1, *(1,) * (x.ndim - 1))
        return jnp.where(from_best, saved, x[in_population])

    return jax.tree.map(leaf, members, best)


def _choose(condition: Array, yes: PyTree, no: PyTree) -> PyTree:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)
