"""The product's programs as a benchmark calls them, and what they are compared with inside this process."""

import time
from collections.abc import Callable
from functools import partial
from itertools import count

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from bgpbt import space as spaces
from bgpbt.options import Options
from bgpbt.population import AXIS, Arrangement, Programs, Purpose, make_mesh, make_programs, map_members
from bgpbt.space import Integer, SearchSpace
from bgpbt.tasks.agents import Sizes, layers_of, make_env, ppo_task
from bgpbt.tasks.ppo import ROLLOUT_LENGTH, hyperparameter_space
from bgpbt.types import Task
from envs import Env
from scripts.small_ant import SMALL, TINY

DRAWS = range(1000, 1005)  # seeds of random configurations
FULL_UNROLL = {"unroll_length": ROLLOUT_LENGTH}  # with the defaults: batch ratio 2^-1, 4 epochs
SLOWEST = {"unroll_length": 5, "num_update_epochs": 16}  # and the smallest batch


def small_options(quick: bool, **changes) -> Options:
    """The settings of `small_ant.py`, strategy random where `changes` do not say otherwise."""
    return Options(**((TINY if quick else SMALL) | {"strategy": "random"} | changes))


def variant(options: Options, *, space: SearchSpace | None = None, sizes: Sizes | None = None) -> Task:
    """The PPO task with other dimensions or networks than an option can ask for.

    Args:
      options: everything else.
      space: searched dimensions instead of the nine hyperparameters.
      sizes: depth and width of each block's network, with spectral norm built and on where it is not searched.
    """
    space = space or hyperparameter_space(options.num_envs)
    return ppo_task(options, make_env(options), space=space, sizes=sizes or layers_of(options), spectral_norm=bool(sizes))


def without_learning(options: Options) -> Task:
    """The same task, whose number of epochs may also be 0: what is left is acting and estimating advantages."""
    return variant(options, space=hyperparameter_space(options.num_envs) | {"num_update_epochs": Integer(0, 16, 4)})


def equal_config(task: Task, pop_size: int, **values: float) -> np.ndarray:
    """All members at the defaults, `values` instead of some. Shape `[P, D]`."""
    config = np.asarray(spaces.encode(task.space, spaces.defaults(task.space) | values), np.float32)
    return np.tile(config, (pop_size, 1))


def slowest_config(task: Task, pop_size: int, num_envs: int) -> np.ndarray:
    """The corner with most optimizer steps: batch ratio 2^-5, unroll 5, 16 epochs."""
    return equal_config(task, pop_size, batch_size=num_envs // 32, **SLOWEST)


class Trainer:
    """A population that is trained by the product's own program, call after call, as the controller would."""

    def __init__(self, programs: Programs, task: Task, config: np.ndarray):
        self._programs, self.config, self.task = programs, config, task
        self._members, self._round = np.arange(len(config), dtype=np.int32), count(1)
        self._data = jax.tree.map(jnp.asarray, task.data)
        self.population = programs.init(np.uint32(0), np.int32(0), self._members, config)

    def train(self, updates: int) -> float:
        """Seconds of a call with so many updates of every member."""
        active = np.ones(len(self.config), bool)
        began = time.monotonic()
        arguments = (np.uint32(0), np.int32(next(self._round)), np.int32(updates), self._members, active)
        self.population, metrics = self._programs.train(*arguments, self.population, self.config, self._data)
        jax.block_until_ready((self.population, metrics))
        return time.monotonic() - began

    def evaluate(self) -> tuple[float, int]:
        """Seconds and simulated steps of the product's evaluation."""
        draws = np.zeros(len(self.config), np.int32)
        began = time.monotonic()
        head = (np.uint32(0), np.int32(next(self._round)), np.int32(Purpose.evaluate))
        arguments = (*head, draws, np.ones(len(self.config), bool))
        out = jax.block_until_ready(self._programs.evaluate(*arguments, self.population, self.config, self._data))
        return time.monotonic() - began, int(np.asarray(out[1]).sum(dtype=np.int64))

    def steps(self, updates: int) -> int:
        """Environment steps of all members in a call."""
        return updates * self.task.timesteps_per_update * len(self.config)

    def rate(self, updates: int) -> float:
        """Member-environment steps per second of a call."""
        return self.steps(updates) / self.train(updates)


def random_trainer(programs: Programs, task: Task, pop_size: int, seed: int) -> Trainer:
    """Members with configurations drawn from the prior, as a run with this seed would."""
    members = np.arange(pop_size, dtype=np.int32)
    return Trainer(programs, task, np.asarray(programs.configure(np.uint32(seed), members)))


def trainer(task: Task, pop_size: int, arrangement: Arrangement, **values: float) -> Trainer:
    """Equal members in programs of their own."""
    return Trainer(make_programs(task, pop_size, arrangement), task, equal_config(task, pop_size, **values))


def raw_stepping(env: Env, pop_size: int, num_envs: int, arrangement: Arrangement) -> Callable[[int], float]:
    """Random actions in the same environments in the same arrangement, without resets: `f(decisions) -> steps/s`."""
    mesh = make_mesh(arrangement)
    over = partial(map_members, arrangement=arrangement, mesh=mesh)
    sharded = NamedSharding(mesh, PartitionSpec(AXIS))

    def reset(_, key):
        return jax.vmap(env.reset)(jax.random.split(key, num_envs))

    def play(decisions, member):
        key, state = member

        def step(i, state):
            shape = (num_envs, env.action_size)
            return jax.vmap(env.step)(state, jax.random.uniform(jax.random.fold_in(key, i), shape, minval=-1, maxval=1))

        return jax.lax.fori_loop(0, decisions, step, state)

    keys = jax.random.split(jax.random.PRNGKey(0), pop_size)
    state = jax.jit(over(reset), out_shardings=sharded)(jnp.int32(0), keys)
    program = jax.jit(over(play), out_shardings=sharded)

    def rate(decisions: int) -> float:
        began = time.monotonic()
        jax.block_until_ready(program(np.int32(decisions), (keys, state)))
        return decisions * pop_size * num_envs * env.action_repeat / (time.monotonic() - began)

    return rate
