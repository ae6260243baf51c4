"""Populations of agents that train and are examined by bgpbt's own programs."""

from collections.abc import Iterator
from functools import partial

import jax
import numpy as np

from bgpbt import space as spaces
from bgpbt.config.options import Options
from bgpbt.execution.devices import choose_layout, make_mesh
from bgpbt.execution.members import map_members
from bgpbt.execution.programs import make_programs, with_natural_values
from bgpbt.execution.streams import Stream, member_key
from bgpbt.tasks.ppo.actor_critic import BLOCKS
from bgpbt.tasks.ppo.agents import make_env, ppo_task
from bgpbt.tasks.ppo.spaces import architecture_space, hyperparameter_space
from bgpbt.types import Distillation, Task, TrainState

SEEDS = 8  # members of each population
# The padding of all networks.
DEPTH = 3
WIDTH = 64


def task_of(options: Options) -> Task:
    """PPO with networks of every size up to `DEPTH` layers of `WIDTH`."""
    sizes = {
        name: dim
        for name, dim in architecture_space(DEPTH, WIDTH).items()
        if not name.endswith("spectral_norm")
    }
    return ppo_task(
        options,
        make_env(options),
        space=hyperparameter_space(options.num_envs) | sizes,
        sizes=dict.fromkeys(BLOCKS, (DEPTH, WIDTH)),
        spectral_norm=False,
    )


class School:
    """Trains and examines populations of `SEEDS` members, `D` dimensions."""

    def __init__(self, options: Options, seed: int, exams: Iterator[int]):
        """Builds the programs.

        Args:
          options: environment and sizes.
          seed: of the population.
          exams: a new number for every call of the evaluation, so that no episodes are
            used twice.
        """
        self.options = options
        self.seed = np.uint32(seed)
        self.exams = exams
        self.task = task_of(options)
        device_layout = choose_layout(SEEDS)
        self.programs = make_programs(self.task, SEEDS, device_layout)
        self.members = np.arange(SEEDS, dtype=np.int32)
        self.everyone = np.ones(SEEDS, bool)
        teach = partial(_teach, self.task)
        over = map_members(teach, device_layout, make_mesh(device_layout))
        self._teach = jax.jit(over)

    def fresh(self, round_: int, config: np.ndarray) -> TrainState:
        """Untrained members."""
        return self.programs.init(self.seed, np.int32(round_), self.members, config)

    def train(
        self,
        round_: int,
        updates: int,
        population: TrainState,
        config: np.ndarray,
        active: np.ndarray,
    ) -> TrainState:
        """Trains members by themselves.

        Args:
          round_: number of the round.
          updates: of each member.
          population: donated.
          config: shape `[SEEDS, D]`.
          active: the others stay as they are. Shape `[SEEDS]`, bool.
        """
        scalars = (self.seed, np.int32(round_), np.int32(updates))
        out = self.programs.train(*scalars, self.members, active, population, config)
        return out[0]

    def teach(
        self,
        round_: int,
        updates: int,
        population: TrainState,
        config: np.ndarray,
        teaching: Distillation,
    ) -> TrainState:
        """Trains members, each with a teacher of its own.

        Args:
          round_: number of the round.
          updates: of each member.
          population: the students.
          config: shape `[SEEDS, D]`.
          teaching: all its arrays have a leading axis of `SEEDS`.
        """
        shared = (self.seed, np.int32(round_), np.int32(updates))
        return self._teach(shared, (self.members, population, config, teaching))

    def examine(
        self, episodes: int, population: TrainState, config: np.ndarray
    ) -> np.ndarray:
        """Mean return of each member on episodes that were never used before.

        Args:
          episodes: deterministic ones, at least so many.
          population: who plays.
          config: shape `[SEEDS, D]`.

        Returns:
          Shape `[SEEDS]`.
        """
        returns = []
        for _ in range(-(-episodes // self.options.eval_episodes)):
            scalars = (self.seed, np.int32(next(self.exams)), np.int32(Stream.report))
            out = self.programs.evaluate(
                *scalars, self.members, self.everyone, population, config
            )
            returns.append(np.asarray(out[0]))
        return np.concatenate(returns, axis=1).mean(axis=1)


def _teach(task: Task, seed, round_, updates, member, state, config, teaching):
    """Trains one member with its teacher."""
    key = member_key(seed, Stream.train, round_, member)
    hyperparams = spaces.decode(task.space, config)
    teaching = with_natural_values(task, teaching)
    return task.train(key, state, hyperparams, updates, teaching)[0]
