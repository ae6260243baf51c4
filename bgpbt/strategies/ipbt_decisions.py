"""The four decisions of IPBT: go on, keep the best half, replace, begin again.

`N` slots, `P` = N / 2 members that work between restarts, `D` hyperparameters.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from bgpbt.gp import trust_region as regions
from bgpbt.gp.bandit import Bandit
from bgpbt.gp.history import History
from bgpbt.strategies import ipbt_restart, ipbt_state, stagnation
from bgpbt.strategies.ipbt_draws import Draws
from bgpbt.strategies.ipbt_restart import Meta
from bgpbt.strategies.ipbt_slots import Choice, decide_slots, place
from bgpbt.strategies.ipbt_state import State, working
from bgpbt.strategies.operators import replaced_count
from bgpbt.types import Decision, Key, Outcome, Source, Strategy

PATIENCE = 3  # intervals in a row without a rise


class Method(NamedTuple):
    """What stays the same in all steps of a strategy."""

    columns: np.ndarray  # [D] places of the hyperparameters in the task's space
    num_blocks: int
    quantile_fraction: float
    max_timesteps: int
    trust_region: bool
    inside: Strategy  # of P members, between restarts
    bandit: Bandit  # of the restarts
    # Compiled once for a strategy.
    draw: Callable[[Key, int], Draws]
    append: Callable[[History, History], History]


def members_of(outcome: Outcome, slots: np.ndarray) -> Outcome:
    """What BG-PBT sees of the members in some slots."""
    return Outcome(*(np.asarray(x)[slots] for x in outcome))


def go_on(
    method: Method, draws: Draws, state: State, outcome: Outcome
) -> tuple[State, Decision]:
    """Within an interval only those move who failed or whose slot has no steps left.

    A failed member copies a valid one and draws its hyperparameters.
    """
    before = working(state)
    fitness = np.asarray(outcome.fitness, np.float32)[before]
    failed = np.isnan(fitness)
    parents = np.arange(len(before))
    valid = parents[~failed]
    if len(valid):
        drawn = (draws.donor[before] * len(valid)).astype(int)
        parents = np.where(failed, valid[drawn], parents)
        state = ipbt_state.begin_anew(state, failed, fitness, parents)
    config = np.array(outcome.config, np.float32)[before[parents]]
    anew = draws.config[before][:, method.columns]
    config[:, method.columns] = np.where(
        failed[:, None], anew, config[:, method.columns]
    )
    source = np.where(failed, Source.random, Source.previous)
    slots = state.slots
    out_of_steps = (outcome.timesteps[before] >= method.max_timesteps).any()
    if out_of_steps and not state.scoring:
        slots = place(slots, outcome.timesteps)
    choice = Choice(parents, config, source)
    return state._replace(slots=slots), _decision(
        method, draws, outcome, state.slots, slots, choice
    )


def keep_best(method: Method, draws: Draws, state: State, outcome: Outcome) -> State:
    """The best half goes on after all were scored; BG-PBT begins with it."""
    half = len(state.slots) // 2
    order = np.argsort(-np.asarray(outcome.fitness), kind="stable")  # NaN last
    kept = np.sort(order[:half])
    state = ipbt_state.begin_working(state, kept, outcome, method.columns)
    bandit = method.inside.init(draws.exploit, members_of(outcome, kept))
    return state._replace(bandit=bandit)


def can_restart(method: Method, state: State, round_steps: int) -> bool:
    """Whether every slot has steps for the first interval after a restart."""
    left = method.max_timesteps - int(state.timesteps.max())
    return left >= 2 * ipbt_state.interval(state) * round_steps


def judge(state: State) -> tuple[State, bool]:
    """Counts intervals without a rise; and whether to begin again."""
    if np.isfinite(state.curve).sum() < 2:
        return state, False
    failures = 0 if stagnation.rises(state.curve) else int(state.failures) + 1
    stagnates = failures >= PATIENCE or stagnation.is_slow(state.curve)
    return state._replace(failures=np.array(failures, np.int32)), stagnates


def exploit(
    method: Method, draws: Draws, state: State, outcome: Outcome
) -> tuple[State, Decision]:
    """BG-PBT decides for the members that work."""
    before = working(state)
    number = len(before)
    seen = members_of(outcome, before)._replace(timesteps=state.steps[:number])
    bandit = state.bandit._replace(
        before=state.start[:number], timesteps=np.zeros(number, np.int32)
    )
    bandit, decision = method.inside.step(draws.exploit, bandit, seen)
    parents = np.asarray(decision.parents)[:, 0]
    choice = Choice(parents, np.asarray(decision.config), np.asarray(decision.source))
    slots = place(state.slots, outcome.timesteps)
    decision = _decision(method, draws, outcome, state.slots, slots, choice)
    state = ipbt_state.begin_interval(state, seen.fitness, parents)
    return state._replace(slots=slots, bandit=bandit), decision


def restart(
    method: Method, draws: Draws, state: State, outcome: Outcome
) -> tuple[State, Decision]:
    """All slots begin with weights of the best, half of them with fresh ones."""
    number = len(state.slots)
    before = working(state)
    fitness = np.asarray(outcome.fitness, np.float32)[before]
    count = replaced_count(len(before), method.quantile_fraction)
    parents = ipbt_restart.donors_of(fitness, before, count, draws.donor)
    time = int(state.restarts)
    past = method.append(state.past, ipbt_state.rows_of(state.lineages, time))
    bandit = method.inside.init(draws.exploit, members_of(outcome, before))
    region = bandit.region if method.trust_region else regions.everywhere()
    hyperparameters, is_random = ipbt_restart.first_configs(
        Meta(method.bandit, bandit.raw, region),
        past,
        state.lineages,
        time + 1,
        draws.config[:, method.columns],
        draws,
    )
    config = np.array(outcome.config, np.float32)[parents]
    config[:, method.columns] = hyperparameters
    choice = Choice(
        parents,
        config,
        np.where(is_random, Source.random, Source.gp),
        shrink=np.where(draws.fresh, 0, ipbt_restart.SHRINK),
        perturb=np.where(draws.fresh, 1, ipbt_restart.PERTURB),
    )
    everyone = np.arange(number, dtype=np.int32)
    decision = _decision(method, draws, outcome, everyone, everyone, choice)
    anew = ipbt_state.initial_state(bandit, outcome, len(method.columns))
    return anew._replace(restarts=np.array(time + 1, np.int32), past=past), decision


def _decision(
    method: Method,
    draws: Draws,
    outcome: Outcome,
    before: np.ndarray,
    after: np.ndarray,
    choice: Choice,
) -> Decision:
    return decide_slots(
        outcome,
        before,
        after,
        choice,
        draws.config,
        method.num_blocks,
        method.max_timesteps,
    )
