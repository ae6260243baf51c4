"""The compiled programs of a run. None of them knows the strategy.

A task is written for one member; here its functions become programs of P members.
`seed` and `round_` are `[]` int32; `members` are the numbers of the slots, `[P]` int32.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from bgpbt import space as spaces
from bgpbt.execution.devices import DeviceLayout, make_mesh, replicated, sharded
from bgpbt.execution.inherit import gather, is_blended
from bgpbt.execution.members import (
    all_finite,
    map_members,
    run_if,
    zeros_like_shapes,
)
from bgpbt.execution.mutation import mutate
from bgpbt.execution.shapes import data_kwargs
from bgpbt.execution.streams import Stream, fold, member_key
from bgpbt.types import Array, Decision, PyTree, Task, TrainState


class Programs(NamedTuple):
    """The programs of one padding. `config` is `[P, D]`, `active` `[P]` bool."""

    # (seed, members) -> config, drawn
    configure: Callable[..., Array]
    # (config) -> natural values by name, each [P]
    hyperparams: Callable[..., dict[str, Array]]
    # (seed, round, members, config) -> population
    init: Callable[..., TrainState]
    # (seed, round, updates, members, active, population, config, data)
    # -> population, metrics. The population is donated.
    train: Callable[..., tuple[TrainState, dict[str, Array]]]
    # As `train`, with a `Distillation` for all members at the end.
    distil: Callable[..., tuple[TrainState, dict[str, Array]]]
    # (seed, round, stream, draws [P], active, population, config, data)
    # -> returns [P, E], steps [P], finite [P]
    evaluate: Callable[..., tuple[Array, Array, Array]]
    # As `evaluate`, for data of other shapes.
    evaluate_test: Callable[..., tuple[Array, Array, Array]]
    # (population, member) -> that member without its env_state
    pick: Callable[..., TrainState]
    # (member state, population) -> copies of it, in the population's environments
    repeat: Callable[..., TrainState]
    # (seed, round, population, best, decision) -> population. It is donated.
    inherit: Callable[..., TrainState]
    # (seed, round, population, who [P] bool) -> population
    mutate: Callable[..., TrainState]


def make_programs(task: Task, pop_size: int, device_layout: DeviceLayout) -> Programs:
    """Builds the programs for a task. Nothing is compiled before its first call."""
    mesh = make_mesh(device_layout)
    over = partial(map_members, device_layout=device_layout, mesh=mesh)
    jit = partial(jax.jit, out_shardings=sharded(device_layout))
    train = partial(_train, task, over)
    evaluate = jit(partial(_evaluate, task, over))
    return Programs(
        configure=jit(partial(_configure, task, over)),
        hyperparams=jax.jit(partial(spaces.decode, task.space)),
        init=jit(partial(_init, task, over)),
        train=jit(train, donate_argnames="population"),
        distil=jit(train, donate_argnames="population"),
        evaluate=evaluate,
        evaluate_test=evaluate,
        pick=jax.jit(_pick, out_shardings=replicated(device_layout)),
        repeat=jit(partial(_repeat, pop_size)),
        inherit=jit(
            partial(_inherit, task, over, pop_size), donate_argnames="population"
        ),
        mutate=jit(partial(_mutate, over, pop_size)),
    )


def _configure(task: Task, over: Callable, seed, members):
    return over(partial(_configure_member, task))(seed, members)


def _configure_member(task: Task, seed: Array, member: Array) -> Array:
    key = member_key(seed, Stream.configure, 0, member)
    return spaces.sample(key, task.space)


def _init(task: Task, over: Callable, seed, round_, members, config):
    return over(partial(_init_member, task))((seed, round_), (members, config))


def _init_member(task: Task, seed_round, member_config) -> TrainState:
    seed, round_ = seed_round
    member, config = member_config
    key = member_key(seed, Stream.initialise, round_, member)
    return task.init(key, spaces.decode(task.space, config))


def _train(
    task: Task,
    over: Callable,
    seed: Array,
    round_: Array,
    updates: Array,
    members: Array,
    active: Array,
    population: TrainState,
    config: Array,
    data: PyTree = (),
    teaching: PyTree = (),
):
    shared = seed, round_, updates, teaching, data_kwargs(data)
    inputs = members, active, population, config
    return over(partial(_train_member, task))(shared, inputs)


def _train_member(task: Task, shared: Any, inputs: Any):
    seed, round_, updates, teaching, data = shared
    member, active, state, config = inputs
    key = member_key(seed, Stream.train, round_, member)
    hyperparams = spaces.decode(task.space, config)

    def train(state):
        return task.train(key, state, hyperparams, updates, teaching, **data)

    # The trip count stays unbatched: an idle member of a vmapped chunk is held
    # afterwards, not step by step.
    no_metrics = zeros_like_shapes(jax.eval_shape(train, state)[1])
    state, metrics = run_if(active, lambda carry: train(carry[0]), (state, no_metrics))
    weights_finite = all_finite(state._replace(env_state=()))
    env_finite = all_finite(state.env_state)
    checks = {"weights_finite": weights_finite, "env_finite": env_finite}
    return state, metrics | checks


def _evaluate(
    task: Task,
    over: Callable,
    seed: Array,
    round_: Array,
    stream: Array,
    draws: Array,
    active: Array,
    population: TrainState,
    config: Array,
    data: PyTree = (),
):
    shared = seed, round_, stream, data_kwargs(data)
    return over(partial(_evaluate_member, task))(
        shared, (draws, active, population, config)
    )


def _evaluate_member(task: Task, shared: Any, inputs: Any):
    seed, round_, stream, data = shared
    draw, active, state, config = inputs
    key = fold(seed, stream, round_, draw)

    def evaluate(state):
        hyperparams = spaces.decode(task.space, config)
        return task.evaluate(key, state, hyperparams, **data)

    returns, steps = jax.eval_shape(evaluate, state)
    no_returns = jnp.full(returns.shape, jnp.nan, returns.dtype)
    nothing = no_returns, jnp.zeros(steps.shape, steps.dtype)
    evaluated = run_if(active, lambda _: evaluate(state), nothing)
    return *evaluated, all_finite(state._replace(env_state=()))


def _pick(population: TrainState, member: Array) -> TrainState:
    return jax.tree.map(lambda x: x[member], population._replace(env_state=()))


def _repeat(pop_size: int, state: TrainState, population: TrainState) -> TrainState:
    copies = jax.tree.map(
        lambda x: jnp.broadcast_to(x, (pop_size, *x.shape)),
        state._replace(env_state=()),
    )
    return copies._replace(env_state=population.env_state)


def _inherit(
    task: Task,
    over: Callable,
    pop_size: int,
    seed: Array,
    round_: Array,
    population: TrainState,
    best: TrainState,
    decision: Decision,
) -> TrainState:
    members = jnp.arange(pop_size)
    blended = is_blended(decision)
    fresh = over(partial(_fresh_member, task))(
        (seed, round_), (members, decision.config, blended)
    )
    state = gather(task.blocks, population, best, fresh, decision)
    replaced = blended | jnp.any(decision.parents != members[:, None], axis=1)
    return over(partial(_refresh_member, task))(
        (seed, round_), (members, replaced, state)
    )


def _fresh_member(task: Task, seed_round: Any, inputs: Any) -> TrainState:
    """Fresh weights where they are wanted, else zeros."""
    seed, round_ = seed_round
    member, config, wanted = inputs

    def draw():
        key = member_key(seed, Stream.initialise, round_, member)
        state = task.init(key, spaces.decode(task.space, config))
        return state._replace(env_state=())

    shapes = jax.eval_shape(draw)
    return jax.lax.cond(wanted, draw, lambda: zeros_like_shapes(shapes))


def _refresh_member(task: Task, seed_round: Any, inputs: Any) -> TrainState:
    seed, round_ = seed_round
    member, replaced, state = inputs
    key = member_key(seed, Stream.inherit, round_, member)
    return jax.lax.cond(replaced, lambda s: task.refresh(key, s), lambda s: s, state)


def _mutate(over: Callable, pop_size: int, seed, round_, population, who):
    inputs = jnp.arange(pop_size), who, population
    return over(_mutate_member)((seed, round_), inputs)


def _mutate_member(seed_round: Any, inputs: Any) -> TrainState:
    seed, round_ = seed_round
    member, mutates, state = inputs
    key = member_key(seed, Stream.mutate, round_, member)

    def mutated(state: TrainState) -> TrainState:
        return state._replace(params=mutate(key, state.params))

    return jax.lax.cond(mutates, mutated, lambda state: state, state)
