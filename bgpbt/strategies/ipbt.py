"""Iterated PBT (Chebykin et al., 2025). https://arxiv.org/abs/2511.09190

BG-PBT that decides often at first. When it stops to improve, it begins again with
weights that were shrunk and perturbed, and decides half as often. The rules are those
of its authors' code, listed in `docs/strategies.md`. `N` slots, of which all train
after a restart and `P` = N / 2 later; `D` dimensions.
"""

from functools import partial

import jax
import numpy as np

from bgpbt import space as spaces
from bgpbt.gp import history
from bgpbt.gp.bandit import make_bandit
from bgpbt.gp.inference import make_inference
from bgpbt.gp.precision import float64
from bgpbt.space import SearchSpace
from bgpbt.strategies import ipbt_decisions as decisions
from bgpbt.strategies import ipbt_state
from bgpbt.strategies.bgpbt import bgpbt
from bgpbt.strategies.curves import smoothed
from bgpbt.strategies.ipbt_decisions import Method, members_of
from bgpbt.strategies.ipbt_draws import make_draw
from bgpbt.strategies.ipbt_state import Lineages, State
from bgpbt.strategies.operators import (
    compile_step,
    made_up_outcome,
    validate_quantile,
)
from bgpbt.types import Decision, Key, Outcome, Strategy


def ipbt(
    space: SearchSpace,
    blocks: tuple[str, ...],
    *,
    quantile_fraction: float = 0.25,
    max_timesteps: int = 150_000_000,
    patience: int = 20,
    capacity: int = 100,
    trust_region: bool = True,
    gp_time: bool = True,
    gp_context: bool = True,
    gp: str = "jax",
) -> Strategy:
    """Members are replaced as in BG-PBT, every 1, 2, 4, ... rounds.

    The interval doubles with every restart. Architectures stay with weights.

    Args:
      space: the search space; the bandits see its hyperparameters.
      blocks: the blocks of weights, all inherited from one parent.
      quantile_fraction: share of the P members that is replaced after an interval, and
        that survives a restart, in (0, 0.5].
      max_timesteps: of a slot. There is no restart after which some slot could not
        train a whole interval.
      patience: intervals without a better fitness after which the bandit's region
        starts again.
      capacity: rows of history that the bandits remember.
      trust_region: search near the donor's configuration; False: everywhere.
      gp_time: forget; False: all intervals and restarts count alike.
      gp_context: tell the models the fitness at the start.
      gp: "jax" or "gpytorch", what does the bandits' inference.

    Raises:
      BadInput: GPyTorch is asked for and not installed.
    """
    is_searched = spaces.group_mask(space, "hyperparameter")
    searched = {
        name: dim for name, dim in space.items() if dim.group == "hyperparameter"
    }
    inside = bgpbt(
        space,
        blocks,
        quantile_fraction=quantile_fraction,
        patience=patience,
        capacity=capacity,
        trust_region=trust_region,
        gp_time=gp_time,
        gp_context=gp_context,
        gp=gp,
    )
    method = Method(
        columns=np.flatnonzero(is_searched),
        num_blocks=len(blocks),
        quantile_fraction=quantile_fraction,
        max_timesteps=max_timesteps,
        trust_region=trust_region,
        inside=inside,
        bandit=make_bandit(
            searched, make_inference(gp), time=gp_time, context=gp_context
        ),
        draw=make_draw(space),
        append=float64(history.append),
    )
    return Strategy(
        partial(_init, method),
        partial(_step, method),
        diagnostics=partial(_diagnostics, method),
        prepare=partial(_prepare, method, len(space)),
        needs=inside.needs,
        validate=partial(_validate, quantile_fraction=quantile_fraction),
        can_freeze=False,
    )


def _init(method: Method, key: Key, outcome: Outcome) -> State:
    half = np.arange(len(outcome.fitness) // 2)
    bandit = method.inside.init(key, members_of(outcome, half))
    return ipbt_state.initial_state(bandit, outcome, len(method.columns))


def _step(
    method: Method, key: Key, state: State, outcome: Outcome
) -> tuple[State, Decision]:
    draws = method.draw(key, len(outcome.fitness))
    round_steps = int((outcome.timesteps - state.timesteps).max())
    state = ipbt_state.count(state, outcome)
    if state.rounds < ipbt_state.interval(state):
        return decisions.go_on(method, draws, state, outcome)
    if state.scoring:
        state = decisions.keep_best(method, draws, state, outcome)
    state = ipbt_state.take_in(state, outcome)
    if decisions.can_restart(method, state, round_steps):
        state, stagnates = decisions.judge(state)
        if stagnates:
            return decisions.restart(method, draws, state, outcome)
    return decisions.exploit(method, draws, state, outcome)


def _diagnostics(method: Method, state: State) -> dict[str, np.ndarray]:
    """BG-PBT's, of the members that work, and the rounds between two decisions.

    What it expects of a member is said of the round in which the interval ends.
    """
    half = len(state.slots) // 2
    interval = ipbt_state.interval(state)
    columns = {}
    for name, x in method.inside.diagnostics(state.bandit).items():
        if np.ndim(x):
            of_slots = np.full(2 * half, np.nan, np.float32)
            if state.rounds + 1 == interval:
                of_slots[state.slots[:half]] = x
            x = of_slots
        columns[name] = x
    return columns | {"ipbt_interval": np.array(interval)}


def _prepare(method: Method, dimensions: int, pop_size: int) -> None:
    """Compiles a decision, and what a restart needs beside it."""
    init, step = partial(_init, method), partial(_step, method)
    compile_step(init, step, dimensions, pop_size)
    smoothed(np.arange(2.0))
    key = jax.random.PRNGKey(0)
    outcome = made_up_outcome(dimensions, pop_size)
    state = init(key, outcome)
    ended = state._replace(lineages=_made_up_lineages(state.lineages))
    decisions.restart(method, method.draw(key, pop_size), ended, outcome)


def _made_up_lineages(lineages: Lineages) -> Lineages:
    """Lineages that have come somewhere, so that a restart asks the bandit."""
    zeros = np.zeros_like(lineages.start)
    return lineages._replace(start=zeros, best=zeros)


def _validate(pop_size: int, quantile_fraction: float) -> str:
    """What is wrong with a number of slots; "" where nothing is."""
    if pop_size < 4 or pop_size % 2:
        right = max(pop_size + pop_size % 2, 4)
        return f"pop_size: {pop_size} slots are not two halves of members, give {right}"
    return validate_quantile(pop_size // 2, quantile_fraction)
