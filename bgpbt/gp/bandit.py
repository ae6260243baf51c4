"""The bandit as three compiled programs over a history: fit, suggest, predict.

Everything in them is float64. Fitness, context and cost are in the task's units; the
Gaussian process (GP) sees configurations in the unit cube, the context scaled to [0, 1]
and costs as normal ranks. Pending points are configurations that already train beside
the one to be suggested; they are taken to come out as predicted (kriging believer,
Ginsbourger et al., 2010). `D` dimensions of the space, `N` rows of history, `P`
members.
"""

import functools
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np

from bgpbt.gp import acquisition
from bgpbt.gp import bandit_programs as programs
from bgpbt.gp.history import History
from bgpbt.gp.in_turn import Situation
from bgpbt.gp.inference import Inference
from bgpbt.gp.kernels import Params
from bgpbt.gp.precision import float64
from bgpbt.gp.trust_region import TrustRegion
from bgpbt.space import Dimension, SearchSpace
from bgpbt.types import Key


class FitBandit(Protocol):
    """Fits the GP to a history."""

    def __call__(
        self, key: Key, last: Params, rows: History
    ) -> tuple[Params, np.ndarray]:
        """Finds the most probable parameters. Arguments are positional.

        Args:
          key: PRNG key, consumed.
          last: the last unconstrained parameters.
          rows: what was observed.

        Returns:
          Unconstrained parameters, and whether the fit succeeded, `[]`, bool. Where it
          failed the parameters are the last ones.
        """
        ...


class SuggestConfigs(Protocol):
    """Suggests configurations, one after the other, for all who are replaced."""

    def __call__(
        self,
        key: Key,
        raw: Params,
        rows: History,
        situation: Situation,
        replaced: np.ndarray,
        region: TrustRegion,
    ) -> np.ndarray:
        """Searches the configurations with the lowest confidence bound of the cost.

        Arguments are positional.

        Args:
          key: PRNG key, consumed.
          raw: unconstrained parameters.
          rows: what was observed.
          situation: the round to come. Who is replaced has the configuration of the
            member whose weights it trains: the centre of its trust region.
          replaced: who gets a suggestion. Shape `[P]`, bool.
          region: how far from the donors the search may go.

        Returns:
          Configurations of all members in the unit cube. Shape `[P, D]`.
        """
        ...


class PredictFitness(Protocol):
    """Predicts what members will be worth after a round."""

    def __call__(
        self,
        raw: Params,
        rows: History,
        config: np.ndarray,
        start: np.ndarray,
        round_: np.ndarray,
        steps: np.ndarray,
    ) -> np.ndarray:
        """Predicts the fitness of all members. Arguments are positional.

        Args:
          raw: unconstrained parameters.
          rows: what was observed.
          config: in the unit cube. Shape `[P, D]`.
          start: fitness at the start of the round. Shape `[P]`.
          round_: the round to come. Shape `[]`, int32.
          steps: timesteps that each member will train. Shape `[P]`.

        Returns:
          Fitness one standard deviation below the median, at it, and above it. Shape
          `[P, 3]`.
        """
        ...


class Bandit(NamedTuple):
    """What a strategy calls."""

    fit: FitBandit
    suggest: SuggestConfigs
    predict: PredictFitness


def make_bandit(
    space: SearchSpace,
    inference: Inference,
    *,
    time: bool = True,
    context: bool = True,
) -> Bandit:
    """Builds the programs; nothing is compiled before its first call.

    The same arguments share their programs.

    Args:
      space: what is searched.
      inference: does the inference.
      time: forget; False: all rounds count alike.
      context: tell the GP the fitness at the start of a round.
    """
    return _build(tuple(space.items()), inference, time, context)


@functools.cache
def _build(
    dimensions: tuple[tuple[str, Dimension], ...],
    inference: Inference,
    time: bool,
    context: bool,
) -> Bandit:
    space = dict(dimensions)
    layout = acquisition.search_layout(space)
    model = programs.Model(space, layout, inference, time, context)
    return Bandit(
        float64(partial(programs.fit, model)),
        float64(partial(programs.suggest, model)),
        float64(partial(programs.predict, model)),
    )
