"""The next point: lower confidence bound, and an interleaved search over floats, integers and categories.

As in Casmopolitan (Wan et al., 2021, Section 3.2): floats move along the gradient, discrete coordinates to the best of a
few random neighbours, in turn, from many starts at once, never outside the box.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bgpbt import space as spaces
from bgpbt.gp.kernels import Point
from bgpbt.space import Categorical, Float, SearchSpace
from bgpbt.types import Array, Key

KAPPA = 2.0  # standard deviations below the mean; 3 in the reference
STARTS, ROUNDS, NEIGHBOURS = 8, 40, 10
STEPS = (0.3, 0.1, 0.03, 0.01, 0.003)  # of the box, tried along the gradient


class Layout(NamedTuple):
    """What the search knows of a space. Static NumPy, `D` dimensions, `K` the most values of a discrete one."""

    values: np.ndarray  # [D] int, number of values, 0 = a float
    centres: np.ndarray  # [D, K] coordinates of the values
    categorical: np.ndarray  # [D] bool


class Box(NamedTuple):
    """Where the search may go."""

    centre: Array  # [D] in the unit cube
    low: Array  # [D]
    high: Array  # [D]
    changes: Array  # [] int32, categories that may differ from the centre's


def layout(space: SearchSpace) -> Layout:
    """Reads a space."""
    discrete = {i: spaces.bin_centres(dim) for i, dim in enumerate(space.values()) if not isinstance(dim, Float)}
    values = np.array([len(discrete.get(i, ())) for i in range(len(space))])
    centres = np.zeros((len(space), max([1, *values])))
    for i, c in discrete.items():
        centres[i, : len(c)] = c
    return Layout(values, centres, np.array([isinstance(dim, Categorical) for dim in space.values()]))


def canonical(space: SearchSpace, config: Array) -> Array:
    """The same configuration with every discrete coordinate at the centre of its bin. Shape `[D]`."""
    moved = [
        config[i]
        if isinstance(dim, Float)
        else jnp.asarray(spaces.bin_centres(dim), config.dtype)[spaces.bin_index(dim, config[i])]
        for i, dim in enumerate(space.values())
    ]
    return jnp.stack(moved)


def point(space: SearchSpace, config: Array, context: Array, time: Array) -> Point:
    """A configuration `[D]` as the process sees it: numeric coordinates and the context, categories, time in rounds."""
    config = canonical(space, config)
    numeric = [config[i] for i, dim in enumerate(space.values()) if not isinstance(dim, Categorical)]
    categories = [spaces.bin_index(dim, config[i]) for i, dim in enumerate(space.values()) if isinstance(dim, Categorical)]
    h = jnp.stack(categories) if categories else jnp.zeros(0, jnp.int32)
    return Point(jnp.stack([*numeric, context]), h, time)


def lower_confidence_bound(mean: Array, variance: Array, kappa: float = KAPPA) -> Array:
    """Mean less `kappa` standard deviations (Srinivas et al., 2010): smaller is more promising. Shape `[]`."""
    return mean - kappa * jnp.sqrt(variance)


def _allowed(plan: Layout, box: Box) -> Array:
    """Which values of the discrete dimensions lie in the box; those beside the centre's always do. Shape `[D, K]`."""
    index = jnp.arange(plan.centres.shape[1])
    here = jnp.argmin(jnp.where(index < plan.values[:, None], jnp.abs(plan.centres - box.centre[:, None]), jnp.inf), axis=1)
    inside = (plan.centres >= box.low[:, None]) & (plan.centres <= box.high[:, None])
    inside = inside | (jnp.abs(index - here[:, None]) <= 1) | plan.categorical[:, None]
    return inside & (index < plan.values[:, None])


def _draw(key: Key, plan: Layout, box: Box, allowed: Array) -> Array:
    """A configuration in the box; of the drawn categories only `changes` are kept. Shape `[D]`."""
    key_float, key_value, key_order = jax.random.split(key, 3)
    floats = jax.random.uniform(key_float, box.low.shape, box.low.dtype, minval=box.low, maxval=box.high)
    # A float's row is empty; what is drawn there is not used.
    value = jax.random.categorical(key_value, jnp.where(allowed, 0.0, -jnp.inf))
    drawn = jnp.take_along_axis(jnp.asarray(plan.centres, box.low.dtype), value[:, None], axis=1)[:, 0]
    config = jnp.where(plan.values > 0, drawn, floats)
    order = jnp.argsort(jax.random.uniform(key_order, box.low.shape) + jnp.where(plan.categorical, 0, 2))
    kept = jnp.zeros(len(order), bool).at[order].set(jnp.arange(len(order)) < box.changes)
    return jnp.where(plan.categorical & ~kept, box.centre, config)


def _slide(score: Callable, plan: Layout, box: Box, config: Array, best: Array) -> tuple[Array, Array]:
    """Floats along the gradient by the best of a few steps, if one is better."""
    gradient = jnp.where(plan.values > 0, 0, jax.grad(score)(config) * (box.high - box.low))
    direction = gradient / jnp.maximum(jnp.max(jnp.abs(gradient)), 1e-12) * (box.high - box.low)
    tried = config - jnp.asarray(STEPS, config.dtype)[:, None] * direction
    tried = jnp.where(plan.values > 0, config, jnp.clip(tried, box.low, box.high))
    return _better(score, tried, config, best)


def _hop(key: Key, score: Callable, plan: Layout, box: Box, allowed: Array, config: Array, best: Array) -> tuple[Array, Array]:
    """One discrete coordinate to another value, the best of a few draws, if it is better."""
    key_dim, key_value = jax.random.split(key)
    dims = jax.random.choice(key_dim, np.flatnonzero(plan.values), (NEIGHBOURS,))
    centres = jnp.asarray(plan.centres, config.dtype)[dims]
    other = allowed[dims] & (jnp.abs(centres - config[dims][:, None]) > 1e-9)
    value = jax.random.categorical(key_value, jnp.where(other, 0.0, -jnp.inf))
    coordinate = jnp.take_along_axis(centres, value[:, None], axis=1)[:, 0]
    tried = jax.vmap(lambda dim, x: config.at[dim].set(x))(dims, coordinate)
    changed = jnp.sum(plan.categorical & (jnp.abs(tried - box.centre) > 1e-6), axis=1)
    good = (changed <= box.changes) & jnp.any(other, axis=1)
    return _better(score, jnp.where(good[:, None], tried, config), config, best)


def _better(score: Callable, tried: Array, config: Array, best: Array) -> tuple[Array, Array]:
    values = jax.vmap(score)(tried)
    values = jnp.where(jnp.isnan(values), jnp.inf, values)
    first = jnp.argmin(values)
    improves = values[first] < best
    return jnp.where(improves, tried[first], config), jnp.where(improves, values[first], best)


def search(
    key: Key, score: Callable[[Array], Array], plan: Layout, box: Box, *, starts: int = STARTS, rounds: int = ROUNDS
) -> tuple[Array, Array]:
    """Minimises `score` over the configurations in a box.

    Args:
      key: PRNG key, consumed.
      score: a configuration `[D]` to a value `[]`, differentiable in the floats.
      plan: of the space.
      box: its centre is the first start.
      starts: walks side by side.
      rounds: of gradient step and hop.

    Returns:
      The best configuration met, shape `[D]`, and its value, shape `[]`.
    """
    allowed = _allowed(plan, box)
    key_draw, key_walk = jax.random.split(key)
    drawn = jax.vmap(lambda k: _draw(k, plan, box, allowed))(jax.random.split(key_draw, starts))
    drawn = drawn.at[0].set(box.centre)

    def walk(key, config):
        best = score(config)

        def turn(number, carry):
            if (plan.values == 0).any():
                carry = _slide(score, plan, box, *carry)
            if (plan.values > 0).any():
                carry = _hop(jax.random.fold_in(key, number), score, plan, box, allowed, *carry)
            return carry

        return jax.lax.fori_loop(0, rounds, turn, (config, jnp.where(jnp.isnan(best), jnp.inf, best)))

    found, values = jax.vmap(walk)(jax.random.split(key_walk, starts), drawn)
    first = jnp.argmin(values)
    return found[first], values[first]
