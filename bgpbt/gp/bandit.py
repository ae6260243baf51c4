"""The bandit as three compiled programs over a history: learn, suggest, expect. Everything in them is float64.

`D` dimensions of the space, `N` rows of history, `M` pending points, `P` members. Fitness, context and cost are in the
task's units; the process sees configurations in the unit cube, the context scaled to [0, 1] and costs as normal ranks.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bgpbt.gp import acquisition, fit, history, trust_region
from bgpbt.gp.acquisition import Box
from bgpbt.gp.engines import Engine
from bgpbt.gp.history import History
from bgpbt.gp.kernels import Point
from bgpbt.gp.posterior import Data
from bgpbt.gp.precision import float64
from bgpbt.space import Dimension, SearchSpace
from bgpbt.types import Array

FIT_ROWS = 100  # the latest rows, to which parameters are fitted; predictions use all


class Bandit(NamedTuple):
    """What a strategy calls."""

    learn: Callable  # (key, last raw parameters, history) -> raw parameters, succeeded [] bool
    suggest: Callable  # (key, raw, history, pending [M], donor [D], its fitness [], region, round []) -> config [D]
    expect: Callable  # (raw, history, config [P, D], fitness [P], round [], steps [P]) -> fitness after them [P, 3]


def make_bandit(space: SearchSpace, engine: Engine, *, time: bool = True, context: bool = True) -> Bandit:
    """Builds the programs; nothing is compiled before its first call. The same arguments share them.

    Args:
      space: what is searched.
      engine: does the inference.
      time: forget; False: all rounds count alike.
      context: tell the process the fitness at the start of a round.
    """
    return _build(tuple(space.items()), engine, time, context)


@functools.cache
def _build(dimensions: tuple[tuple[str, Dimension], ...], engine: Engine, time: bool, context: bool) -> Bandit:
    space = dict(dimensions)
    plan = acquisition.layout(space)
    numeric, categories = int((~plan.categorical).sum()), int(plan.categorical.sum())

    def point(config, start, round_, low, width) -> Point:
        seen = (start - low) / width if context else jnp.zeros_like(start)
        return acquisition.point(space, config, seen, round_ if time else jnp.zeros_like(round_))

    points = jax.vmap(point, (0, 0, 0, None, None))

    def data(rows: History, low, width) -> Data:
        at = points(rows.config, rows.context, rows.time, low, width)
        return Data(at, history.rank_gaussian(rows.cost, rows.valid), rows.valid)

    @float64
    def learn(key, last, rows: History):
        low, width = history.scale_context(rows.context, rows.valid)
        recent = jax.tree.map(lambda x: x[-FIT_ROWS:], data(rows, low, width))
        raw, _, succeeded = engine.fit(key, last, recent)
        return raw, succeeded

    @float64
    def suggest(key, raw, rows: History, pending: History, donor, start, region, round_) -> Array:
        contexts = jnp.concatenate([rows.context, pending.context, start[None]])
        valid = jnp.concatenate([rows.valid, pending.valid, jnp.ones(1, bool)])
        low, width = history.scale_context(contexts, valid)
        params, seen = fit.natural(raw), data(rows, low, width)
        # Kriging believer (Ginsbourger et al., 2010): what is pending is taken to come out as predicted.
        at = points(pending.config, pending.context, pending.time, low, width)
        known = engine.condition(raw, seen)
        believed = Data(at, jax.vmap(lambda p: engine.predict(known, p)[0])(at), pending.valid)
        known = engine.condition(raw, jax.tree.map(lambda a, b: jnp.concatenate([a, b]), seen, believed))
        corners = trust_region.box(region, donor[~plan.categorical], params.lengthscale[:numeric])
        low_corner, high_corner = (donor.at[~plan.categorical].set(corner) for corner in corners)
        box = Box(acquisition.canonical(space, donor), low_corner, high_corner, trust_region.changes(region, categories))

        def score(config):
            mean, variance = engine.predict(known, point(config, start, round_.astype(start.dtype), low, width))
            return acquisition.lower_confidence_bound(mean, variance + params.noise)

        return acquisition.search(key, score, plan, box)[0]

    @float64
    def expect(raw, rows: History, config, start, round_, steps) -> Array:
        low, width = history.scale_context(rows.context, rows.valid)
        params = fit.natural(raw)
        known = engine.condition(raw, data(rows, low, width))
        at = points(config, start, jnp.full(len(start), round_, start.dtype), low, width)
        mean, variance = jax.vmap(lambda p: engine.predict(known, p))(at)
        spread = jnp.sqrt(variance + params.noise)
        quantiles = jnp.stack([mean + spread, mean, mean - spread], axis=-1)  # a high cost is a low fitness
        return start[:, None] - steps[:, None] * history.from_rank_gaussian(quantiles, rows.cost, rows.valid)

    return Bandit(learn, suggest, expect)


def pending_rows(config, fitness, round_, members, donor, capacity: int) -> History:
    """The configurations that train beside the one to be suggested: the nearest to its donor, finite ones only.

    Args:
      config: of all members. NumPy, shape `[P, D]`.
      fitness: at the start of the round. NumPy, shape `[P]`.
      round_: the round to come.
      members: who trains. NumPy, whole numbers.
      donor: shape `[D]`.
      capacity: most rows M: a large population stays affordable.
    """
    members = members[np.isfinite(fitness[members])]
    distance = np.linalg.norm(config[members] - donor, axis=1)
    members = members[np.argsort(distance, kind="stable")[:capacity]]
    rows = np.zeros(capacity, int)
    rows[: len(members)] = members
    valid = np.arange(capacity) < len(members)
    zeros = np.zeros(capacity, np.float32)
    return History(config[rows], np.where(valid, fitness[rows], 0), zeros + np.float32(round_), zeros, valid)
