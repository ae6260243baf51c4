"""The bandit of PB2 and PB2-Mix: from what was seen to the numbers of a member.

`N` rows of history, `S` dimensions of a configuration: first the `Z` - 1 numbers, then
the `C` categories; `P` members.
"""

from collections.abc import Callable

import jax.numpy as jnp

from bgpbt import space as spaces
from bgpbt.gp import history, pb2_process
from bgpbt.gp.history import History
from bgpbt.gp.in_turn import Situation, nearest_pending, pending
from bgpbt.gp.kernels import Point
from bgpbt.gp.pb2_kernels import Params
from bgpbt.gp.posterior import Data
from bgpbt.space import Categorical
from bgpbt.types import Array, Key

Categories = tuple[Categorical, ...]


def fit(start: Callable[[], Params], categories: Categories, rows: History) -> Params:
    """The most likely parameters of the Gaussian process.

    Args:
      start: gives the raw parameters in which the search starts.
      categories: the last dimensions of a configuration.
      rows: what was observed.
    """
    scale = history.scale_context(rows.context, rows.valid)
    return pb2_process.fit(start, _observations(categories, rows, scale))


def suggest(
    key: Key,
    params: Params,
    categories: Categories,
    rows: History,
    situation: Situation,
    member: Array,
    chosen: Array,
) -> Array:
    """The bandit's numbers for one member.

    Args:
      key: PRNG key, consumed.
      params: of the Gaussian process.
      categories: the last dimensions of a configuration.
      rows: what was observed.
      situation: the round to come.
      member: shape `[]`, int32.
      chosen: the member's categories. Shape `[C]`, int32.

    Returns:
      Shape `[S - C]`.
    """
    config, score, _, round_ = situation
    context, busy = score[member], pending(situation)
    # Scores after a round may be far above those before it: all that are compared share
    # one range.
    score = jnp.where(busy, score, 0)
    scores = jnp.concatenate([rows.context, score, context[None]])
    known = jnp.concatenate([rows.valid, busy, jnp.ones(1, bool)])
    scale = history.scale_context(scores, known)
    t = round_.astype(config.dtype)
    members, valid = nearest_pending(situation, member)
    times = jnp.full(len(members), t)
    points = _points(categories, scale, score[members], config[members], times)
    return pb2_process.suggest(
        key,
        params,
        _observations(categories, rows, scale),
        Data(points, jnp.zeros(len(members), config.dtype), valid),
        (context - scale[0]) / scale[1],
        chosen,
        t,
        pb2_process.starts_for(len(config)),
    )


def chosen_categories(categories: Categories, config: Array) -> Array:
    """Which category each of the last dimensions has.

    Args:
      categories: the last dimensions of a configuration.
      config: in the unit cube. Shape `[.., S]`.

    Returns:
      Shape `[.., C]`, int32.
    """
    first = config.shape[-1] - len(categories)
    config = config.astype(jnp.float32)  # as members decode it
    columns = [
        spaces.bin_index(dim, config[..., first + number])
        for number, dim in enumerate(categories)
    ]
    if not columns:
        return jnp.zeros((*config.shape[:-1], 0), jnp.int32)
    return jnp.stack(columns, axis=-1)


def _observations(
    categories: Categories, rows: History, scale: tuple[Array, Array]
) -> Data:
    points = _points(categories, scale, rows.context, rows.config, rows.time)
    return Data(points, pb2_process.standardise(-rows.cost, rows.valid), rows.valid)


def _points(
    categories: Categories,
    scale: tuple[Array, Array],
    context: Array,
    config: Array,
    time: Array,
) -> Point:
    """The scaled score before the round, and the configuration. Leaves `[N, ..]`."""
    low, width = scale
    numbers = config[..., : config.shape[-1] - len(categories)]
    return Point(
        jnp.concatenate([((context - low) / width)[..., None], numbers], axis=-1),
        chosen_categories(categories, config),
        time,
    )
