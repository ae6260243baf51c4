"""Members in groups: P members of one padding go through the same programs.

`M` slots, a multiple of P, in groups of P; `D` dimensions.
"""

from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np

from bgpbt import space as spaces
from bgpbt.execution.inherit import heritage
from bgpbt.execution.padding import regroup, resize_padding
from bgpbt.execution.shapes import member_shapes
from bgpbt.execution.streams import Stream, fold
from bgpbt.training.engine import Engine
from bgpbt.types import Strategy, TrainState

Groups = tuple[TrainState, ...]


class GroupedConfigs(NamedTuple):
    """Configurations sorted by padding, and what they need in groups of P.

    Copies of the last one fill the last group; their slots are not active.
    """

    order: np.ndarray  # [M] int64, which of the given configurations each slot has
    config: np.ndarray  # [M, D]
    paddings: np.ndarray  # [M / P] int64, of each group, ascending
    active: np.ndarray  # [M] bool


def padding_index(engine: Engine, config: np.ndarray) -> np.ndarray:
    """The smallest padding that holds each configuration `[M, D]`. Shape `[M]`."""
    if len(engine.tasks) == 1:
        return np.zeros(len(config), int)
    architectures = {
        name: spaces.value_at(dim, config[:, i])
        for i, (name, dim) in enumerate(engine.task.space.items())
        if dim.group != "hyperparameter" and not isinstance(dim, spaces.Float)
    }
    supports = [task.padding.supports(architectures) for task in engine.tasks]
    return np.argmax(supports, axis=0)


def group_by_padding(engine: Engine, config: np.ndarray) -> GroupedConfigs:
    """Sorts configurations `[m, D]` by padding and fills the last group up."""
    pop_size = engine.plan.pop_size
    paddings = padding_index(engine, config)
    order = np.argsort(paddings, kind="stable")
    order = np.append(order, np.repeat(order[-1:], -len(order) % pop_size))
    return GroupedConfigs(
        order=order,
        config=config[order],
        paddings=paddings[order].reshape(-1, pop_size).max(axis=1),
        active=np.arange(len(order)) < len(config),
    )


def draw_configs(engine: Engine, seed: int, count: int) -> np.ndarray:
    """At least `count` random configurations. Shape `[n * P, D]`.

    Architectures lie at the centres of their bins.
    """
    pop_size = engine.plan.pop_size
    slots = np.arange(-(-count // pop_size) * pop_size, dtype=np.int32)
    drawn = [
        np.asarray(engine.largest.configure(np.uint32(seed), members))
        for members in slots.reshape(-1, pop_size)
    ]
    return spaces.snap_architectures(engine.task.space, np.concatenate(drawn))


def first_configs(engine: Engine, seed: int) -> GroupedConfigs:
    """The configurations of the initial candidates."""
    plan = engine.plan
    task = engine.task
    config = draw_configs(engine, seed, plan.candidates)[: plan.candidates]
    config = drawn_for(engine.strategy, seed, config)
    if task.initial_configs is not None:
        config = np.resize(task.initial_configs, config.shape).astype(np.float32)
    if plan.default_configs:
        default = spaces.encode(task.space, spaces.defaults(task.space))
        config = np.tile(np.asarray(default, np.float32), (len(config), 1))
    return group_by_padding(engine, config)


def drawn_for(strategy: Strategy, seed: int, config: np.ndarray) -> np.ndarray:
    """What a strategy makes of configurations that were drawn at random: `[M, D]`."""
    key = fold(seed, Stream.configure)
    return np.asarray(strategy.draw(key, config), np.float32)


def initialise(
    engine: Engine, seed: int, round_: int, paddings: np.ndarray, config: np.ndarray
) -> Groups:
    """Untrained members in groups of the given paddings.

    Args:
      engine: has the programs.
      seed: of the run.
      round_: when they begin.
      paddings: of each group. Shape `[M / P]`.
      config: shape `[M, D]`.
    """
    slots = np.split(np.arange(len(config), dtype=np.int32), len(paddings))
    scalars = np.uint32(seed), np.int32(round_)
    return tuple(
        engine.programs[padding].init(*scalars, members, config[members])
        for padding, members in zip(paddings, slots, strict=True)
    )


def each_group(
    engine: Engine, paddings: np.ndarray, groups: Groups
) -> Iterator[tuple[int, np.ndarray, TrainState]]:
    """Padding, slots `[P]` and state of every group."""
    slots = np.arange(len(paddings) * engine.plan.pop_size)
    members = np.split(slots, len(paddings))
    return zip(paddings.tolist(), members, groups, strict=True)


def pick(engine: Engine, groups: Groups, member: int) -> TrainState:
    """What can be inherited of a member, in the padding of its group."""
    group, slot = divmod(member, engine.plan.pop_size)
    return engine.programs[0].pick(groups[group], np.int32(slot))


def with_padding(engine: Engine, member: TrainState, padding: int) -> TrainState:
    """A member's heritage in another padding that holds its networks."""
    task = engine.tasks[padding]
    like = heritage(task, member_shapes(task))
    same = jax.tree.map(lambda x, y: x.shape == y.shape, member, like)
    if jax.tree.all(same):
        return member
    resized = resize_padding(jax.device_get(member), like)
    return jax.tree.map(lambda x, old: jax.device_put(x, old.sharding), resized, member)


def regrouped(
    engine: Engine, groups: Groups, members: np.ndarray, paddings: np.ndarray
) -> Groups:
    """Copies chosen members, in their order, into new groups of other paddings.

    Weights, optimizer state and environments come along. `groups` stay as they are.

    Args:
      engine: has the tasks.
      groups: where the members are.
      members: who is chosen, counted through `groups`. Shape `[M]`.
      paddings: of the new groups. Shape `[M / P]`.
    """
    return tuple(
        regroup(groups, rows, engine.tasks[padding], engine.device_layout)
        for rows, padding in zip(
            np.split(members, len(paddings)), paddings, strict=True
        )
    )
