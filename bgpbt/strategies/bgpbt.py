"""BG-PBT, hyperparameters (Wan et al., 2022). https://arxiv.org/abs/2207.09405

Truncation selects, a trust-region Gaussian-process bandit explores (Algorithms 1 and
2). The bandit models minus the change of fitness per step, which it calls the cost,
over configuration, fitness at the start of the round (context) and round. `P` members,
`D` hyperparameters.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from bgpbt import space as spaces
from bgpbt.gp import fit
from bgpbt.gp import trust_region as regions
from bgpbt.gp.bandit import Bandit, make_bandit
from bgpbt.gp.in_turn import Situation
from bgpbt.gp.inference import make_inference
from bgpbt.gp.precision import float64
from bgpbt.gp.trust_region import TrustRegion
from bgpbt.space import SearchSpace
from bgpbt.strategies.bgpbt_state import State, initial_state, numeric_names, observe
from bgpbt.strategies.operators import (
    compile_step,
    inherit_all,
    truncation,
    validate_quantile,
)
from bgpbt.types import Array, Decision, Key, Outcome, Source, Strategy


class _Method(NamedTuple):
    """What stays the same in all steps of a strategy."""

    columns: np.ndarray  # [D] places of the hyperparameters in the task's space
    num_blocks: int
    capacity: int  # rows of history
    trust_region: bool
    everywhere: TrustRegion  # a region that is the whole cube
    # Compiled once for a strategy.
    bandit: Bandit
    observe: Callable[[State, Outcome], tuple[State, np.ndarray]]
    select: Callable[[Key, Array, Key], tuple[Array, Array]]


class _NextRound(NamedTuple):
    """The round to come, while its configurations are chosen."""

    donors: np.ndarray  # [P, D] configuration of each member's parent
    start: np.ndarray  # [P] fitness at the start
    replaced: np.ndarray  # [P] bool, who inherits
    config: np.ndarray  # [P, D]
    source: np.ndarray  # [P], a `Source`


def bgpbt(
    space: SearchSpace,
    blocks: tuple[str, ...],
    *,
    quantile_fraction: float = 0.125,
    patience: int = 20,
    capacity: int = 100,
    trust_region: bool = True,
    max_length: float = regions.MAX_LENGTH,
    gp_time: bool = True,
    gp_context: bool = True,
    gp: str = "jax",
) -> Strategy:
    """A replaced member takes one of the best's weights and asks the bandit.

    The bandit chooses its hyperparameters. Architectures stay with weights.

    Args:
      space: the search space; the bandit sees its `D` hyperparameters.
      blocks: the blocks of weights, all inherited from one parent.
      quantile_fraction: share of the population replaced in a round, in (0, 0.5].
      patience: rounds without a better fitness after which the region starts again.
      capacity: rows of history that the bandit remembers.
      trust_region: search near the donor's configuration; False: everywhere.
      max_length: the longest edge of the region, in the unit cube.
      gp_time: forget; False: all rounds count alike.
      gp_context: tell the model the fitness at the start of the round.
      gp: "jax" or "gpytorch", what does the inference.

    Raises:
      BadInput: GPyTorch is asked for and not installed.
    """
    columns = np.flatnonzero(spaces.group_mask(space, "hyperparameter"))
    dimensions = len(space)
    space = {name: dim for name, dim in space.items() if dim.group == "hyperparameter"}
    numeric = numeric_names(space)
    method = _Method(
        columns=columns,
        num_blocks=len(blocks),
        capacity=capacity,
        trust_region=trust_region,
        everywhere=regions.everywhere(),
        bandit=make_bandit(space, make_inference(gp), time=gp_time, context=gp_context),
        observe=float64(
            partial(
                observe,
                patience=patience,
                trust_region=trust_region,
                max_length=max_length,
                numeric=len(numeric),
            )
        ),
        select=jax.jit(partial(_select, space, quantile_fraction)),
    )
    step = partial(_step, method)

    def init(key, outcome):
        del key
        return initial_state(space, capacity, outcome)

    return Strategy(
        init,
        step,
        diagnostics=partial(_diagnostics, numeric),
        prepare=partial(compile_step, init, step, dimensions),
        needs=("hyperparameters",),
        validate=partial(validate_quantile, quantile_fraction=quantile_fraction),
    )


def _step(
    method: _Method, key: Key, state: State, outcome: Outcome
) -> tuple[State, Decision]:
    key_exploit, key_random, key_choose = jax.random.split(key, 3)
    full_config = outcome.config
    outcome = outcome._replace(config=full_config[:, method.columns])
    observed, region_ended = method.observe(state, outcome)
    parents, drawn = (
        np.asarray(x) for x in method.select(key_exploit, outcome.fitness, key_random)
    )
    upcoming = _with_random_configs(outcome, parents, drawn)
    state, upcoming = _choose(
        method, key_choose, observed, outcome.timesteps, upcoming, region_ended
    )
    state = state._replace(
        before=outcome.fitness[parents],
        timesteps=outcome.timesteps,
        suggested=upcoming.source == Source.gp,
    )
    full_config = full_config[parents]
    full_config[:, method.columns] = upcoming.config
    return state, inherit_all(
        outcome, full_config, parents, method.num_blocks, upcoming.source
    )


def _select(
    space: SearchSpace,
    quantile_fraction: float,
    key: Key,
    fitness: Array,
    key_random: Key,
) -> tuple[Array, Array]:
    """Parents `[P]`, and random configurations `[P, D]` for a bandit without data."""
    parents = truncation(key, fitness, quantile_fraction)
    return parents, jax.vmap(lambda k: spaces.sample(k, space))(
        jax.random.split(key_random, len(parents))
    )


def _with_random_configs(
    outcome: Outcome, parents: np.ndarray, drawn: np.ndarray
) -> _NextRound:
    """The next round in which every replaced member has a random configuration."""
    replaced = parents != np.arange(len(parents))
    return _NextRound(
        donors=outcome.config[parents],
        start=outcome.fitness[parents],
        replaced=replaced,
        config=np.where(replaced[:, None], drawn, outcome.config),
        source=np.where(replaced, Source.random, Source.previous),
    )


def _choose(
    method: _Method,
    key: Key,
    state: State,
    timesteps: np.ndarray,
    upcoming: _NextRound,
    region_ended: np.ndarray,
) -> tuple[State, _NextRound]:
    """The bandit chooses for replaced members where it knows enough.

    Args:
      method: of the strategy.
      key: PRNG key, consumed.
      state: after the round.
      timesteps: of each member after the round. Shape `[P]`.
      upcoming: the next round, with random configurations.
      region_ended: whether a region ended. Shape `[]`, bool.
    """
    least_rows = min(len(upcoming.config), method.capacity)
    knows_enough = state.history.valid.sum() >= least_rows
    if region_ended and upcoming.replaced.any():
        state, upcoming = _begin_region(method, key, state, upcoming)
    elif knows_enough:
        state, upcoming = _suggest_all(method, key, state, upcoming)
    expected = np.full_like(state.expected, np.nan)
    if knows_enough:
        steps = np.maximum(timesteps - state.timesteps, 0).astype(np.float32)
        expected = method.bandit.predict(
            state.raw,
            state.history,
            upcoming.config,
            upcoming.start,
            state.round + 1,
            steps,
        )
    return state._replace(expected=expected), upcoming


def _begin_region(
    method: _Method, key: Key, state: State, upcoming: _NextRound
) -> tuple[State, _NextRound]:
    """Starts a new region at the most promising configuration.

    The best rows of the ended regions decide which it is; one member tries it.
    """
    key_fit, key_suggest = jax.random.split(key)
    raw, succeeded = method.bandit.fit(key_fit, state.raw, state.ended)
    number = len(upcoming.config)
    first = Situation(
        upcoming.config,
        np.zeros(number, np.float32),
        np.zeros(number, bool),
        np.int32(0),
    )
    chosen = np.arange(number) == np.argmax(upcoming.replaced)
    config = method.bandit.suggest(
        key_suggest, raw, state.ended, first, chosen, method.everywhere
    )
    source = np.where(chosen, Source.gp, upcoming.source)
    state = state._replace(fitted=succeeded)
    return state, upcoming._replace(config=config, source=source)


def _suggest_all(
    method: _Method, key: Key, state: State, upcoming: _NextRound
) -> tuple[State, _NextRound]:
    """The bandit chooses for all replaced members."""
    key_fit, key_suggest = jax.random.split(key)
    raw, succeeded = method.bandit.fit(key_fit, state.raw, state.history)
    replaced = upcoming.replaced
    config = method.bandit.suggest(
        key_suggest,
        raw,
        state.history,
        Situation(upcoming.donors, upcoming.start, ~replaced, state.round + 1),
        replaced,
        state.region if method.trust_region else method.everywhere,
    )
    source = np.where(replaced, Source.gp, upcoming.source)
    state = state._replace(raw=raw, fitted=succeeded)
    return state, upcoming._replace(config=config, source=source)


def _diagnostics(numeric: list[str], state: State) -> dict[str, np.ndarray]:
    """The bandit's predictions and parameters when it chose the configurations."""
    params = jax.tree.map(np.asarray, fit.natural(state.raw))
    columns = {
        "gp_fitness_low": state.expected[:, 0],
        "gp_fitness": state.expected[:, 1],
        "gp_fitness_high": state.expected[:, 2],
        "gp_fitted": state.fitted,
        "gp_rows": state.history.valid.sum(),
        "trust_region": state.region.length,
        "gp_noise": params.noise,
        "gp_outputscale": params.outputscale,
        "gp_eps": params.eps,
    }
    return columns | {
        f"gp_lengthscale_{name}": x
        for name, x in zip([*numeric, "context"], params.lengthscale, strict=True)
    }
