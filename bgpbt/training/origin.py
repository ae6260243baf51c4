"""A run that begins with what another run has learnt.

`P` members.
"""

from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from bgpbt.config.errors import BadInput
from bgpbt.execution.inherit import heritage
from bgpbt.execution.shapes import member_shapes
from bgpbt.storage.checkpoints import Unreadable, read_parts
from bgpbt.storage.run_folder import RunFolder
from bgpbt.training.engine import Engine
from bgpbt.training.groups import Groups
from bgpbt.types import Task, TrainState


class Origin(NamedTuple):
    """What a population begins with in the place of fresh weights."""

    heritage: TrainState  # of one member; `[P, ...]` of all
    of_all: bool
    moments: bool  # the optimizer state comes along
    words: str  # where it comes from, for the user


def read_origin(
    path: Path, task: Task, pop_size: int, *, of_all: bool, moments: bool
) -> Origin:
    """Reads what another run has learnt, from its last round.

    Args:
      path: of its folder, that of a seed.
      task: of the run to come.
      pop_size: P of the run to come.
      of_all: the whole population; False: the saved best.
      moments: the optimizer state, too.

    Raises:
      BadInput: there is no such run, or its members are of other shapes.
    """
    folder = RunFolder(path)
    rounds = folder.usable()
    if not rounds and folder.rounds():
        raise _refusal(f"all checkpoints of {path} are damaged, give another run")
    if not rounds:
        raise _refusal(
            f"{path} holds no run with a finished round, "
            "give a folder such as runs/.../seed_0"
        )
    like = jax.tree.map(
        lambda x: np.zeros((pop_size,) * of_all + x.shape, x.dtype),
        heritage(task, member_shapes(task)),
    )
    parts = {part: x for part, x in like._asdict().items() if jax.tree.leaves(x)}
    name = "population.0" if of_all else "best.state"
    try:
        found = read_parts(folder.checkpoint(rounds[-1]), name, parts)
    except Unreadable as error:
        raise _refusal(f"round {rounds[-1]} of {path} {error}") from None
    words = f"round {rounds[-1]} of {path}"
    if (newest := folder.rounds()[-1]) != rounds[-1]:
        words += f" (round {newest} is damaged)"
    return Origin(like._replace(**found), of_all, moments, words)


def _refusal(problem: str) -> BadInput:
    return BadInput(f"init_from: {problem}", "init_from")


def begin_with(engine: Engine, groups: Groups, origin: Origin) -> Groups:
    """Untrained groups with the weights of an origin, and what belongs to them.

    Environments stay, and the optimizer state where it does not come along.
    """
    return tuple(_filled(engine, group, origin) for group in groups)


def _filled(engine: Engine, group: TrainState, origin: Origin) -> TrainState:
    found, fresh = origin.heritage, heritage(engine.task, group)
    if not origin.of_all:
        found = jax.tree.map(lambda x, old: np.broadcast_to(x, old.shape), found, fresh)
    if not origin.moments:
        found = found._replace(opt_state=fresh.opt_state)
    placed = jax.tree.map(lambda x, old: jax.device_put(x, old.sharding), found, fresh)
    memory = placed.memory if engine.task.inherits_memory else group.memory
    return placed._replace(env_state=group.env_state, memory=memory)
