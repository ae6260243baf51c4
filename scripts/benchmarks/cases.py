"""The programs of bgpbt as a benchmark calls them, and the bare environments."""

import time
from collections.abc import Callable
from functools import partial
from itertools import count

import jax
import jax.numpy as jnp
import numpy as np

from bgpbt import space as spaces
from bgpbt.config.options import Options
from bgpbt.environment import Env
from bgpbt.execution.devices import DeviceLayout, make_mesh, sharded
from bgpbt.execution.members import map_members
from bgpbt.execution.programs import Programs, make_programs
from bgpbt.execution.streams import Stream
from bgpbt.space import Integer, SearchSpace
from bgpbt.tasks.ppo.agents import Sizes, make_env, network_sizes, ppo_task
from bgpbt.tasks.ppo.spaces import ROLLOUT_LENGTH, hyperparameter_space
from bgpbt.types import Task
from scripts.small_ant import SMALL, TINY

DRAWS = range(1000, 1005)  # seeds of random configurations
# With the defaults: batch ratio 2^-1, 4 epochs.
FULL_UNROLL = {"unroll_length": ROLLOUT_LENGTH}
SLOWEST = {"unroll_length": 5, "num_update_epochs": 16}  # and the smallest batch


def small_options(quick: bool, **changes) -> Options:
    """The settings of `small_ant.py` with some changes.

    The strategy is `random` where `changes` do not say otherwise.
    """
    return Options(**((TINY if quick else SMALL) | {"strategy": "random"} | changes))


def variant(
    options: Options, *, space: SearchSpace | None = None, sizes: Sizes | None = None
) -> Task:
    """The PPO task with other dimensions or networks than an option can ask for.

    Args:
      options: everything else.
      space: searched dimensions instead of the nine hyperparameters.
      sizes: depth and width of each block's network, with spectral norm built and on
        where it is not searched.
    """
    return ppo_task(
        options,
        make_env(options),
        space=space or hyperparameter_space(options.num_envs),
        sizes=sizes or network_sizes(options),
        spectral_norm=bool(sizes),
    )


def without_learning(options: Options) -> Task:
    """The same task, whose number of epochs may also be 0.

    What is left then is acting and estimating advantages.
    """
    epochs = {"num_update_epochs": Integer(0, 16, 4)}
    return variant(options, space=hyperparameter_space(options.num_envs) | epochs)


def equal_config(task: Task, pop_size: int, **values: float) -> np.ndarray:
    """All members at the defaults, `values` instead of some. Shape `[P, D]`."""
    natural = spaces.defaults(task.space) | values
    config = np.asarray(spaces.encode(task.space, natural), np.float32)
    return np.tile(config, (pop_size, 1))


def slowest_config(task: Task, pop_size: int, num_envs: int) -> np.ndarray:
    """The corner with most optimizer steps: batch ratio 2^-5, unroll 5, 16 epochs."""
    return equal_config(task, pop_size, batch_size=num_envs // 32, **SLOWEST)


class Trainer:
    """A population that bgpbt's own programs train, call after call."""

    def __init__(self, programs: Programs, task: Task, config: np.ndarray):
        self._programs = programs
        self.config = config
        self.task = task
        self._members = np.arange(len(config), dtype=np.int32)
        self._everyone = np.ones(len(config), bool)
        self._rounds = count(1)
        self._data = jax.tree.map(jnp.asarray, task.data)
        self.population = programs.init(
            np.uint32(0), np.int32(0), self._members, config
        )

    def train(self, updates: int) -> float:
        """Seconds of a call with so many updates of every member."""
        began = time.monotonic()
        scalars = np.uint32(0), np.int32(next(self._rounds)), np.int32(updates)
        self.population, metrics = self._programs.train(
            *scalars,
            self._members,
            self._everyone,
            self.population,
            self.config,
            self._data,
        )
        jax.block_until_ready((self.population, metrics))
        return time.monotonic() - began

    def evaluate(self) -> tuple[float, int]:
        """Seconds and simulated steps of bgpbt's evaluation."""
        start_draws = np.zeros(len(self.config), np.int32)
        began = time.monotonic()
        scalars = np.uint32(0), np.int32(next(self._rounds)), np.int32(Stream.evaluate)
        out = self._programs.evaluate(
            *scalars,
            start_draws,
            self._everyone,
            self.population,
            self.config,
            self._data,
        )
        jax.block_until_ready(out)
        return time.monotonic() - began, int(np.asarray(out[1]).sum(dtype=np.int64))

    def steps(self, updates: int) -> int:
        """Environment steps of all members in a call."""
        return updates * self.task.timesteps_per_update * len(self.config)

    def rate(self, updates: int) -> float:
        """Environment steps of all members per second of a call."""
        return self.steps(updates) / self.train(updates)


def random_trainer(programs: Programs, task: Task, pop_size: int, seed: int) -> Trainer:
    """Members with configurations that a run with this seed draws from the prior."""
    members = np.arange(pop_size, dtype=np.int32)
    config = np.asarray(programs.configure(np.uint32(seed), members))
    return Trainer(programs, task, config)


def trainer(
    task: Task, pop_size: int, device_layout: DeviceLayout, **values: float
) -> Trainer:
    """Equal members in programs of their own."""
    programs = make_programs(task, pop_size, device_layout)
    return Trainer(programs, task, equal_config(task, pop_size, **values))


def raw_stepping(
    env: Env, pop_size: int, num_envs: int, device_layout: DeviceLayout
) -> Callable[[int], float]:
    """Random actions in the same environments, spread in the same way, without resets.

    Args:
      env: what is stepped.
      pop_size: members.
      num_envs: environments of each.
      device_layout: how the members are spread.

    Returns:
      A function of a number of decisions to environment steps per second.
    """
    mesh = make_mesh(device_layout)
    over = partial(map_members, device_layout=device_layout, mesh=mesh)
    jit = partial(jax.jit, out_shardings=sharded(device_layout))
    keys = jax.random.split(jax.random.PRNGKey(0), pop_size)
    state = jit(over(partial(_reset, env, num_envs)))((), (keys,))
    program = jit(over(partial(_play, env, num_envs)))
    steps_of_decision = pop_size * num_envs * env.action_repeat

    def rate(decisions: int) -> float:
        began = time.monotonic()
        jax.block_until_ready(program((np.int32(decisions),), (keys, state)))
        return decisions * steps_of_decision / (time.monotonic() - began)

    return rate


def _reset(env: Env, num_envs: int, key):
    """The environments of one member."""
    return jax.vmap(env.reset)(jax.random.split(key, num_envs))


def _play(env: Env, num_envs: int, decisions, key, state):
    """Random actions in the environments of one member."""

    def step(i, state):
        shape = (num_envs, env.action_size)
        key_action = jax.random.fold_in(key, i)
        actions = jax.random.uniform(key_action, shape, minval=-1, maxval=1)
        return jax.vmap(env.step)(state, actions)

    return jax.lax.fori_loop(0, decisions, step, state)
