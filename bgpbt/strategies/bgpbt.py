"""BG-PBT, hyperparameters: truncation selection, a trust-region Gaussian-process bandit explores (Wan et al., 2022).

https://arxiv.org/abs/2207.09405, Algorithms 1 and 2. The bandit models minus the change of fitness per step, which it
calls the cost, over configuration, fitness at the start of the round (context) and round. `P` members, `D` dimensions.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bgpbt import space as spaces
from bgpbt.gp import fit, history
from bgpbt.gp import trust_region as regions
from bgpbt.gp.bandit import make_bandit, pending_rows
from bgpbt.gp.engines import engine
from bgpbt.gp.history import History
from bgpbt.gp.kernels import Params
from bgpbt.gp.precision import float64
from bgpbt.gp.trust_region import TrustRegion
from bgpbt.space import Categorical, SearchSpace
from bgpbt.strategies.operators import nobody_replaced, rank, truncation, whole
from bgpbt.types import Array, Outcome, Source, Strategy

MOST_PENDING = 64  # pending points that one suggestion looks at, the nearest to its centre: a large population stays affordable


class State(NamedTuple):
    """What the bandit carries from round to round."""

    history: History  # of the present region
    ended: History  # the best row of every region that ended
    raw: Params  # unconstrained, as last fitted
    fitted: Array  # [] bool, the last fit succeeded
    region: TrustRegion
    round: Array  # [] int32
    before: Array  # [P] fitness at the start of the round
    timesteps: Array  # [P] at the start of the round
    suggested: Array  # [P] bool, the bandit chose this member's configuration for the round
    best: Array  # [] fitness, since the region started
    stalled: Array  # [] int32, rounds without a better one
    expected: Array  # [P, 3] fitness at the end of the round: one standard deviation below, median, above


def bgpbt(
    space: SearchSpace,
    blocks: tuple[str, ...],
    *,
    quantile_fraction: float = 0.125,
    patience: int = 20,
    capacity: int = 100,
    trust_region: bool = True,
    gp_time: bool = True,
    gp_context: bool = True,
    gp: str = "jax",
) -> Strategy:
    """Replaced members take weights from one of the best, and the bandit's hyperparameters. Architectures stay with weights.

    Args:
      space: the search space; the bandit sees its `D` hyperparameters.
      blocks: the blocks of weights, all inherited from one parent.
      quantile_fraction: share of the population replaced in a round, in (0, 0.5].
      patience: rounds without a better fitness after which the region starts again.
      capacity: rows of history that the bandit remembers.
      trust_region: search near the donor's configuration; False: everywhere.
      gp_time: forget; False: all rounds count alike.
      gp_context: tell the model the fitness at the start of the round.
      gp: "jax" or "gpytorch", what does the inference.

    Raises:
      BadInput: GPyTorch is asked for and not installed.
    """
    columns, dimensions = np.flatnonzero(spaces.group_mask(space, "hyperparameter")), len(space)
    space = {name: dim for name, dim in space.items() if dim.group == "hyperparameter"}
    numeric = [name for name, dim in space.items() if not isinstance(dim, Categorical)]
    everywhere = regions.start()._replace(length=np.float32(np.inf))
    bandit = make_bandit(space, engine(gp), time=gp_time, context=gp_context)

    @float64
    def observe(state: State, outcome: Outcome) -> tuple[State, Array]:
        """Takes in a round: history, trust region, stagnation. Also whether a region ended here, bool."""
        steps = outcome.timesteps - state.timesteps
        cost = -(outcome.fitness - state.before) / jnp.maximum(steps, 1)
        known = outcome.active & (steps > 0) & jnp.isfinite(cost)
        rows = History(outcome.config, state.before, jnp.full(len(cost), state.round + 1.0), jnp.where(known, cost, 0), known)
        seen = history.append(state.history, rows)
        best = rank(outcome.fitness)[0]
        region = regions.update(state.region, jnp.any(state.suggested & known), state.suggested[best])
        highest = jnp.where(jnp.isnan(outcome.fitness[best]), -jnp.inf, outcome.fitness[best])
        better = highest > state.best
        stalled = jnp.where(better, 0, state.stalled + 1)
        ends = (stalled >= patience) | (trust_region & regions.exhausted(region, len(numeric)))
        ends = ends & jnp.any(seen.valid)
        lowest = jnp.argmin(jnp.where(seen.valid, seen.cost, jnp.inf))
        summary = jax.tree.map(lambda x: x[lowest][None], seen)._replace(
            context=jnp.zeros(1), time=jnp.zeros(1), valid=ends[None]
        )
        fresh = regions.start()
        return state._replace(
            history=seen._replace(valid=seen.valid & ~ends),
            ended=history.append(state.ended, summary),
            region=jax.tree.map(lambda new, old: jnp.where(ends, new, old).astype(old.dtype), fresh, region),
            round=state.round + 1,
            best=jnp.where(ends, highest, jnp.maximum(state.best, highest)),
            stalled=jnp.where(ends, 0, stalled).astype(state.stalled.dtype),
        ), ends

    @jax.jit
    def select(key, fitness, fallback_key):
        parents = truncation(key, fitness, quantile_fraction)
        return parents, jax.vmap(lambda k: spaces.sample(k, space))(jax.random.split(fallback_key, len(parents)))

    def init(key, outcome: Outcome) -> State:
        size = len(outcome.config)
        rows = jax.tree.map(np.asarray, history.empty(capacity, len(space)))
        return State(
            history=rows,
            ended=rows,
            raw=jax.tree.map(lambda x: np.asarray(x, np.float32), fit.prior(len(numeric) + 1, len(space) - len(numeric))[0]),
            fitted=np.array(True),
            region=jax.tree.map(np.asarray, regions.start()),
            round=np.array(0, np.int32),
            before=outcome.fitness,
            timesteps=outcome.timesteps,
            suggested=np.zeros(size, bool),
            best=np.array(-np.inf, np.float32),
            stalled=np.array(0, np.int32),
            expected=np.full((size, 3), np.nan, np.float32),
        )

    def choose(key, state: State, outcome: Outcome, parents, drawn, ended) -> tuple[State, np.ndarray, np.ndarray]:
        """The next configurations and their sources: the bandit's for replaced members, where it knows enough."""
        key_fit, key_suggest = jax.random.split(key)
        size, start = len(parents), outcome.fitness[parents]
        replaced = np.flatnonzero(parents != np.arange(size))
        config, source = outcome.config.copy(), np.full(size, int(Source.previous))
        config[replaced], source[replaced] = drawn[replaced], Source.random
        pending, enough = min(size, MOST_PENDING), state.history.valid.sum() >= min(size, capacity)
        if ended and len(replaced):  # a new region starts where the best of the ended ones let hope
            raw, succeeded = bandit.learn(key_fit, state.raw, state.ended)
            nobody = pending_rows(config, start, 0, replaced[:0], drawn[0], pending)
            anywhere = drawn[replaced[0]], np.float32(0), everywhere, np.int32(0)
            config[replaced[0]] = bandit.suggest(key_suggest, raw, state.ended, nobody, *anywhere)
            source[replaced[0]] = Source.gp
            state = state._replace(fitted=succeeded)
        elif enough:
            raw, succeeded = bandit.learn(key_fit, state.raw, state.history)
            state = state._replace(raw=raw, fitted=succeeded)
            going = np.setdiff1d(np.arange(size), replaced)
            for number, member in enumerate(replaced):
                donor, beside = outcome.config[parents[member]], np.append(going, replaced[:number])
                busy = pending_rows(config, start, state.round + 1, beside, donor, pending)
                here = donor, start[member], state.region if trust_region else everywhere, state.round + 1
                config[member] = bandit.suggest(jax.random.fold_in(key_suggest, number), raw, state.history, busy, *here)
                source[member] = Source.gp
        expected = np.full_like(state.expected, np.nan)
        if enough:
            steps = np.maximum(outcome.timesteps - state.timesteps, 0).astype(np.float32)
            expected = bandit.expect(state.raw, state.history, config, start, state.round + 1, steps)
        return state._replace(expected=expected), config, source

    def step(key, state: State, outcome: Outcome):
        key_exploit, key_random, key_choose = jax.random.split(key, 3)
        genes, outcome = outcome.config, outcome._replace(config=outcome.config[:, columns])
        seen, ended = observe(state, outcome)
        parents, drawn = (np.asarray(x) for x in select(key_exploit, outcome.fitness, key_random))
        seen, config, source = choose(key_choose, seen, outcome, parents, drawn, ended)
        state = seen._replace(before=outcome.fitness[parents], timesteps=outcome.timesteps, suggested=source == Source.gp)
        everything = genes[parents]
        everything[:, columns] = config
        return state, whole(outcome, everything, parents, len(blocks), source)

    def beliefs(state: State) -> dict[str, np.ndarray]:
        """What the bandit held true when it chose the round's configurations."""
        params = jax.tree.map(np.asarray, fit.natural(state.raw))
        found = {
            "gp_fitness_low": state.expected[:, 0],
            "gp_fitness": state.expected[:, 1],
            "gp_fitness_high": state.expected[:, 2],
        }
        found |= {"gp_fitted": state.fitted, "gp_rows": state.history.valid.sum(), "trust_region": state.region.length}
        found |= {"gp_noise": params.noise, "gp_outputscale": params.outputscale, "gp_eps": params.eps}
        return found | {f"gp_lengthscale_{name}": x for name, x in zip([*numeric, "context"], params.lengthscale, strict=True)}

    def prepare(size: int) -> None:
        """A step of an imagined population, all of whose members are known: the bandit speaks at once."""
        config, fitness, clock = (
            np.full((size, dimensions), 0.5, np.float32),
            np.arange(size, dtype=np.float32),
            np.zeros(size, np.int32),
        )
        outcome = Outcome(config, fitness, fitness[:, None], clock, clock, np.ones(size, bool))
        key = jax.random.PRNGKey(0)
        step(key, init(key, outcome), outcome._replace(timesteps=clock + 1))

    return Strategy(init, step, beliefs, prepare, ("hyperparameters",), lambda size: nobody_replaced(size, quantile_fraction))
