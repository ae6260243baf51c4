"""The compiled programs of a run. None of them knows the strategy.

A task is written for one member; here its functions become programs of P members.
`seed` and `round_` are `[]` int32; `members` are the numbers of the slots, `[P]` int32.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from bgpbt import space as spaces
from bgpbt.execution.devices import DeviceLayout, make_mesh, replicated, sharded
from bgpbt.execution.inherit import gather, heritage, is_blended, with_slot
from bgpbt.execution.members import (
    all_finite,
    map_members,
    run_if,
    zeros_like_shapes,
)
from bgpbt.execution.mutation import mutate
from bgpbt.execution.shapes import data_kwargs
from bgpbt.execution.streams import Stream, fold, member_key
from bgpbt.space import SearchSpace
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
    # (seed, round, stream, start_draws, active, population, config, data)
    # -> returns [P, E] or statistics, steps [P], finite [P]. `start_draws` [P] int32:
    # members with the same number meet the same start states.
    evaluate: Callable[..., tuple[Array, Array, Array]]
    # As `evaluate`, for data of other shapes.
    evaluate_test: Callable[..., tuple[Array, Array, Array]]
    # (population, member) -> that member's heritage
    pick: Callable[..., TrainState]
    # (heritage, population) -> copies of it, in the population's environments
    repeat: Callable[..., TrainState]
    # (seed, round, population, best, decision) -> population. It is donated.
    inherit: Callable[..., TrainState]
    # (seed, round, population, who [P] bool) -> population
    mutate: Callable[..., TrainState]


def make_programs(task: Task, pop_size: int, device_layout: DeviceLayout) -> Programs:
    """Builds the programs for a task. Nothing is compiled before its first call."""
    mesh = make_mesh(device_layout)
    over_members = partial(map_members, device_layout=device_layout, mesh=mesh)
    jit = partial(jax.jit, out_shardings=sharded(device_layout))
    train = partial(_train, task, over_members)
    evaluate = jit(partial(_evaluate, task, over_members))
    inherit = partial(_inherit, task, over_members, pop_size)
    return Programs(
        configure=jit(partial(_configure, task, over_members)),
        hyperparams=jax.jit(partial(spaces.decode, task.space)),
        init=jit(partial(_init, task, over_members)),
        train=jit(train, donate_argnames="population"),
        distil=jit(train, donate_argnames="population"),
        evaluate=evaluate,
        evaluate_test=evaluate,
        pick=jax.jit(partial(_pick, task), out_shardings=replicated(device_layout)),
        repeat=jit(partial(_repeat, task, pop_size)),
        inherit=jit(inherit, donate_argnames="population"),
        mutate=jit(partial(_mutate, over_members, pop_size)),
    )


def _configure(
    task: Task, over_members: Callable, seed: Array, members: Array
) -> Array:
    return over_members(partial(configure_member, task.space))((seed,), (members,))


def configure_member(space: SearchSpace, seed: Array, member: Array) -> Array:
    """The configuration `[D]` that a seed gives a member."""
    key = member_key(seed, Stream.configure, 0, member)
    return spaces.sample(key, space)


def _init(
    task: Task,
    over_members: Callable,
    seed: Array,
    round_: Array,
    members: Array,
    config: Array,
) -> TrainState:
    return over_members(partial(_init_member, task))((seed, round_), (members, config))


def _init_member(
    task: Task, seed: Array, round_: Array, member: Array, config: Array
) -> TrainState:
    key = member_key(seed, Stream.initialise, round_, member)
    return task.init(key, spaces.decode(task.space, config))


def _train(
    task: Task,
    over_members: Callable,
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
    return over_members(partial(_train_member, task))(
        (seed, round_, updates, teaching, data_kwargs(data)),
        (members, active, population, config),
    )


def _train_member(
    task: Task,
    seed: Array,
    round_: Array,
    updates: Array,
    teaching: PyTree,
    data: dict[str, PyTree],
    member: Array,
    active: Array,
    state: TrainState,
    config: Array,
):
    key = member_key(seed, Stream.train, round_, member)
    hyperparams = spaces.decode(task.space, config)
    teaching = with_natural_values(task, teaching)

    def trained(carry):
        state, _ = carry
        return task.train(key, state, hyperparams, updates, teaching, **data)

    # The trip count stays unbatched: an idle member of a vmapped chunk is held
    # afterwards, not step by step.
    _, metrics_shapes = jax.eval_shape(trained, (state, {}))
    untrained = state, zeros_like_shapes(metrics_shapes)
    state, metrics = run_if(active, trained, untrained)
    weights_finite = all_finite(state._replace(env_state=(), memory=()))
    env_finite = all_finite(state.env_state)
    checks = {"weights_finite": weights_finite, "env_finite": env_finite}
    return state, metrics | checks


def with_natural_values(task: Task, teaching: PyTree) -> PyTree:
    """A `Distillation` as a task gets it: with the teacher's hyperparameters."""
    if not teaching:
        return ()
    values = spaces.decode(task.space, teaching.teacher_config)
    return teaching._replace(teacher_hyperparams=values)


def _evaluate(
    task: Task,
    over_members: Callable,
    seed: Array,
    round_: Array,
    stream: Array,
    start_draws: Array,
    active: Array,
    population: TrainState,
    config: Array,
    data: PyTree = (),
):
    return over_members(partial(_evaluate_member, task))(
        (seed, round_, stream, data_kwargs(data)),
        (start_draws, active, population, config),
    )


def _evaluate_member(
    task: Task,
    seed: Array,
    round_: Array,
    stream: Array,
    data: dict[str, PyTree],
    start_draw: Array,
    active: Array,
    state: TrainState,
    config: Array,
):
    key = fold(seed, stream, round_, start_draw)

    def evaluated(_):
        hyperparams = spaces.decode(task.space, config)
        return task.evaluate(key, state, hyperparams, **data)

    returns, steps = jax.eval_shape(evaluated, ())
    not_evaluated = jax.tree.map(_nothing, returns), jnp.zeros(steps.shape, steps.dtype)
    returns, steps = run_if(active, evaluated, not_evaluated)
    return returns, steps, all_finite(state._replace(env_state=(), memory=()))


def _nothing(shape: jax.ShapeDtypeStruct) -> Array:
    """What stands for an array that was not computed: NaN where it has floats."""
    if jnp.issubdtype(shape.dtype, jnp.floating):
        return jnp.full(shape.shape, jnp.nan, shape.dtype)
    return jnp.zeros(shape.shape, shape.dtype)


def _pick(task: Task, population: TrainState, member: Array) -> TrainState:
    return jax.tree.map(lambda x: x[member], heritage(task, population))


def _repeat(
    task: Task, pop_size: int, state: TrainState, population: TrainState
) -> TrainState:
    copies = jax.tree.map(lambda x: jnp.broadcast_to(x, (pop_size, *x.shape)), state)
    return with_slot(task, copies, population)


def _inherit(
    task: Task,
    over_members: Callable,
    pop_size: int,
    seed: Array,
    round_: Array,
    population: TrainState,
    best: TrainState,
    decision: Decision,
) -> TrainState:
    members = jnp.arange(pop_size)
    blended = is_blended(decision)
    fresh = over_members(partial(_fresh_member, task))(
        (seed, round_), (members, decision.config, blended)
    )
    state = gather(task, population, best, fresh, decision)
    replaced = blended | jnp.any(decision.parents != members[:, None], axis=1)
    return over_members(partial(_refresh_member, task))(
        (seed, round_), (members, replaced, state, decision.config)
    )


def _fresh_member(
    task: Task,
    seed: Array,
    round_: Array,
    member: Array,
    config: Array,
    wanted: Array,
) -> TrainState:
    """Fresh weights where they are wanted, else zeros."""

    def draw():
        return heritage(task, _init_member(task, seed, round_, member, config))

    shapes = jax.eval_shape(draw)
    return jax.lax.cond(wanted, draw, lambda: zeros_like_shapes(shapes))


def _refresh_member(
    task: Task,
    seed: Array,
    round_: Array,
    member: Array,
    replaced: Array,
    state: TrainState,
    config: Array,
) -> TrainState:
    key = member_key(seed, Stream.inherit, round_, member)
    hyperparams = spaces.decode(task.space, config)

    def refreshed(state: TrainState) -> TrainState:
        return task.refresh(key, state, hyperparams)

    return jax.lax.cond(replaced, refreshed, lambda state: state, state)


def _mutate(
    over_members: Callable,
    pop_size: int,
    seed: Array,
    round_: Array,
    population: TrainState,
    who: Array,
) -> TrainState:
    members = jnp.arange(pop_size)
    return over_members(_mutate_member)((seed, round_), (members, who, population))


def _mutate_member(
    seed: Array, round_: Array, member: Array, mutates: Array, state: TrainState
) -> TrainState:
    key = member_key(seed, Stream.mutate, round_, member)

    def mutated(state: TrainState) -> TrainState:
        return state._replace(params=mutate(key, state.params))

    return jax.lax.cond(mutates, mutated, lambda state: state, state)
