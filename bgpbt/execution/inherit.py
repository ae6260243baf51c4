"""Inheritance along the axis P: one gather, then shrink-perturb."""

import jax
import jax.numpy as jnp

from bgpbt.types import Array, Decision, PyTree, TrainState


def shrink_perturb(
    weights: PyTree, fresh: PyTree, shrink: Array, perturb: Array
) -> PyTree:
    """shrink * weights + perturb * fresh (Ash and Adams, 2020).

    A factor of 0 removes its part even where that is NaN.

    Args:
      weights: of one member.
      fresh: a fresh initialisation of the same shapes.
      shrink: shape `[]`.
      perturb: shape `[]`.
    """

    def blend(old: Array, new: Array) -> Array:
        kept = jnp.where(shrink == 0, 0, shrink * old)
        added = jnp.where(perturb == 0, 0, perturb * new)
        return jnp.where((shrink == 1) & (perturb == 0), old, kept + added)

    return jax.tree.map(blend, weights, fresh)


def starts_afresh(decision: Decision) -> Array:
    """Members all of whose blocks begin with fresh weights. Shape `[P]`, bool."""
    return ((decision.shrink == 0) & (decision.perturb > 0)).all(axis=1)


def is_blended(decision: Decision) -> Array:
    """Members with a block whose weights are not the parent's. Shape `[P]`, bool."""
    return ((decision.shrink != 1) | (decision.perturb != 0)).any(axis=1)


def gather(
    blocks: tuple[str, ...],
    population: TrainState,
    best: TrainState,
    fresh: TrainState,
    decision: Decision,
) -> TrainState:
    """Gives every member what it inherits. `env_state` stays where it is.

    Weights and optimizer state of a block come from the block's parent. Where the
    weights are blended, the optimizer state is fresh. The statistics come from the
    parent of the first block, and are fresh where all blocks begin afresh.

    Args:
      blocks: names of the blocks, in the order of the decision's columns.
      population: shape `[P, ...]`.
      best: the saved best, parent number P.
      fresh: a fresh initialisation of every member. Shape `[P, ...]`.
      decision: parents, shrink and perturb.
    """
    params = {}
    opt_state = {}
    for b, block in enumerate(blocks):
        parents = decision.parents[:, b]
        shrink = decision.shrink[:, b]
        perturb = decision.perturb[:, b]
        unchanged = (shrink == 1) & (perturb == 0)
        weights = _take(population.params[block], best.params[block], parents)
        params[block] = jax.vmap(shrink_perturb)(
            weights, fresh.params[block], shrink, perturb
        )
        inherited = _take(population.opt_state[block], best.opt_state[block], parents)
        opt_state[block] = jax.vmap(_choose)(
            unchanged, inherited, fresh.opt_state[block]
        )
    first_parent = decision.parents[:, 0]
    inherited = _take(population.statistics, best.statistics, first_parent)
    statistics = jax.vmap(_choose)(
        ~starts_afresh(decision), inherited, fresh.statistics
    )
    return TrainState(params, opt_state, statistics, population.env_state)


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
