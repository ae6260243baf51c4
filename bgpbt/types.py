"""The contract between a task, a strategy and the engine. Everything here is data; nothing here computes.

Shapes: `P` members, `D` search dimensions, `B` blocks of weights, `E` episodes, `G` environments of a member.
"""

import enum
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from bgpbt.space import SearchSpace

Array = jax.Array
Key = jax.Array
PyTree = Any
Metrics = dict[str, Array]
Hyperparams = dict[str, Array]  # a decoded configuration: name -> traced scalar in natural units


class TrainState(NamedTuple):
    """What a member is. The field decides what inheritance does to a leaf, so a task never has to say."""

    params: dict[str, PyTree]  # block -> weights: come from the block's parent, shrunk and perturbed
    moments: dict[str, PyTree]  # block -> what its optimizer keeps: come with the weights, fresh where those are not whole
    shared: PyTree  # what all blocks read (observation normaliser): comes from the parent of the first block
    world: PyTree  # environments, running episodes, data positions: never inherited, drawn afresh by `refresh`


class Lesson(NamedTuple):
    """What a student learns from beside its own experience."""

    teacher: TrainState  # without its world; its networks may be padded to another size than the student's
    config: Array  # [D] the teacher's, in the unit cube
    trained: Array  # [] float32, steps of the distillation behind the student
    length: Array  # [] float32, steps of the whole distillation


class Task(NamedTuple):
    """A learning problem, written for ONE member; `bgpbt.population` adds the axis `P`."""

    name: str
    space: SearchSpace  # the searched dimensions: name -> Float | Integer | Categorical
    blocks: tuple[str, ...]  # sub-trees of `params` that can be inherited separately
    timesteps_per_update: int  # the smallest amount of training, in the unit of `timesteps`
    init: Callable[[Key, Hyperparams], TrainState]
    train: Callable[[Key, TrainState, Hyperparams, Array, PyTree], tuple[TrainState, Metrics]]
    # (key, state, hyperparams, updates [] int32, extra): `extra` is a `Lesson`, or (). Metrics: `loss` [];
    # `env_steps` [] int32 simulated; `episode_returns` [E] where the fitness comes from training
    evaluate: Callable[[Key, TrainState, Hyperparams], tuple[Array, Array]]
    # fresh deterministic episodes: returns [E], simulated steps [] int32
    refresh: Callable[[Key, TrainState], TrainState] = lambda key, state: state  # new environments, after inheriting
    data: PyTree = ()  # arrays that all members read: `train` and `evaluate` get them as keyword `data`, if there are any
    unseen: Callable[[], PyTree] | None = None
    # loads what `evaluate` gets instead for the report, which no selection sees; None: fresh episodes will do
    first: np.ndarray | None = None  # [P, D] configurations that a population begins with; None: drawn
    unit: str = "steps"  # what is counted in `env_steps_total`
    measure: str = "return"  # what a return is, for figures
    evaluation_steps: int = 1  # of one evaluation of a member, at most
    in_flight: Callable[[dict[str, int]], int] = lambda size: 3 * size["params"] + 2 * size["world"]
    # bytes that a member holds while it trains beside its state, from the bytes of the state's fields
    fitness_from_training: bool = False  # `metrics["episode_returns"]` instead of `evaluate`
    context: Any = None  # what drawing needs and training does not (the PPO task: its `Env` and policy)
    ladder: tuple["Task", ...] = ()  # the same task padded to smaller networks, ascending
    fits: Callable[[np.ndarray], np.ndarray] = lambda config: np.ones(len(config), bool)
    # which configurations [M, D] have networks that this padding holds: [M] bool; the largest task holds all


class Source(enum.IntEnum):
    """Where a configuration came from; goes into the records. `distilled`: with a survivor of a distillation.

    `previous`: the member's own of the round before; `copied`: its parent's as it was; `mutated`: its weights were, too.
    """

    initial = 0
    previous = 1
    random = 2
    perturbed = 3
    resampled = 4
    gp = 5
    mixed = 6
    distilled = 7
    copied = 8
    mutated = 9


class Outcome(NamedTuple):
    """What a strategy sees after a round, and once before its first round, so that first differences exist."""

    config: Array  # [P, D] in the unit cube
    fitness: Array  # [P] larger is better, NaN = failed
    episode_returns: Array  # [P, E] what the fitness is the mean of, NaN-padded
    timesteps: Array  # [P] int32, the slot has trained so far; never falls
    age: Array  # [P] int32, steps since the weights were last fresh; inherited with them
    active: Array  # [P] bool, took part in this round


class Decision(NamedTuple):
    """What a strategy answers."""

    config: Array  # [P, D] next configurations
    parents: Array  # [P, B] int32, member each block is inherited from; own index = keep, P = the saved best
    shrink: Array  # [P, B] 1 = keep the inherited weights, 0 = a fresh start
    perturb: Array  # [P, B] how much of a fresh initialisation is added, 0 = none
    active: Array  # [P] bool, False: idle in the next round, spends no steps
    source: Array  # [P] int32, a `Source`
    mutate: Array | tuple[()] = ()  # [P] bool, whose inherited weights are mutated; only of a strategy that `mutates`


NEEDS = {
    "hyperparameters": "hyperparameters to search",
    "architectures": "architectures to search",
    "continuous": "hyperparameters that are numbers",
    "returns": "several returns of an evaluation",
}


class Strategy(NamedTuple):
    """A population method: two pure functions. `step` is called from the host after every round and jits itself."""

    init: Callable[[Key, Outcome], PyTree]  # sees the population it begins with
    step: Callable[[Key, PyTree, Outcome], tuple[PyTree, Decision]]
    beliefs: Callable[[PyTree], dict[str, Array]] = lambda state: {}
    # what the strategy held true when it chose the round's configurations, by column of the records: each [] or [P]
    prepare: Callable[[int], None] = lambda size: None
    # compiles what `step` needs for P members, beside the compilation of the large programs
    needs: tuple[str, ...] = ()  # of `NEEDS`: what a task must have to be served
    complaint: Callable[[int], str] = lambda size: ""  # what is wrong with a population of P members, "" where nothing is
    draw: Callable[[Key, np.ndarray], np.ndarray] = lambda key, config: config
    # the first configurations, from ones drawn at random: both [M, D]
    mutates: bool = False  # its decisions say whose weights are mutated (`bgpbt.mutation`)


class Progress(NamedTuple):
    """The part of a run that lives on the host: counters and the round to come. NumPy, a few kilobytes.

    `M` slots in groups of P: P members, or the candidates of a tournament, whose last group is filled up with idle slots.
    """

    seed: np.ndarray  # [] int64
    round: np.ndarray  # [] int64, rounds finished; 0 = the untrained population has been evaluated
    config: np.ndarray  # [M, D] float32, of the round to come
    parents: np.ndarray  # [M, B] int64, slot of the round before that each one's weights came from, or its teacher's
    source: np.ndarray  # [M] int64
    active: np.ndarray  # [M] bool
    timesteps: np.ndarray  # [M] int64
    age: np.ndarray  # [M] int64
    fitness: np.ndarray  # [M] float64, last measured; an idle member keeps its own
    sizes: np.ndarray  # [M / P] int64, padded size of each group: its place on the task's ladder
    env_steps_total: np.ndarray  # [] int64, everything simulated that a selection saw or training used
    best_fitness: np.ndarray  # [] float64, of the saved best; -inf before there is one
    best_round: np.ndarray  # [] int64
    best_member: np.ndarray  # [] int64
    best_age: np.ndarray  # [] int64
    best_config: np.ndarray  # [D] float32
    best_size: np.ndarray  # [] int64, padded size
    untrained: np.ndarray  # [] int64, the initial candidate that was best before training


class Why(enum.IntEnum):
    """Why a generation began."""

    start = 0
    patience = 1  # the generation before found nothing better for long enough
    distill_every = 2  # it had trained long enough


class Tried(NamedTuple):
    """What became of architectures: one row for each of every generation. NumPy; `A` architecture dimensions."""

    config: np.ndarray  # [N, A] float32, in the unit cube
    score: np.ndarray  # [N] float64, highest fitness of any member that had it; NaN = no row
    generation: np.ndarray  # [N] int64


class Generation(NamedTuple):
    """Where the present generation stands. NumPy."""

    number: np.ndarray  # [] int64, 0 = the first
    why: np.ndarray  # [] int64, a `Why`
    began: np.ndarray  # [] int64, timesteps of a member when the last tournament ended
    best: np.ndarray  # [] float64, highest fitness since its tournament ended; -inf before
    stalled: np.ndarray  # [] int64, rounds without a higher one
    candidates: np.ndarray  # [] int64, with which the running tournament began; 0 = none is running
    updates: np.ndarray  # [] int64, of a candidate in the running tournament
    teacher_config: np.ndarray  # [D] float32, whom the running distillation's students learn from
    tried: Tried


class RunState(NamedTuple):
    """The checkpoint: all that the next round depends on."""

    progress: Progress
    generation: Generation
    population: tuple[TrainState, ...]  # groups of [P, ...]; one of them outside tournaments
    best: TrainState  # one member without its world
    teacher: TrainState | tuple[()]  # one member without its world, in the largest padding; () outside distillations
    strategy: PyTree
