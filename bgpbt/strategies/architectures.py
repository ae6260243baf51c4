"""Which architectures a new generation tries: a Gaussian process over all that earlier generations did with theirs.

As BG-PBT (Wan et al., 2022, Section 3.3) means it, with the same process as the bandit over hyperparameters, but without
time, context and trust region, and with so few architectures that the acquisition is computed for every one. `D` dimensions,
`N` rows, `A` architectures.
"""

import functools
from collections.abc import Callable
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np

from bgpbt import space as spaces
from bgpbt.gp import acquisition, fit, history
from bgpbt.gp.engines import engine
from bgpbt.gp.posterior import Data
from bgpbt.gp.precision import float64
from bgpbt.space import Categorical, Dimension, SearchSpace
from bgpbt.types import Array, Key

ROWS = 100  # the latest ones count
Propose = Callable[[Key, Array, Array, int], np.ndarray]  # (key, config [N, D], score [N], number) -> config [number, D]


def every(space: SearchSpace) -> np.ndarray:
    """All architectures of a space of whole numbers and categories, in the unit cube. Shape `[A, D]`."""
    return np.array(list(product(*(spaces.bin_centres(dim) for dim in space.values()))), np.float32)


def searched(space: SearchSpace, *, gp: str = "jax") -> Propose:
    """Builds `propose`, which answers with promising architectures that nobody has tried.

    Larger scores are better; they count by their ranks. A batch is chosen one after the other, each taken to come out as
    predicted before the next. Where all architectures have been tried, they may be tried again.

    Args:
      space: the dimensions of an architecture.
      gp: "jax" or "gpytorch", what does the inference.
    """
    return _build(tuple(space.items()), gp)


@functools.cache
def _build(dimensions: tuple[tuple[str, Dimension], ...], gp: str) -> Propose:
    """The same space shares its compiled programs."""
    space = dict(dimensions)
    infer, grid = engine(gp), every(space)
    categories = sum(isinstance(dim, Categorical) for dim in space.values())
    prior = fit.prior(len(space) - categories + 1, categories)[0]  # the context's place stays, at 0

    def points(config):
        zeros = jnp.zeros(len(config), config.dtype)
        return jax.vmap(lambda c, zero: acquisition.point(space, c, zero, zero))(config, zeros)

    @float64
    def learn(key, config, score, valid):
        raw, _, _ = infer.fit(key, jax.tree.map(jnp.asarray, prior), _data(points(config), score, valid))
        return raw

    @functools.cache
    def choose(number: int):
        @float64
        def chosen(raw, config, score, valid, taken):
            params, at = fit.natural(raw), points(jnp.asarray(grid, config.dtype))
            seen = _data(points(config), score, valid)
            empty = jax.tree.map(lambda x: jnp.zeros((number, *x.shape[1:]), x.dtype), seen)

            def one(i, carry):
                pending, taken, chosen = carry
                known = infer.condition(raw, jax.tree.map(lambda a, b: jnp.concatenate([a, b]), seen, pending))
                mean, variance = jax.vmap(lambda p: infer.predict(known, p))(at)
                bound = acquisition.lower_confidence_bound(mean, variance + params.noise)
                best = jnp.argmin(jnp.where(taken & ~jnp.all(taken), jnp.inf, bound))
                believed = Data(jax.tree.map(lambda x: x[best], at), mean[best], True)
                pending = jax.tree.map(lambda rows, row: rows.at[i].set(row), pending, believed)
                return pending, taken.at[best].set(True), chosen.at[i].set(best.astype(chosen.dtype))

            start = empty, taken, jnp.zeros(number, jnp.int32)
            return jax.lax.fori_loop(0, number, one, start)[2]

        return chosen

    def propose(key, config, score, number):
        config, score = np.asarray(config, np.float32)[-ROWS:], np.asarray(score, np.float32)[-ROWS:]
        missing = ROWS - len(config)
        valid = np.pad(np.isfinite(score), (0, missing))
        taken = (np.abs(grid[:, None] - config).max(axis=2) < 1e-3).any(axis=1)
        config = np.pad(config, ((0, missing), (0, 0)))
        score = np.pad(np.where(np.isfinite(score), score, 0), (0, missing))
        return grid[choose(number)(learn(key, config, score, valid), config, score, valid, taken)]

    return propose


def _data(at, score: Array, valid: Array) -> Data:
    return Data(at, history.rank_gaussian(-score, valid), valid)
