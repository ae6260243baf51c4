"""Whether an environment of a user's file can be trained in: it is played and saved.

Its shapes and types are checked where it is built, in `bgpbt.tasks.ppo.adapted`.
"""

import tempfile
from functools import partial
from pathlib import Path
from typing import NoReturn

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from bgpbt.config.errors import BadInput
from bgpbt.config.lookup import call_user_code
from bgpbt.environment import Env, EnvState
from bgpbt.execution.cache import fast_compile_options
from bgpbt.storage.checkpoints import read_checkpoint, write_checkpoint
from bgpbt.tasks.ppo import episodes
from bgpbt.tasks.ppo.episodes import EpisodeState
from bgpbt.types import Array, Key

NUM_ENVS = 8
STEPS = 100


def check_environment(word: str, env: Env) -> None:
    """Plays random actions in a few environments, as the trainer does.

    Args:
      word: `path/to/file.py:function` that made it.
      env: what became of it.

    Raises:
      BadInput: something is not finite, the same key gives another trajectory, a saved
        state goes on differently, or the file raises.
    """
    key = jax.random.PRNGKey(0)
    last, finite = call_user_code("env_name", word, "a rollout", _played, env, key)
    steps = {name: int(np.argmin(x)) + 1 for name, x in finite.items() if not x.all()}
    if steps:
        name = min(steps, key=steps.__getitem__)
        _refuse(
            word, f"{name} is not finite after {steps[name]} steps of random actions"
        )
    again, _ = call_user_code("env_name", word, "a rollout", _played, env, key)
    if where := _unequal(last, again):
        _refuse(
            word,
            f"the same key gives another {where} after {STEPS} steps, draw random "
            "numbers from the key of reset, and keep a key in the state",
        )
    where = _unequal(_next(env, last), _next(env, _saved_and_read(last)))
    if where:
        _refuse(word, f"{where} is another one after a step from a saved state")


def _refuse(word: str, problem: str) -> NoReturn:
    raise BadInput(f"env_name: {word}: {problem}", "env_name")


def _played(env: Env, key: Key) -> tuple[EpisodeState, dict[str, np.ndarray]]:
    """The environments after `STEPS` random actions.

    Traced anew at every call, so that what a trace draws from elsewhere differs.

    Returns:
      The states, and whether each of their arrays was finite after each step, by name.
    """

    def play(key: Key) -> tuple[EpisodeState, dict[str, Array]]:
        key_start, key_actions = jax.random.split(key)
        state = episodes.start(key_start, env, NUM_ENVS, staggered=False)
        start_states = state.env

        def decide(state: EpisodeState, key: Key) -> tuple[EpisodeState, dict]:
            action = _random_actions(env, key)
            rows = jnp.arange(NUM_ENVS)
            # Before those that end start again.
            finite = _finite(jax.vmap(env.step)(state.env, action))
            state, _ = episodes.advance(env, state, action, start_states, rows)
            return state, finite

        return jax.lax.scan(decide, state, jax.random.split(key_actions, STEPS))

    state, finite = jax.jit(play, compiler_options=fast_compile_options())(key)
    return state, jax.tree.map(np.asarray, finite)


def _random_actions(env: Env, key: Key) -> Array:
    shape = (NUM_ENVS, *env.action_shape.shape)
    if env.discrete:
        return jax.random.randint(key, shape, 0, env.action_size)
    return jax.random.uniform(key, shape, minval=-1)


def _finite(state: EnvState) -> dict[str, Array]:
    """Whether every array of the environments is finite, by name. Each `[]`."""
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {
        jax.tree_util.keystr(path).removeprefix("."): jnp.all(jnp.isfinite(leaf))
        for path, leaf in leaves
    }


def _unequal(one: EpisodeState, other: EpisodeState) -> str:
    """The first array in which two states differ by a bit; "" where none does."""
    leaves = zip(
        jax.tree_util.tree_leaves_with_path(one.env),
        jax.tree.leaves(other.env),
        strict=True,
    )
    for (path, a), b in leaves:
        if np.asarray(a).tobytes() != np.asarray(b).tobytes():
            return jax.tree_util.keystr(path).removeprefix(".")
    return ""


def _saved_and_read(state: EpisodeState) -> EpisodeState:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint"
        write_checkpoint(path, state, pd.DataFrame(), {})
        return read_checkpoint(path, state)


def _next(env: Env, state: EpisodeState) -> EpisodeState:
    key = jax.random.PRNGKey(1)
    actions = _random_actions(env, key)
    step = jax.jit(partial(episodes.advance, env))
    rows = jnp.arange(NUM_ENVS)
    return step(state, actions, state.env, rows)[0]
