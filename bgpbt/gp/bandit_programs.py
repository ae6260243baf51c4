"""The programs of the bandit, before they are compiled. See `bgpbt.gp.bandit`.

Arguments and results are those of the protocols there. `N` rows of history.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from bgpbt.gp import acquisition, history, trust_region
from bgpbt.gp import fit as fits
from bgpbt.gp.acquisition import Box, SearchLayout
from bgpbt.gp.history import History
from bgpbt.gp.in_turn import (
    Situation,
    nearest_pending,
    pending,
    suggest_in_turn,
)
from bgpbt.gp.inference import Inference
from bgpbt.gp.kernels import Params, Point
from bgpbt.gp.points import point, snap_to_bins
from bgpbt.gp.posterior import Data
from bgpbt.gp.trust_region import TrustRegion
from bgpbt.space import SearchSpace
from bgpbt.types import Array, Key, PyTree, Source

# The latest rows, to which parameters are fitted; predictions use all.
FIT_ROWS = 100
# The lowest context and the width of the range: both [].
Scale = tuple[Array, Array]


class Model(NamedTuple):
    """What stays the same in all programs of a bandit."""

    space: SearchSpace
    layout: SearchLayout
    inference: Inference
    time: bool
    context: bool


def _point(
    model: Model, config: Array, start: Array, round_: Array, scale: Scale
) -> Point:
    """The input of the Gaussian process for one configuration `[D]`."""
    low, width = scale
    context = (start - low) / width if model.context else jnp.zeros_like(start)
    time = round_ if model.time else jnp.zeros_like(round_)
    return point(model.space, config, context, time)


def _points(
    model: Model, config: Array, start: Array, round_: Array, scale: Scale
) -> Point:
    """The inputs of the Gaussian process for many configurations `[N, D]`."""
    return jax.vmap(partial(_point, model), (0, 0, 0, None))(
        config, start, round_, scale
    )


def _data(model: Model, rows: History, scale: Scale) -> Data:
    points = _points(model, rows.config, rows.context, rows.time, scale)
    return Data(points, history.rank_gaussian(rows.cost, rows.valid), rows.valid)


def fit(model: Model, key: Key, last: Params, rows: History) -> tuple[Params, Array]:
    """Fits the latest rows, as `FitBandit` says."""
    scale = history.scale_context(rows.context, rows.valid)
    recent = jax.tree.map(lambda x: x[-FIT_ROWS:], _data(model, rows, scale))
    raw, _, succeeded = model.inference.fit(key, last, recent)
    return raw, succeeded


def suggest(
    model: Model,
    key: Key,
    raw: Params,
    rows: History,
    situation: Situation,
    replaced: Array,
    region: TrustRegion,
) -> Array:
    """Searches configurations, as `SuggestConfigs` says."""
    rounds = acquisition.rounds_for(jnp.sum(replaced))
    one = partial(_suggest_one, model, raw, rows, region, rounds)
    return suggest_in_turn(one, key, situation, replaced)[0]


def _suggest_one(
    model: Model,
    raw: Params,
    rows: History,
    region: TrustRegion,
    rounds: Array,
    key: Key,
    situation: Situation,
    member: Array,
) -> tuple[Array, Array]:
    """As `SuggestOne` says."""
    config, start, _, round_ = situation
    time = round_.astype(config.dtype)
    contexts = jnp.concatenate([rows.context, start, start[member, None]])
    known = jnp.concatenate([rows.valid, pending(situation), jnp.ones(1, bool)])
    scale = history.scale_context(contexts, known)
    params = fits.natural(raw)
    members, valid = nearest_pending(situation, member)
    busy = _points(
        model, config[members], start[members], jnp.full(len(members), time), scale
    )
    posterior = _condition(model, raw, _data(model, rows, scale), busy, valid)
    box = _box(model, params, region, config[member])

    def score(config):
        mean, variance = model.inference.predict(
            posterior, _point(model, config, start[member], time, scale)
        )
        return acquisition.lower_confidence_bound(mean, variance + params.noise)

    found, _ = acquisition.search(key, score, model.layout, box, rounds=rounds)
    return found, jnp.int32(Source.gp)


def _condition(
    model: Model, raw: Params, observed: Data, busy: Point, valid: Array
) -> PyTree:
    """The posterior after all rows, and after pending points at their predictions.

    As in the kriging believer (Ginsbourger et al., 2010).
    """
    inference = model.inference
    posterior = inference.condition(raw, observed)
    mean = jax.vmap(lambda point: inference.predict(posterior, point)[0])(busy)
    believed = Data(busy, mean, valid)
    return inference.condition(
        raw, jax.tree.map(lambda a, b: jnp.concatenate([a, b]), observed, believed)
    )


def _box(model: Model, params: Params, region: TrustRegion, donor: Array) -> Box:
    """The trust region around the donor's configuration."""
    categorical = model.layout.categorical
    numeric = int((~categorical).sum())
    corners = trust_region.box(
        region, donor[~categorical], params.lengthscale[:numeric]
    )
    low, high = (donor.at[~categorical].set(corner) for corner in corners)
    return Box(
        snap_to_bins(model.space, donor),
        low,
        high,
        trust_region.changes(region, int(categorical.sum())),
    )


def predict(
    model: Model,
    raw: Params,
    rows: History,
    config: Array,
    start: Array,
    round_: Array,
    steps: Array,
) -> Array:
    """Predicts all members, as `PredictFitness` says."""
    scale = history.scale_context(rows.context, rows.valid)
    params = fits.natural(raw)
    posterior = model.inference.condition(raw, _data(model, rows, scale))
    rounds = jnp.full(len(start), round_, start.dtype)
    points = _points(model, config, start, rounds, scale)
    mean, variance = jax.vmap(lambda p: model.inference.predict(posterior, p))(points)
    spread = jnp.sqrt(variance + params.noise)
    # A high cost is a low fitness.
    quantiles = jnp.stack([mean + spread, mean, mean - spread], axis=-1)
    return start[:, None] - steps[:, None] * history.from_rank_gaussian(
        quantiles, rows.cost, rows.valid
    )
