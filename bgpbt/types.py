"""The contract between a task, a strategy and the loop that trains a population.

Everything here is data or the shape of a function; nothing here computes.

Shapes: `P` members, `D` search dimensions, `B` blocks of weights, `E` episodes. A task
is written for one member, so its arrays have no axis `P`. Keys are consumed: a function
uses each of its keys once.
"""

import enum
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from bgpbt.space import Array, SearchSpace

Key = jax.Array
PyTree = Any
Metrics = dict[str, Array]
# A decoded configuration: name -> traced scalar in natural units.
Hyperparams = dict[str, Array]


class TrainState(NamedTuple):
    """What a member is.

    The field decides what inheritance does to a leaf, so that a task never has to say.
    """

    # block -> weights. They come from the block's parent, shrunk and perturbed.
    params: dict[str, PyTree]
    # block -> what its optimizer keeps. It comes with the weights, and is fresh where
    # the weights are blended.
    opt_state: dict[str, PyTree]
    # What all blocks read (observation statistics): from the parent of the first block.
    statistics: PyTree
    # Environments, running episodes, the position in the data: never inherited, drawn
    # afresh by `refresh`.
    env_state: PyTree
    # block -> averages of its weights (a target network, an EMA), of the blocks that
    # have some; () where none has. They come from the block's parent, and are never
    # shrunk.
    averages: PyTree = ()
    # Experience that is learnt from again (replay). It stays with the slot, or comes
    # from the parent of the first block where the task says `inherits_memory`.
    memory: PyTree = ()


class Distillation(NamedTuple):
    """What a student learns from beside its own experience."""

    teacher: TrainState  # what is inherited of it; perhaps of another padding
    teacher_config: Array  # [D] in the unit cube
    steps_done: Array  # [] float32, steps of the distillation behind the student
    steps_total: Array  # [] float32, steps of the whole distillation
    # Natural values of `teacher_config` by name, each []: filled in by the programs.
    teacher_hyperparams: Hyperparams | tuple[()] = ()


class Init(Protocol):
    """Draws an untrained member."""

    def __call__(self, key: Key, hyperparams: Hyperparams) -> TrainState:
        """Draws weights, optimizer state, statistics and environments.

        Args:
          key: PRNG key, consumed.
          hyperparams: natural values by name, each `[]`, traced.

        Returns:
          The member. Its shapes and dtypes are those of every later state.
        """
        ...


class Train(Protocol):
    """Trains a member for a number of updates that is traced."""

    def __call__(
        self,
        key: Key,
        state: TrainState,
        hyperparams: Hyperparams,
        updates: Array,
        teaching: Distillation | tuple[()],
    ) -> tuple[TrainState, Metrics]:
        """Trains one member.

        A task with `data` gets them as a further keyword, `data`.

        Args:
          key: PRNG key, consumed.
          state: the member; the result has the same tree, shapes and dtypes.
          hyperparams: natural values by name, each `[]`, traced.
          updates: how many. Shape `[]`, int32.
          teaching: what a student learns from, or `()`.

        Returns:
          The trained member, and metrics: `loss` `[]`; `env_steps` `[]` int32, what was
          simulated; `episode_returns` `[E]` where the fitness comes from training.
        """
        ...


class Evaluate(Protocol):
    """Judges a member."""

    def __call__(
        self, key: Key, state: TrainState, hyperparams: Hyperparams
    ) -> tuple[Array, Array]:
        """Plays fresh deterministic episodes, or predicts on held-out data.

        A task with `data` gets them as a further keyword, `data`.

        Args:
          key: PRNG key, consumed; the same for all members of a round.
          state: the member.
          hyperparams: natural values by name, each `[]`, traced.

        Returns:
          Returns `[E]`, whose mean is the fitness; and the simulated steps, `[]` int32.
          Larger returns are better unless the task says `minimise`. Where the task has
          a `score`, statistics for it in the place of returns: a tree of arrays.
        """
        ...


class Score(Protocol):
    """Turns what `evaluate` measured into returns, on the host.

    For what a compiled program cannot do: float64, SciPy, text. It is outside the
    program, so it may call anything that gives the same answer twice.
    """

    def __call__(self, statistics: PyTree) -> np.ndarray:
        """Scores one member.

        Args:
          statistics: of one member, NumPy arrays, all finite: a member with others has
            failed and is not scored.

        Returns:
          Returns `[num_scores]`, as `evaluate` gives them without a score.
        """
        ...


class Refresh(Protocol):
    """Gives a member that has inherited its own environments."""

    def __call__(
        self, key: Key, state: TrainState, hyperparams: Hyperparams
    ) -> TrainState:
        """Draws `env_state` afresh, and empties `memory` where it must be; all else
        stays.

        Args:
          key: PRNG key, consumed.
          state: the member, with what it has inherited.
          hyperparams: natural values by name, those it trains with next.
        """
        ...


def _keep(key: Key, state: TrainState, hyperparams: Hyperparams) -> TrainState:
    return state


def _all_of(architectures: dict[str, np.ndarray]) -> np.ndarray:
    return np.ones(len(next(iter(architectures.values()))), bool)


class Padding(NamedTuple):
    """The smaller networks that a task can be compiled for, beside its own size."""

    # The same task padded to smaller networks, ascending.
    variants: tuple["Task", ...] = ()
    # Which architectures have networks that this padding holds, from the natural values
    # [M] of the blocks' dimensions by name: [M] bool. The largest task holds all.
    supports: Callable[[dict[str, np.ndarray]], np.ndarray] = _all_of


class Distribution(Protocol):
    """What a policy may do.

    A *sample* is an action in the form that densities are stable for, such as before
    tanh. It is a tree of arrays, so that programs can give it back.
    """

    def sample(self, noise: Array) -> Array:
        """The sample that `noise` stands for, both `[..., A]`."""
        ...

    def action(self, sample: Array) -> Array:
        """What the environment takes, of a sample."""
        ...

    def mode(self) -> Array:
        """The action without noise."""
        ...

    def log_prob(self, sample: Array) -> Array:
        """Logarithm of the density of the sample's action. Shape `[...]`."""
        ...

    def entropy(self, noise: Array) -> Array:
        """Entropy, perhaps an estimate from `noise`. Shape `[...]`."""
        ...

    def kl(self, other: Any) -> Array:
        """Divergence of `other`, of the same kind, from this one. Shape `[...]`."""
        ...


class Policy(NamedTuple):
    """What acts: `policy(carry, observations)` gives the next carry and distributions.

    The carry is what a policy remembers within an episode; one without memory carries
    `()`.
    """

    # (carry [..., ...], observations [..., O]) -> the same carry, a `Distribution` over
    # actions [..., A].
    act: Callable[[PyTree, Array], tuple[PyTree, Any]]
    carry: PyTree = ()  # with which ONE episode begins
    # What it is made of, as plain arrays by name, for a file; None: not offered.
    arrays: Callable[[], dict[str, np.ndarray]] | None = None

    def __call__(self, carry: PyTree, obs: Array) -> tuple[PyTree, Any]:
        """Acts once."""
        return self.act(carry, obs)


class Playback(NamedTuple):
    """What a GIF and an exported policy need, and training does not."""

    env: Any  # an `Env`
    policy: Callable[[TrainState, Hyperparams], Policy]


class Cache(Protocol):
    """What members find out and others need not find out again.

    It lives on the host, outside of the state of a run: it changes how long a round
    takes, and no result.
    """

    def check(self) -> None:
        """Called before a run is begun; writes nothing.

        Raises:
          BadInput: what is kept outside of the run cannot be used.
        """
        ...

    def open(self, folder: Path) -> list[str]:
        """Called before the first round of a process, for each seed.

        Args:
          folder: of the run.

        Returns:
          Lines for the user.

        Raises:
          BadInput: what is kept there cannot be used.
        """
        ...

    def fill(self, data: PyTree) -> PyTree:
        """The task's `data` with what is known now, in the same shapes."""
        ...

    def add(self, metrics: Metrics) -> None:
        """Learns what the training of P members has found; arrays of NumPy."""
        ...

    def summary(self) -> str:
        """What the run gained by it, in a line."""
        ...


NOTHING_OFFERED: SearchSpace = {}
NO_FIGURES: dict[str, dict[str, Any]] = {}


class Task(NamedTuple):
    """A learning problem, written for ONE member; `bgpbt.execution` adds the axis P."""

    name: str
    space: SearchSpace  # the searched dimensions: name -> Float | Integer | Categorical
    blocks: tuple[str, ...]  # sub-trees of `params` that can be inherited separately
    timesteps_per_update: int  # the smallest amount of training, in `timesteps`
    init: Init
    train: Train
    evaluate: Evaluate
    refresh: Refresh = _keep
    score: Score | None = None  # None: `evaluate` gives the returns itself
    num_scores: int = 1  # E, where there is a `score`
    # Further columns of the records, each the mean over a member's episodes. They are
    # read from the statistics, or from the metrics where the fitness is from training.
    columns: tuple[str, ...] = ()
    # Arrays that all members read. `train` and `evaluate` get them as keyword `data`.
    data: PyTree = ()
    # What members of other rounds and runs have found out, as part of `data`.
    cache: Cache | None = None
    # Loads what `evaluate` gets in the place of `data` for the report, which no
    # selection sees; None: fresh episodes will do.
    test_data: Callable[[], PyTree] | None = None
    # [P, D] configurations that a population begins with; None: drawn.
    initial_configs: np.ndarray | None = None
    step_unit: str = "steps"  # what `env_steps_total` counts
    return_label: str = "return"  # what a return is, on axes
    evaluation_steps: int = 1  # at most, of one evaluation of a member
    # Bytes that a member holds while it trains beside its state, from the bytes of the
    # state's fields.
    workspace_bytes: Callable[[dict[str, int]], int] = lambda size: (
        3 * size["params"] + 2 * size["env_state"]
    )
    # `metrics["episode_returns"]` are ranked in the place of `evaluate`'s returns.
    fitness_from_training: bool = False
    playback: Playback | None = None
    padding: Padding = Padding()
    # `memory` comes from the parent of the first block; False: it stays with the slot.
    inherits_memory: bool = False
    # Dimensions that are searched only where a user says so, and else are not among the
    # hyperparameters that the functions get.
    offered: SearchSpace = NOTHING_OFFERED
    # Smaller returns are better. Strategies do not notice: they see the returns with
    # the other sign. Records, report, figures and display show the task's own numbers.
    minimise: bool = False
    # Figures of a run beside learning curve and schedule, by their names in
    # `bgpbt.registry.FIGURES`: what their functions need to know of the task, as
    # keyword arguments.
    figures: dict[str, dict[str, Any]] = NO_FIGURES


class Searched(Protocol):
    """What a strategy is built for: a `Task`, or a person's own training loop."""

    @property
    def space(self) -> SearchSpace:
        """The searched dimensions."""
        ...

    @property
    def blocks(self) -> tuple[str, ...]:
        """The parts of a member's weights that can be inherited separately."""
        ...

    @property
    def minimise(self) -> bool:
        """Whether smaller returns are better."""
        ...


class Source(enum.IntEnum):
    """Where a configuration came from; goes into the records.

    The integers are part of the format of checkpoints.
    """

    initial = 0
    previous = 1  # the member's own of the round before
    random = 2
    perturbed = 3
    resampled = 4
    gp = 5
    mixed = 6  # blocks of two parents
    distilled = 7  # with a survivor of a distillation
    copied = 8  # the parent's as it was
    mutated = 9  # the parent's, and weights or an architecture were mutated


class Outcome(NamedTuple):
    """What a strategy sees after a round.

    It also sees one of the untrained population, so that first differences exist.
    """

    config: Array  # [P, D] in the unit cube
    # [P] larger is better, also where the task minimises; NaN = failed
    fitness: Array
    episode_returns: Array  # [P, E] what the fitness is the mean of, NaN-padded
    timesteps: Array  # [P] int32, the slot has trained so far; never falls
    age: Array  # [P] int32, steps since the weights were last fresh; inherited
    active: Array  # [P] bool, took part in this round


class Decision(NamedTuple):
    """What a strategy answers."""

    config: Array  # [P, D] next configurations
    # [P, B] int32, the member each block is inherited from; own index = keep,
    # P = the saved best.
    parents: Array
    shrink: Array  # [P, B] factor of the inherited weights, 1 = keep them
    perturb: Array  # [P, B] factor of the fresh weights that are added, 0 = none
    active: Array  # [P] bool, False: idle in the next round, spends no steps
    source: Array  # [P] int32, a `Source`
    # [P] bool, whose inherited weights are mutated; only of a strategy that `mutates`.
    mutate: Array | tuple[()] = ()


NEEDS = {
    "hyperparameters": "hyperparameters to search",
    "architectures": "architectures to search",
    "continuous": "hyperparameters that are numbers",
    "returns": "several returns of an evaluation",
}


class StrategyInit(Protocol):
    """Begins a strategy."""

    def __call__(self, key: Key, outcome: Outcome) -> PyTree:
        """Builds the state that the strategy carries from round to round.

        Args:
          key: PRNG key, consumed.
          outcome: of the population that it begins with.

        Returns:
          A tree of arrays; every later state has the same shapes and dtypes.
        """
        ...


class StrategyStep(Protocol):
    """Decides after a round. It is called from the host and jits itself."""

    def __call__(
        self, key: Key, state: PyTree, outcome: Outcome
    ) -> tuple[PyTree, Decision]:
        """Decides who inherits from whom, and who trains with which configuration.

        Args:
          key: PRNG key, consumed.
          state: from `init` or the step before.
          outcome: of the round that ended.
        """
        ...


def _no_diagnostics(state: PyTree) -> dict[str, Array]:
    return {}


def _nothing_to_prepare(pop_size: int) -> None:
    return None


def _any_size(pop_size: int) -> str:
    return ""


def _as_drawn(key: Key, config: np.ndarray) -> np.ndarray:
    return config


class Strategy(NamedTuple):
    """A population method: two pure functions, and what is known of it."""

    init: StrategyInit
    step: StrategyStep
    # What the strategy predicted when it chose the round's configurations, by column of
    # the records: each [] or [P]. Where the task minimises, records show `gp_fitness`,
    # `gp_fitness_low` and `gp_fitness_high` with the sign of the task's numbers.
    diagnostics: Callable[[PyTree], dict[str, Array]] = _no_diagnostics
    # Compiles what `step` needs for P members, beside the large programs.
    prepare: Callable[[int], None] = _nothing_to_prepare
    needs: tuple[str, ...] = ()  # of `NEEDS`: what a task must have to be served
    # What is wrong with a population of P members, in words; "" where nothing is.
    validate: Callable[[int], str] = _any_size
    # The first configurations, from ones drawn at random: both [M, D].
    draw: Callable[[Key, np.ndarray], np.ndarray] = _as_drawn
    mutates: bool = False  # its decisions say whose weights are mutated
    # A slot can keep its configuration. False: configurations travel with members.
    can_freeze: bool = True
