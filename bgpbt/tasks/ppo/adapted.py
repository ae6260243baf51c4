"""An environment that others wrote, as the trainer and the checkpoints need it.

Observations of any form become one vector of floats, which holds whole numbers up to
2^24. Arrays lose their weak types, which would make the second call of a program
another program. Typed keys become plain numbers, which can be saved. Of physics, only
what the environment declares is kept.
"""

import numbers
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, NoReturn

import jax
import jax.numpy as jnp
import numpy as np

from bgpbt import space as spaces
from bgpbt.config.errors import BadInput
from bgpbt.config.lookup import call_user_code
from bgpbt.environment import Env, EnvState, knob_values, of_right_types
from bgpbt.execution.trees import difference, kind_of, strong
from bgpbt.types import Array, Hyperparams, Key, PyTree


def adapted(word: str, env: Env) -> Env:
    """The same environment behind states that the trainer can keep.

    Args:
      word: what names it, `path/to/file.py:function` or `gymnax:NAME`.
      env: as its author wrote it. Its observations may be a tree of arrays.

    Raises:
      BadInput: it is not what `Env` says, or its file raises.
    """
    _check_sizes(word, env)
    key = jax.eval_shape(lambda: jax.random.PRNGKey(0))
    call = partial(call_user_code, "env_name", word)
    knobs = _knob_shapes(env)
    shapes = call("reset", jax.eval_shape, env.reset, key, *knobs)
    _check_state(word, "reset", shapes)
    paths = None if env.saved is None else _saved_paths(word, env.saved, shapes.physics)
    result = _Adapted(env, shapes, paths)
    observation_size = sum(x.size for x in jax.tree.leaves(shapes.obs))
    if env.observation_size != observation_size:
        _refuse(
            word,
            f"observation_size is {env.observation_size}, reset gives "
            f"{observation_size} numbers",
        )
    stepped = call("step", jax.eval_shape, env.step, shapes, env.action_shape, *knobs)
    _check_state(word, "step", stepped)
    if changed := difference(_kept(stepped), _kept(shapes)):
        _refuse(word, f"step changes the state that reset gives: {changed}")
    return env._replace(
        reset=result.reset,
        step=result.step,
        pose=env.pose and result.pose,
        saved=None,
    )


@dataclass(frozen=True)
class _Leaf:
    """Stands for an array of physics while an environment says which ones it keeps."""

    path: str


def _saved_paths(
    word: str, saved: Callable[[PyTree], PyTree], physics: PyTree
) -> tuple[str, ...]:
    """The paths of the arrays that an environment's `saved` chooses."""
    marks = jax.tree_util.tree_map_with_path(
        lambda path, _: _Leaf(_path(path)), physics
    )
    call = partial(call_user_code, "env_name", word, "saved")
    chosen = jax.tree.leaves(call(saved, marks))
    if strange := [kind_of(x) for x in chosen if not isinstance(x, _Leaf)]:
        _refuse(word, f"saved gives {strange[0]}, give parts of physics as they are")
    names = [leaf.path for leaf in jax.tree.leaves(marks)]
    if len(set(names)) < len(names):
        _refuse(word, "saved: two parts of physics have the same path, rename one")
    return tuple(leaf.path for leaf in chosen)


def _path(path: tuple) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")


def _knob_shapes(env: Env) -> tuple[Hyperparams, ...]:
    """The further argument of `reset` and `step`, traced; none without knobs."""
    if not env.knobs:
        return ()
    values = spaces.defaults(env.knobs)
    return (jax.eval_shape(lambda: knob_values(env, values)),)


def _kept(state: EnvState) -> dict[str, Any]:
    """What keeps its types from step to step; rewards and ends become floats, bools."""
    return {
        "physics": state.physics,
        "obs": state.obs,
        "truncated": () if isinstance(state.truncated, tuple) else 0,
        "metrics": dict.fromkeys(state.metrics, 0),
    }


def _refuse(word: str, problem: str) -> NoReturn:
    raise BadInput(f"env_name: {word}: {problem}", "env_name")


def _check_sizes(word: str, env: Env) -> None:
    for field in ("observation_size", "action_size", "episode_length", "action_repeat"):
        value = getattr(env, field)
        whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        if not whole or value < 1:
            _refuse(word, f"{field} is {value!r}, give a whole number of at least 1")
    if not isinstance(env.knobs, dict):
        _refuse(word, f"knobs is {kind_of(env.knobs)}, give a dict of dimensions")
    for name, dim in env.knobs.items():
        if problem := spaces.validate(dim):
            _refuse(word, f"knobs: {name}: {problem}")
        if dim.group != "hyperparameter":
            _refuse(word, f"knobs: {name}: group {dim.group!r}, leave it out")
    if not isinstance(env.discrete, bool):
        _refuse(word, f"discrete is {env.discrete!r}, give True or False")
    seconds = env.seconds_per_step
    if not isinstance(seconds, numbers.Real) or not 0 < seconds < np.inf:
        _refuse(word, f"seconds_per_step is {seconds!r}, give a number above 0")
    if not isinstance(env.name, str):
        _refuse(word, f"name is {env.name!r}, give text")
    if (env.system is None) != (env.pose is None):
        _refuse(word, "system and pose come together, give both or none")
    functions = ["reset", "step"] + (["saved"] if env.saved is not None else [])
    for field in functions:
        if not callable(getattr(env, field)):
            _refuse(word, f"{field} is no function")


def _check_state(word: str, part: str, state: Any) -> None:
    """Refuses what is no `EnvState`, and what has shapes that it cannot have."""
    if not isinstance(state, EnvState):
        _refuse(word, f"{part} gives {kind_of(state)}, not an EnvState")
    ends = {"terminated": state.terminated}
    if not isinstance(state.truncated, tuple):
        ends["truncated"] = state.truncated
    metrics = state.metrics or {}
    if not isinstance(metrics, dict):
        _refuse(word, f"{part}: metrics is {kind_of(metrics)}, give a dict of numbers")
    for field, value in {"reward": state.reward, **ends, **metrics}.items():
        if getattr(value, "shape", None) != ():
            _refuse(
                word, f"{part}: {field} is {kind_of(value)}, give one number, shape []"
            )
    leaves = jax.tree.leaves(state.obs)
    if not sum(x.size for x in leaves):
        _refuse(word, f"{part}: obs is {kind_of(state.obs)}, give numbers to observe")
    if strange := [x.dtype for x in leaves if not _is_real(x)]:
        _refuse(word, f"{part}: obs has the type {strange[0]}, give real numbers")


class _Adapted(NamedTuple):
    """An environment whose states are translated."""

    env: Env
    shapes: EnvState  # of its author's states
    # Paths of the arrays of physics that the trainer keeps; None: all.
    saved: tuple[str, ...] | None

    def for_trainer(self, state: EnvState) -> EnvState:
        """A state as the trainer keeps it."""
        return of_right_types(state)._replace(
            physics=self.kept(jax.tree.map(_for_trainer, state.physics)),
            obs=_vector(state.obs),
        )

    def kept(self, physics: PyTree) -> PyTree:
        """What is kept of physics: all, or arrays by their paths."""
        if self.saved is None:
            return physics
        leaves = jax.tree_util.tree_leaves_with_path(physics)
        by_path = {_path(path): leaf for path, leaf in leaves}
        return {path: by_path[path] for path in self.saved}

    def completed(self, kept: PyTree) -> PyTree:
        """Physics again, with what no step may read for the arrays left out."""
        if self.saved is None:
            return kept
        return jax.tree_util.tree_map_with_path(
            lambda path, shape: kept.get(_path(path), _unread(shape)),
            jax.eval_shape(
                lambda x: jax.tree.map(_for_trainer, x), self.shapes.physics
            ),
        )

    def for_author(self, state: EnvState) -> EnvState:
        """A state as its author gave it."""
        shapes = self.shapes
        return state._replace(
            physics=jax.tree.map(
                _for_author, shapes.physics, self.completed(state.physics)
            ),
            obs=_tree(state.obs, shapes.obs),
            metrics=jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes.metrics),
        )

    def reset(self, key: Key, *knobs: Hyperparams) -> EnvState:
        return self.for_trainer(self.env.reset(key, *knobs))

    def step(self, state: EnvState, action: Array, *knobs: Hyperparams) -> EnvState:
        return self.for_trainer(self.env.step(self.for_author(state), action, *knobs))

    def pose(self, state: EnvState) -> tuple[Array, Array]:
        assert self.env.pose is not None
        return self.env.pose(self.for_author(state))


def _is_real(x: Any) -> bool:
    kinds = (jnp.floating, jnp.integer, jnp.bool_)
    return any(jnp.issubdtype(x.dtype, kind) for kind in kinds)


def _is_key(x: Any) -> bool:
    return jnp.issubdtype(x.dtype, jax.dtypes.prng_key)


def _for_trainer(x: Any) -> Array:
    """An array that can be saved: of a strong type, and a key as its numbers."""
    x = strong(x)
    return jax.random.key_data(x) if _is_key(x) else x


def _unread(shape: Any) -> Array:
    """An array in the place of one that is not kept: who reads it, notices."""
    is_float = jnp.issubdtype(shape.dtype, jnp.inexact)
    return jnp.full(shape.shape, jnp.nan if is_float else 0, shape.dtype)


def _for_author(shape: Any, x: Array) -> Array:
    """What its author gave: numbers as the key that they were."""
    if _is_key(shape):
        impl = jax.random.key_impl(jnp.zeros((), shape.dtype))
        return jax.random.wrap_key_data(x, impl=impl)
    return x


def _vector(obs: PyTree) -> Array:
    """Observations of any form as one vector, in the order of `jax.tree.leaves`.

    It goes through dictionaries by sorted names, through tuples and fields in theirs.
    """
    return jnp.concatenate(
        [jnp.ravel(jnp.asarray(x, float)) for x in jax.tree.leaves(obs)]
    )


def _tree(vector: Array, shapes: PyTree) -> PyTree:
    """The observations that `_vector` made a vector of."""
    leaves, structure = jax.tree.flatten(shapes)
    ends = np.cumsum([x.size for x in leaves])
    parts = jnp.split(vector, ends[:-1])
    return structure.unflatten(
        [
            part.reshape(x.shape).astype(x.dtype)
            for part, x in zip(parts, leaves, strict=True)
        ]
    )
