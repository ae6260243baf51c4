"""Which architectures a new generation tries: a Gaussian process over all results.

As BG-PBT (Wan et al., 2022, Section 3.3) means it: the Gaussian process of the bandit
over hyperparameters, but without time, context and trust region. There are so few
architectures that the acquisition is computed for all of them. `D` dimensions, `N`
rows, `A` architectures.
"""

import functools
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np

from bgpbt import space as spaces
from bgpbt.gp import acquisition, history
from bgpbt.gp import fit as fits
from bgpbt.gp.inference import Inference, make_inference
from bgpbt.gp.kernels import Params, Point
from bgpbt.gp.points import point
from bgpbt.gp.posterior import Data
from bgpbt.gp.precision import float64
from bgpbt.space import Categorical, Dimension, SearchSpace
from bgpbt.types import Array, Key

ROWS = 100  # the latest ones count


class Propose(Protocol):
    """Proposes promising architectures that have not been tried."""

    def __call__(
        self, key: Key, config: np.ndarray, score: np.ndarray, number: int
    ) -> np.ndarray:
        """Chooses a batch one after the other.

        Each choice is taken to come out as predicted before the next (kriging believer,
        Ginsbourger et al., 2010). Where all architectures have been tried, they may be
        tried again.

        Args:
          key: PRNG key, consumed.
          config: architectures tried, in the unit cube. Shape `[N, D]`.
          score: how good they were, larger is better; only ranks count. Those that are
            not finite do not count. Shape `[N]`.
          number: of proposals.

        Returns:
          Architectures in the unit cube. Shape `[number, D]`.
        """
        ...


def all_architectures(space: SearchSpace) -> np.ndarray:
    """All architectures of a space of whole numbers and categories.

    Args:
      space: the dimensions of an architecture.

    Returns:
      In the unit cube. Shape `[A, D]`.
    """
    return np.array(
        list(product(*(spaces.bin_centres(dim) for dim in space.values()))), np.float32
    )


def make_architecture_search(space: SearchSpace, *, gp: str = "jax") -> Propose:
    """Builds the search. Equal arguments share its compiled programs.

    Args:
      space: the dimensions of an architecture.
      gp: "jax" or "gpytorch", what does the inference.

    Raises:
      BadInput: GPyTorch is asked for and not installed.
    """
    return _build(tuple(space.items()), gp)


@functools.cache
def _build(dimensions: tuple[tuple[str, Dimension], ...], gp: str) -> Propose:
    return _Search(dict(dimensions), make_inference(gp))


class _Search:
    """A `Propose` with its programs, which are compiled when they are first called."""

    def __init__(self, space: SearchSpace, inference: Inference):
        self.space = space
        self.inference = inference
        self.grid = all_architectures(space)
        categories = sum(isinstance(dim, Categorical) for dim in space.values())
        # The context keeps its place among the numeric inputs, at 0.
        self.prior_mean, _ = fits.prior(len(space) - categories + 1, categories)
        self.fit = float64(self._fit)
        self.batch_program = functools.cache(self._batch_program)

    def __call__(
        self, key: Key, config: np.ndarray, score: np.ndarray, number: int
    ) -> np.ndarray:
        """As `Propose` says."""
        config = np.asarray(config, np.float32)[-ROWS:]
        score = np.asarray(score, np.float32)[-ROWS:]
        missing = ROWS - len(config)
        valid = np.pad(np.isfinite(score), (0, missing))
        distance = np.abs(self.grid[:, None] - config).max(axis=2)
        taken = (distance < 1e-3).any(axis=1)
        config = np.pad(config, ((0, missing), (0, 0)))
        score = np.pad(np.where(np.isfinite(score), score, 0), (0, missing))
        raw = self.fit(key, config, score, valid)
        chosen = self.batch_program(number)(raw, config, score, valid, taken)
        return self.grid[chosen]

    def _batch_program(self, number: int) -> Callable[..., np.ndarray]:
        """The program that chooses so many architectures."""
        return float64(partial(self._choose_batch, number))

    def _points(self, config: Array) -> Point:
        zeros = jnp.zeros(len(config), config.dtype)
        return jax.vmap(lambda c, zero: point(self.space, c, zero, zero))(config, zeros)

    def _data(self, config: Array, score: Array, valid: Array) -> Data:
        points = self._points(config)
        return Data(points, history.rank_gaussian(-score, valid), valid)

    def _fit(self, key: Key, config: Array, score: Array, valid: Array) -> Params:
        """The most probable unconstrained parameters."""
        prior_mean = jax.tree.map(jnp.asarray, self.prior_mean)
        data = self._data(config, score, valid)
        raw, _, _ = self.inference.fit(key, prior_mean, data)
        return raw

    def _choose_batch(
        self,
        number: int,
        raw: Params,
        config: Array,
        score: Array,
        valid: Array,
        taken: Array,
    ) -> Array:
        """Indices into the grid. `taken` `[A]`, bool. Shape `[number]`, int32."""
        noise = fits.natural(raw).noise
        candidates = self._points(jnp.asarray(self.grid, config.dtype))
        observed = self._data(config, score, valid)
        empty = jax.tree.map(
            lambda x: jnp.zeros((number, *x.shape[1:]), x.dtype), observed
        )

        def choose_next(i, carry):
            pending, taken, chosen = carry
            data = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), observed, pending)
            best, predicted = self._most_promising(raw, noise, data, candidates, taken)
            believed = Data(
                jax.tree.map(lambda x: x[best], candidates), predicted, True
            )
            pending = jax.tree.map(
                lambda rows, row: rows.at[i].set(row), pending, believed
            )
            chosen = chosen.at[i].set(best.astype(chosen.dtype))
            return pending, taken.at[best].set(True), chosen

        carry = (empty, taken, jnp.zeros(number, jnp.int32))
        _, _, chosen = jax.lax.fori_loop(0, number, choose_next, carry)
        return chosen

    def _most_promising(
        self, raw: Params, noise: Array, data: Data, candidates: Point, taken: Array
    ) -> tuple[Array, Array]:
        """Index of the best candidate that is not taken, and its predicted mean."""
        posterior = self.inference.condition(raw, data)
        mean, variance = jax.vmap(lambda p: self.inference.predict(posterior, p))(
            candidates
        )
        bound = acquisition.lower_confidence_bound(mean, variance + noise)
        best = jnp.argmin(jnp.where(taken & ~jnp.all(taken), jnp.inf, bound))
        return best, mean[best]
