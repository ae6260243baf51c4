"""What a run is between two rounds: the checkpoint, and the counters in it.

Shapes: `P` members, `D` search dimensions, `B` blocks of weights, `A` architecture
dimensions. `M` slots in groups of P: the members, or the candidates of a successive
halving, whose last group is filled up with idle slots.
"""

import enum
from typing import NamedTuple

import numpy as np

from bgpbt.types import PyTree, TrainState


class Progress(NamedTuple):
    """Counters, and the round to come. NumPy on the host, a few kilobytes.

    Larger fitness is better in all of the state, also where the task minimises.
    """

    seed: np.ndarray  # [] int64
    round: np.ndarray  # [] int64, rounds finished; 0 = only evaluated, untrained
    config: np.ndarray  # [M, D] float32, of the round to come
    # [M, B] int64, the slot of the round before that each one's weights came from, or
    # its teacher's.
    parents: np.ndarray
    source: np.ndarray  # [M] int64, a `Source`
    active: np.ndarray  # [M] bool
    timesteps: np.ndarray  # [M] int64
    age: np.ndarray  # [M] int64
    fitness: np.ndarray  # [M] float64, last evaluated; an idle member keeps its own
    paddings: np.ndarray  # [M / P] int64, index of each group's padding, ascending
    # [] int64, everything simulated that training used or a selection saw.
    env_steps_total: np.ndarray
    untrained: np.ndarray  # [] int64, the candidate that was best before training


class Best(NamedTuple):
    """The saved best: the member with the highest fitness of any round."""

    state: TrainState  # what is inherited of it
    fitness: np.ndarray  # [] float64; -inf before there is one
    round: np.ndarray  # [] int64
    member: np.ndarray  # [] int64
    age: np.ndarray  # [] int64
    config: np.ndarray  # [D] float32
    padding: np.ndarray  # [] int64, index of its padding


class Trigger(enum.IntEnum):
    """Why a generation began. The integers are part of the format of checkpoints."""

    start = 0
    patience = 1  # the generation before found nothing better for long enough
    distill_every = 2  # it had trained long enough


class ArchitectureHistory(NamedTuple):
    """What became of architectures: one row for each of every generation. NumPy."""

    config: np.ndarray  # [N, A] float32, in the unit cube
    score: np.ndarray  # [N] float64, highest fitness of its members; NaN = no row
    generation: np.ndarray  # [N] int64


class Generation(NamedTuple):
    """Where the present generation stands. NumPy."""

    number: np.ndarray  # [] int64, 0 = the first
    trigger: np.ndarray  # [] int64, a `Trigger`
    began: np.ndarray  # [] int64, timesteps of a member when the last halving ended
    best: np.ndarray  # [] float64, highest fitness since then; -inf before
    stalled_rounds: np.ndarray  # [] int64, rounds without a higher one
    candidates: np.ndarray  # [] int64, of the running successive halving; 0 = none
    updates: np.ndarray  # [] int64, of a candidate in the running successive halving
    teacher_config: np.ndarray  # [D] float32, of the running distillation's teacher
    architectures: ArchitectureHistory


class RunState(NamedTuple):
    """The checkpoint: all that the next round depends on."""

    progress: Progress
    generation: Generation
    # Groups of [P, ...]; one of them outside a successive halving.
    population: tuple[TrainState, ...]
    best: Best
    # The heritage of one member, in the largest padding; () where none teaches.
    teacher: TrainState | tuple[()]
    strategy: PyTree
