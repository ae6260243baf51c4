"""Population-based bandits (Parker-Holder et al., 2020): PBT whose explore step is a time-varying Gaussian-process bandit.

https://arxiv.org/abs/2002.02518; the rules are those of its authors' code and of Ray Tune's, listed in `docs/strategies.md`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bgpbt.gp import history, upper_bound
from bgpbt.gp.history import History
from bgpbt.gp.precision import float64
from bgpbt.gp.upper_bound import Rows
from bgpbt.space import Categorical, SearchSpace
from bgpbt.strategies.operators import nobody_replaced, truncation, whole
from bgpbt.types import Array, Outcome, Source, Strategy


class State(NamedTuple):
    """What PB2 carries from round to round."""

    history: History  # the cost is minus the change of the score per step
    round: Array  # [] int32
    before: Array  # [P] score at the start of the round
    timesteps: Array  # [P] at the start of the round


def pb2(space: SearchSpace, blocks: tuple[str, ...], *, quantile_fraction: float = 0.25, capacity: int = 200) -> Strategy:
    """A replaced member takes weights, architecture and categories of one of the best, and the bandit's hyperparameters.

    Args:
      space: the search space, `D` dimensions. Whole numbers are searched as if continuous, categories are not.
      blocks: the blocks of weights, all inherited from one parent.
      quantile_fraction: share of the population replaced in a round, in (0, 0.5].
      capacity: rows that the bandit remembers, the newest.
    """
    searched = np.array([d.group == "hyperparameter" and not isinstance(d, Categorical) for d in space.values()], bool)
    columns = np.flatnonzero(searched)

    def inputs(scale: tuple[Array, Array], context: Array, config: Array) -> Array:
        """Inputs `[.., Z]`: the score before the round, less the lowest and over the range, and the configuration."""
        low, width = scale
        return jnp.concatenate([((context - low) / width)[..., None], config], axis=-1)

    def observed(rows: History, scale: tuple[Array, Array]) -> Rows:
        z, y = inputs(scale, rows.context, rows.config), upper_bound.standardise(-rows.cost, rows.valid)
        return Rows(z, rows.time, y, rows.valid)

    @float64
    def observe(state: State, outcome: Outcome) -> State:
        steps = outcome.timesteps - state.timesteps
        change = (outcome.fitness - state.before) / jnp.maximum(steps, 1)
        known = outcome.active & (steps > 0) & jnp.isfinite(change)
        now = jnp.full(len(change), state.round + 1.0)
        rows = History(outcome.config[:, columns], state.before, now, jnp.where(known, -change, 0), known)
        return state._replace(history=history.append(state.history, rows), round=state.round + 1)

    @float64
    def learn(rows: History):
        return upper_bound.fit(observed(rows, history.scale_context(rows.context, rows.valid)))

    @float64
    def suggest(key, params, rows: History, config, score, busy, context, round_):
        """`config` and `score` of all members at the start of the round to come, of which the `busy` ones are pending."""
        score = jnp.where(busy, score, 0)
        # Scores after a round may be far above those before it: all that are compared share one range.
        scores, known = (
            jnp.concatenate(x) for x in ([rows.context, score, context[None]], [rows.valid, busy, jnp.ones(1, bool)])
        )
        scale = history.scale_context(scores, known)
        z, t = inputs(scale, score, config), jnp.asarray(round_, config.dtype)
        pending = Rows(z, jnp.full(len(z), t), jnp.zeros(len(z), z.dtype), busy)
        return upper_bound.suggest(key, params, observed(rows, scale), pending, (context - scale[0]) / scale[1], t)

    @jax.jit
    def select(key, outcome: Outcome):
        key_exploit, key_draw = jax.random.split(key)
        parents = truncation(key_exploit, outcome.fitness, quantile_fraction)
        return parents, jax.random.uniform(key_draw, outcome.config.shape)

    def init(key, outcome: Outcome) -> State:
        rows = jax.tree.map(np.asarray, history.empty(capacity, len(columns)))
        return State(rows, np.array(0, np.int32), np.asarray(outcome.fitness), np.asarray(outcome.timesteps))

    def step(key, state: State, outcome: Outcome):
        key_select, key_suggest = jax.random.split(key)
        state = observe(state, outcome)
        parents, drawn = (np.asarray(x) for x in select(key_select, outcome))
        score, config = np.asarray(outcome.fitness)[parents], np.array(outcome.config)[parents]
        replaced, source = np.flatnonzero(parents != np.arange(len(parents))), np.full(len(parents), int(Source.previous))
        busy = np.isfinite(score) & ~np.isin(np.arange(len(parents)), replaced)
        if state.history.valid.any():
            params = learn(state.history) if len(replaced) else None
            for number, member in enumerate(replaced):
                arguments = (config[:, columns], score, busy, score[member], state.round + 1)
                found = suggest(jax.random.fold_in(key_suggest, number), params, state.history, *arguments)
                config[member, columns] = found
                busy[member], source[member] = True, Source.gp
        else:  # nobody has both a score and one before it
            config[np.ix_(replaced, columns)] = drawn[np.ix_(replaced, columns)]
            source[replaced] = Source.random
        after = state._replace(before=score, timesteps=np.asarray(outcome.timesteps))
        return after, whole(outcome, config.astype(np.float32), parents, len(blocks), source)

    def prepare(size: int) -> None:
        """A step of an imagined population."""
        clock = np.zeros(size, np.int32)
        fitness = np.arange(size, dtype=np.float32)
        outcome = Outcome(np.full((size, len(space)), 0.5, np.float32), fitness, fitness[:, None], clock, clock, clock == 0)
        key = jax.random.PRNGKey(0)
        step(key, init(key, outcome), outcome._replace(timesteps=clock + 1))

    return Strategy(
        init,
        step,
        prepare=prepare,
        needs=("continuous",),
        complaint=lambda size: nobody_replaced(size, quantile_fraction),
    )
