"""Designing networks as a `Task`: a member is an agent in the middle of its trial.

Shapes: `E` episodes, `B` designs that a member may find in a round, `d` layers of a
design, `W` words of its key.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bgpbt.tasks.nas import rewards, tally, trial
from bgpbt.tasks.nas.design import Design, Rules, is_branched, observation_size, observe
from bgpbt.tasks.nas.designer import (
    DECISIONS,
    Acting,
    Designer,
    Happened,
    Learner,
    World,
)
from bgpbt.tasks.nas.rewards import Found, Judge, Known, RewardData
from bgpbt.tasks.nas.tally import Note, Running
from bgpbt.tasks.nas.trial import Trial
from bgpbt.types import (
    Array,
    Cache,
    Distillation,
    Hyperparams,
    Key,
    Metrics,
    PyTree,
    Task,
    TrainState,
)

BLOCK = "designer"
# Of a world in which nothing is decided.
NO_DATA = RewardData(judging=(), known=Known(keys=(), worths=()))
LAST_EPISODES = 50  # E, of a round; as many as the paper averages in its figures


class Problem(NamedTuple):
    """What is designed, and how designs are judged."""

    rules: Rules
    judge: Judge
    move_factor: float  # of the reward of an action that moves a pointer (sigma)
    # Whether agents see their last action and reward, and the step.
    sees_past: bool
    most_found: int  # B
    # rows [d, 5] -> [], what is taken from a design's reward; None: nothing.
    penalty: Callable[[Array], Array] | None = None


class Place(NamedTuple):
    """Where an agent stands while it acts."""

    trial: Trial
    found: Found


class Paused(NamedTuple):
    """An agent between two rounds."""

    trial: Trial
    memory: PyTree
    running: Running


def world(problem: Problem, data: RewardData = NO_DATA) -> World:
    """Data sets do not change within a run, so a trial never ends by itself.

    Args:
      problem: what is designed.
      data: of the round.
    """
    rules = problem.rules

    def worth(found: Found, design: Design) -> tuple[Array, Found]:
        accuracy, found = rewards.worth(problem.judge, data, found, design)
        if problem.penalty is None:
            return accuracy, found
        return accuracy - problem.penalty(design.rows), found

    def begin(key: Key) -> Place:
        del key
        found = rewards.nothing_found(problem.most_found, rules.depth)
        return Place(trial.begin(rules), found)

    def seen(place: Place) -> Array:
        if problem.sees_past:
            return trial.seen(rules, place.trial)
        return observe(rules, place.trial.design)

    def decide(key: Key, place: Place, action: Array) -> tuple[Place, Happened]:
        del key
        following, decided, found = trial.decide(
            rules, worth, problem.move_factor, place.found, place.trial, action
        )
        happened = Happened(
            decided.reward,
            decided.over,
            trial_over=jnp.zeros((), bool),
            note=_note(decided.design),
        )
        return Place(following, found), happened

    if problem.sees_past:
        size = trial.input_size(rules)
    else:
        size = observation_size(rules)
    return World(rules.actions.number, size, begin, seen, decide)


def _note(design: Design) -> Note:
    branched = is_branched(design.rows) & design.buildable
    return Note(design.buildable, branched)


def nas(
    name: str,
    problem: Problem,
    make_designer: Callable[[World], Designer],
    data: RewardData,
    cache: Cache,
    *,
    from_training: bool,
    episodes: int,
    workspace_bytes: Callable[[dict[str, int]], int],
    best_design: dict[str, Any],
) -> Task:
    """Builds the task.

    Args:
      name: of the problem and the agent.
      problem: what is designed.
      make_designer: the agent, from the world that it acts in.
      data: what designs are judged by, and what is known of them.
      cache: what is found becomes known in later rounds.
      from_training: the fitness is the mean return of the last episodes of the round,
        not that of fresh ones of a new trial.
      episodes: of an evaluation.
      workspace_bytes: of a member that trains.
      best_design: what its figure needs to know.
    """
    parts = problem, make_designer
    if from_training:
        mean = f"mean of a round's last {LAST_EPISODES} episodes"
    else:
        mean = f"mean of {episodes} fresh episodes"
    return Task(
        name=name,
        space=make_designer(world(problem)).space,
        blocks=(BLOCK,),
        timesteps_per_update=DECISIONS,
        init=partial(init, *parts),
        train=partial(train, *parts),
        evaluate=partial(evaluate, *parts, episodes),
        refresh=partial(refresh, *parts),
        score=_returns,
        num_scores=episodes,
        columns=columns(problem),
        data=data,
        step_unit="decisions",
        return_label="reward of an episode",
        evaluation_steps=episodes * problem.rules.max_steps,
        workspace_bytes=workspace_bytes,
        fitness_from_training=from_training,
        cache=cache,
        figures={"designers": {"mean": mean}, "best_design": best_design},
    )


def _returns(statistics: dict[str, np.ndarray]) -> np.ndarray:
    return statistics["return"]


def columns(problem: Problem) -> tuple[str, ...]:
    """What the records hold beside the fitness."""
    actions = problem.rules.actions
    branched = ["branched"] * actions.moves
    shares = [f"share_{name}" for name in actions.names]
    return ("best_reward", "episode_length", "entropy", *branched, *shares)


def init(
    problem: Problem,
    make_designer: Callable[[World], Designer],
    key: Key,
    hyperparams: Hyperparams,
) -> TrainState:
    """Draws an untrained agent before its first decision."""
    del hyperparams
    learner = make_designer(world(problem)).init(key)
    paused = _paused(learner.acting, tally.nothing_yet())
    return TrainState(
        params={BLOCK: learner.params},
        opt_state={BLOCK: learner.moments},
        statistics=(),
        env_state=paused,
        averages={BLOCK: learner.averages} if learner.averages else (),
        memory=learner.experience,
    )


def _paused(acting: Acting, running: Running) -> Paused:
    """What stays of an agent that acts; what it has found is known from now on."""
    return Paused(acting.place.trial, acting.memory, running)


def train(
    problem: Problem,
    make_designer: Callable[[World], Designer],
    key: Key,
    state: TrainState,
    hyperparams: Hyperparams,
    updates: Array,
    teaching: Distillation | tuple[()],
    *,
    data: RewardData,
) -> tuple[TrainState, Metrics]:
    """Decides, and learns from it."""
    del teaching
    designer = make_designer(world(problem, data))
    paused: Paused = state.env_state
    found = rewards.nothing_found(problem.most_found, problem.rules.depth)
    learner = Learner(
        params=state.params[BLOCK],
        moments=state.opt_state[BLOCK],
        acting=Acting(Place(paused.trial, found), paused.memory),
        experience=state.memory,
        averages=state.averages[BLOCK] if state.averages else (),
    )

    def update(number: Array, carry: tuple) -> tuple:
        learner, running, counted, _ = carry
        own_key = jax.random.fold_in(key, number)
        learner, (loss, steps) = designer.update(hyperparams, learner, own_key)
        running, counted = tally.add_all(running, counted, steps)
        return learner, running, counted, loss

    counted = tally.empty(LAST_EPISODES, problem.rules.actions.number)
    carry = learner, paused.running, counted, jnp.zeros(())
    learner, running, counted, loss = jax.lax.fori_loop(0, updates, update, carry)
    found = learner.acting.place.found
    metrics = tally.statistics(running, counted, problem.rules.actions.names)
    metrics |= {
        "loss": loss,
        "env_steps": updates * DECISIONS,
        "episode_returns": metrics["return"],
        "judged": counted.judged,
        "found": found.number,
        "found_keys": found.keys,
        "found_worths": found.worths,
    }
    state = state._replace(
        params={BLOCK: learner.params},
        opt_state={BLOCK: learner.moments},
        env_state=_paused(learner.acting, running),
        averages={BLOCK: learner.averages} if learner.averages else (),
        memory=learner.experience,
    )
    return state, metrics


def evaluate(
    problem: Problem,
    make_designer: Callable[[World], Designer],
    episodes: int,
    key: Key,
    state: TrainState,
    hyperparams: Hyperparams,
    *,
    data: RewardData,
) -> tuple[PyTree, Array]:
    """Has the agent begin a new trial and learn nothing in it.

    Returns:
      What E episodes gave, as `tally.statistics` says, and the number of decisions.
    """
    designer = make_designer(world(problem, data))
    begun, deciding = jax.random.split(key)
    counted = tally.empty(episodes, problem.rules.actions.number)
    carry = designer.begin(begun), tally.nothing_yet(), counted, jnp.int32(0)

    def goes_on(carry: tuple) -> Array:
        return carry[2].episodes < episodes

    def decide(carry: tuple) -> tuple:
        acting, running, counted, number = carry
        own_key = jax.random.fold_in(deciding, number)
        params = state.params[BLOCK]
        acting, step = designer.decide(hyperparams, params, acting, own_key)
        running, counted = tally.add(running, counted, step)
        return acting, running, counted, number + 1

    _, running, counted, number = jax.lax.while_loop(goes_on, decide, carry)
    return tally.statistics(running, counted, problem.rules.actions.names), number


def refresh(
    problem: Problem,
    make_designer: Callable[[World], Designer],
    key: Key,
    state: TrainState,
    hyperparams: Hyperparams,
) -> TrainState:
    """Who inherits weights begins a trial of its own, and remembers nothing."""
    del hyperparams
    acting = make_designer(world(problem)).begin(key)
    return state._replace(env_state=_paused(acting, tally.nothing_yet()))
