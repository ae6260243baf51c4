"""The next configuration to try: the one with the smallest lower confidence bound.

The search is that of Casmopolitan (Wan et al., 2021, Section 3.2): floats move along
the gradient, discrete coordinates to the best of a few random neighbours, in turn, from
many starts at once, never outside the box. `D` dimensions of the space, `K` the most
values of a discrete one.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bgpbt import space as spaces
from bgpbt.space import Categorical, SearchSpace
from bgpbt.types import Array, Key

KAPPA = 2.0  # coefficient of the lower confidence bound; 3 in the reference
STARTS = 8
ROUNDS = 40
LEAST_ROUNDS = 5
NEIGHBOURS = 10
STEPS = (0.3, 0.1, 0.03, 0.01, 0.003)  # of the box, tried along the gradient


class SearchLayout(NamedTuple):
    """What the search has to know of a space. Static NumPy."""

    values: np.ndarray  # [D] int, number of values, 0 = continuous
    centres: np.ndarray  # [D, K] coordinates of the values
    categorical: np.ndarray  # [D] bool


class Box(NamedTuple):
    """The part of the unit cube that the search may visit."""

    centre: Array  # [D] in the unit cube
    low: Array  # [D]
    high: Array  # [D]
    changes: Array  # [] int32, categories that may differ from the centre's


class _Problem(NamedTuple):
    """What stays the same in all moves of a search."""

    score: Callable[[Array], Array]  # a configuration [D] to a value [], minimised
    layout: SearchLayout
    box: Box
    allowed: Array  # [D, K] bool, values that the search may visit


def search_layout(space: SearchSpace) -> SearchLayout:
    """Reads the layout of a space."""
    discrete = {
        i: spaces.bin_centres(dim)
        for i, dim in enumerate(space.values())
        if not spaces.is_continuous(dim)
    }
    values = np.array([len(discrete.get(i, ())) for i in range(len(space))])
    centres = np.zeros((len(space), max([1, *values])))
    for i, c in discrete.items():
        centres[i, : len(c)] = c
    return SearchLayout(
        values,
        centres,
        np.array([isinstance(dim, Categorical) for dim in space.values()]),
    )


def rounds_for(searches: Array) -> Array:
    """Rounds of a search: more than 16 of a decision share a budget.

    Args:
      searches: how many there are. Shape `[]`, int32.

    Returns:
      Shape `[]`, int32.
    """
    share = 16 * ROUNDS // jnp.maximum(searches, 1)
    return jnp.clip(share, LEAST_ROUNDS, ROUNDS)


def lower_confidence_bound(mean: Array, variance: Array, kappa: float = KAPPA) -> Array:
    """Mean - `kappa` * standard deviation (Srinivas et al., 2010).

    Args:
      mean: of the prediction. Any shape.
      variance: of the prediction. The same shape.
      kappa: coefficient, how much uncertainty counts.

    Returns:
      Smaller is more promising. The same shape.
    """
    return mean - kappa * jnp.sqrt(variance)


def _allowed(layout: SearchLayout, box: Box) -> Array:
    """Which values of the discrete dimensions the search may visit. Shape `[D, K]`.

    Those in the box, and always the neighbours of the centre's.
    """
    index = jnp.arange(layout.centres.shape[1])
    centre_index = jnp.argmin(
        jnp.where(
            index < layout.values[:, None],
            jnp.abs(layout.centres - box.centre[:, None]),
            jnp.inf,
        ),
        axis=1,
    )
    inside = (layout.centres >= box.low[:, None]) & (
        layout.centres <= box.high[:, None]
    )
    inside = (
        inside
        | (jnp.abs(index - centre_index[:, None]) <= 1)
        | layout.categorical[:, None]
    )
    return inside & (index < layout.values[:, None])


def _draw(key: Key, problem: _Problem) -> Array:
    """A random configuration in the box. Shape `[D]`.

    At most `changes` of its categories differ from the centre's.
    """
    layout, box = problem.layout, problem.box
    key_float, key_value, key_order = jax.random.split(key, 3)
    floats = jax.random.uniform(
        key_float, box.low.shape, box.low.dtype, minval=box.low, maxval=box.high
    )
    # A float's row is empty; what is drawn from it is not used.
    value = jax.random.categorical(key_value, jnp.where(problem.allowed, 0.0, -jnp.inf))
    drawn = jnp.take_along_axis(
        jnp.asarray(layout.centres, box.low.dtype), value[:, None], axis=1
    )[:, 0]
    config = jnp.where(layout.values > 0, drawn, floats)
    order = jnp.argsort(
        jax.random.uniform(key_order, box.low.shape)
        + jnp.where(layout.categorical, 0, 2)
    )
    may_differ = (
        jnp.zeros(len(order), bool).at[order].set(jnp.arange(len(order)) < box.changes)
    )
    return jnp.where(layout.categorical & ~may_differ, box.centre, config)


def _gradient_step(
    problem: _Problem, config: Array, value: Array
) -> tuple[Array, Array]:
    """Moves the floats along the gradient by the best of a few steps."""
    _, layout, box, _ = problem
    gradient = jnp.where(
        layout.values > 0, 0, jax.grad(problem.score)(config) * (box.high - box.low)
    )
    direction = (
        gradient / jnp.maximum(jnp.max(jnp.abs(gradient)), 1e-12) * (box.high - box.low)
    )
    tried = config - jnp.asarray(STEPS, config.dtype)[:, None] * direction
    tried = jnp.where(layout.values > 0, config, jnp.clip(tried, box.low, box.high))
    return _best_of(problem, tried, config, value)


def _neighbour_step(
    key: Key, problem: _Problem, config: Array, value: Array
) -> tuple[Array, Array]:
    """Changes one discrete coordinate to another value, the best of a few draws."""
    _, layout, box, allowed = problem
    key_dim, key_value = jax.random.split(key)
    dims = jax.random.choice(key_dim, np.flatnonzero(layout.values), (NEIGHBOURS,))
    centres = jnp.asarray(layout.centres, config.dtype)[dims]
    other = allowed[dims] & (jnp.abs(centres - config[dims][:, None]) > 1e-9)
    drawn = jax.random.categorical(key_value, jnp.where(other, 0.0, -jnp.inf))
    coordinate = jnp.take_along_axis(centres, drawn[:, None], axis=1)[:, 0]
    tried = jax.vmap(lambda dim, x: config.at[dim].set(x))(dims, coordinate)
    changed = jnp.sum(layout.categorical & (jnp.abs(tried - box.centre) > 1e-6), axis=1)
    valid = (changed <= box.changes) & jnp.any(other, axis=1)
    return _best_of(problem, jnp.where(valid[:, None], tried, config), config, value)


def _best_of(
    problem: _Problem, tried: Array, config: Array, value: Array
) -> tuple[Array, Array]:
    """The best configuration tried and its value, or the old ones if none is better."""
    values = jax.vmap(problem.score)(tried)
    values = jnp.where(jnp.isnan(values), jnp.inf, values)
    first = jnp.argmin(values)
    improves = values[first] < value
    return (
        jnp.where(improves, tried[first], config),
        jnp.where(improves, values[first], value),
    )


def search(
    key: Key,
    score: Callable[[Array], Array],
    layout: SearchLayout,
    box: Box,
    *,
    starts: int = STARTS,
    rounds: int | Array = ROUNDS,
) -> tuple[Array, Array]:
    """Minimises `score` over the configurations in a box.

    Args:
      key: PRNG key, consumed.
      score: a configuration `[D]` to a value `[]`, differentiable in the floats.
      layout: of the space.
      box: its centre is the first start.
      starts: walks side by side.
      rounds: of a gradient step and a neighbour step.

    Returns:
      The best configuration, shape `[D]`, and its value, shape `[]`.
    """
    problem = _Problem(score, layout, box, _allowed(layout, box))
    key_draw, key_walk = jax.random.split(key)
    drawn = jax.vmap(lambda k: _draw(k, problem))(jax.random.split(key_draw, starts))
    drawn = drawn.at[0].set(box.centre)

    def walk(key, config):
        value = score(config)

        def move(number, carry):
            if (layout.values == 0).any():
                carry = _gradient_step(problem, *carry)
            if (layout.values > 0).any():
                carry = _neighbour_step(
                    jax.random.fold_in(key, number), problem, *carry
                )
            return carry

        return jax.lax.fori_loop(
            0, rounds, move, (config, jnp.where(jnp.isnan(value), jnp.inf, value))
        )

    ends, values = jax.vmap(walk)(jax.random.split(key_walk, starts), drawn)
    first = jnp.argmin(values)
    return ends[first], values[first]
