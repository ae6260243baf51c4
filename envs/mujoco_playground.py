"""MuJoCo Playground (Zakka et al., 2025).

https://github.com/google-deepmind/mujoco_playground
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from bgpbt.config.errors import BadInput, nearest
from bgpbt.environment import Env, EnvState, Pose, Step, repeated

from .quiet import quiet_brax
from .wrappers import check_unwrapped

Array = jax.Array
# What of a state MuJoCo's next step depends on, as its documentation says.
# https://mujoco.readthedocs.io/en/stable/computation/index.html#integration-state
STATE = (
    "time",
    "qpos",
    "qvel",
    "act",
    "history",
    "qacc_warmstart",
    "plugin_state",
    "ctrl",
    "qfrc_applied",
    "xfrc_applied",
    "eq_active",
    "mocap_pos",
    "mocap_quat",
    "userdata",
)
# What ends or resets episodes, which bgpbt does.
WRAPPERS = ("BraxAutoResetWrapper", "EpisodeWrapper", "AutoResetWrapper")


class Bodies(NamedTuple):
    """What the renderer reads of a model; a link is a body but the world."""

    mj_model: Any
    init_q: Any
    link_parents: tuple[int, ...]


def names() -> tuple[str, ...]:
    """What Playground calls the environments that can be built here.

    Those that need MuJoCo Menagerie are among them where it is; () where Playground
    cannot be imported.
    """
    try:
        registry = _registry()
    except (ImportError, AttributeError):
        return ()
    return tuple(x for x in registry.ALL_ENVS if _is_offline(x) or _menagerie_is_here())


def make(name: str, *, backend: str, episode_length: int, action_repeat: int) -> Env:
    """Builds an environment of Playground with its default configuration.

    Args:
      name: Playground's name of the environment.
      backend: "warp": MuJoCo Warp computes the physics; all others: MJX in JAX.
      episode_length: environment steps until an episode is cut off, where the
        environment's own limit is not lower.
      action_repeat: environment steps per action.

    Raises:
      BadInput: Playground is not installed, has no such environment, or this one needs
        models or an accelerator that are not here.
    """
    _check_name(name)
    if backend == "warp":
        _check_warp("leave -b out for MJX in JAX")
    registry = _registry()
    config = registry.get_default_config(name)
    config.impl = "warp" if backend == "warp" else "jax"
    with quiet_brax():
        made = registry.load(name, config)
    return wrap(
        made,
        name=name,
        episode_length=episode_length,
        action_repeat=action_repeat,
    )


def _registry() -> Any:
    """Playground's own list; ImportError or AttributeError where there is none."""
    with quiet_brax():
        from mujoco_playground import registry
    return registry


def _check_name(name: str) -> None:
    try:
        registry = _registry()
    except (ImportError, AttributeError) as error:
        raise BadInput(
            f"env_name: playground:{name} needs MuJoCo Playground, which cannot be "
            f"imported ({error}): pip install '.[playground]'",
            "env_name",
        ) from None
    if name not in registry.ALL_ENVS:
        close = nearest(name, registry.ALL_ENVS)
        raise BadInput(f"env_name: playground has no {name!r}, {close}", "env_name")
    # Playground would clone it from the net.
    if not _is_offline(name) and not _menagerie_is_here():
        raise BadInput(
            f"env_name: playground:{name} needs the models of MuJoCo Menagerie, which "
            f"bgpbt does not download: put them into {_menagerie()}",
            "env_name",
        )


def _is_offline(name: str) -> bool:
    """Whether Playground brings the environment's model itself."""
    from mujoco_playground import dm_control_suite

    return name in dm_control_suite.ALL_ENVS


def _menagerie() -> Any:
    """The folder where Playground looks for the models of robots."""
    from mujoco_playground._src import mjx_env

    return mjx_env.MENAGERIE_PATH


def _menagerie_is_here() -> bool:
    return _menagerie().exists()


def _check_warp(instead: str) -> None:
    """Refuses MuJoCo Warp where it is not installed, or has nothing to run on.

    Args:
      instead: what the user may do.
    """
    from mujoco.mjx import warp

    if not warp.WARP_INSTALLED:
        problem = "needs warp-lang, which cannot be imported: pip install warp-lang"
    elif jax.default_backend() != "gpu":
        problem = f"needs a GPU with CUDA, JAX runs on {jax.default_backend()}"
    else:
        return
    raise BadInput(f"backend: warp {problem}; {instead}", "backend")


def wrap(made: Any, *, name: str, episode_length: int, action_repeat: int) -> Env:
    """Makes an environment of one of Playground's.

    Args:
      made: a `mujoco_playground.MjxEnv`, without wrappers that end episodes.
      name: of the environment.
      episode_length: environment steps until an episode is cut off, where the
        environment's own limit is not lower.
      action_repeat: environment steps per action.

    Raises:
      BadInput: it is in a wrapper that ends or resets episodes, or its physics cannot
        run here.
    """
    check_unwrapped(name, made, WRAPPERS, "registry.load()")
    if _on_warp(made):
        _check_warp("load it with config_overrides={'impl': 'jax'}")
        if not _is_of_suite(made):
            raise BadInput(
                f"backend: {name}: warp is for environments of the DM Control suite; "
                "leave -b out for MJX in JAX",
                "backend",
            )
    complete = _make_complete(made)
    key = jax.eval_shape(lambda: jax.random.PRNGKey(0))
    shapes = jax.eval_shape(made.reset, key)
    model = made.mj_model
    return Env(
        name=name,
        observation_size=sum(x.size for x in jax.tree.leaves(_split(shapes.obs)[0])),
        action_size=made.action_size,
        episode_length=min(episode_length, made._config.episode_length),
        action_repeat=action_repeat,
        seconds_per_step=float(made.dt),
        reset=lambda key: _to_env_state(made.reset(key)),
        step=repeated(_make_step(made, shapes, complete), action_repeat),
        system=Bodies(model, model.qpos0, tuple(model.body_parentid[1:] - 1)),
        pose=_make_pose(made, complete),
        # What other environments read of the data before a step is not known.
        saved=_state if _is_of_suite(made) else None,
    )


def _split(obs: Any) -> tuple[Any, dict[str, Array]]:
    """What agents see, and what Playground keeps for a critic that sees more."""
    if isinstance(obs, Mapping) and "state" in obs:
        return obs["state"], {k: x for k, x in obs.items() if k != "state"}
    return obs, {}


def _to_env_state(state: Any) -> EnvState:
    """Converts a state of Playground."""
    seen, hidden = _split(state.obs)
    return EnvState(
        physics=(state.data, state.info, hidden),
        obs=seen,
        reward=state.reward,
        terminated=state.done > 0.5,
        metrics=state.metrics,
    )


def _make_complete(made: Any) -> Callable[[Any], Any]:
    """Builds what makes data whole of which only `STATE` was kept.

    MJX computes the rest anew. Warp does not where it never changes, such as the pose
    of the world.
    """
    if not _on_warp(made):
        return lambda data: data
    fresh = jax.jit(made.reset)(jax.random.PRNGKey(0)).data
    return lambda data: fresh.replace(**{name: getattr(data, name) for name in STATE})


def _make_step(made: Any, shapes: Any, complete: Callable[[Any], Any]) -> Step:
    """Builds the step function; `shapes` are those of a state of Playground."""
    from mujoco_playground import State

    def step(state: EnvState, action: Array) -> EnvState:
        data, info, hidden = state.physics
        obs = {**hidden, "state": state.obs} if hidden else state.obs
        # No environment reads these from the step before, and they keep their types.
        reward, done, metrics = jax.tree.map(
            lambda x: jnp.zeros(x.shape, x.dtype),
            (shapes.reward, shapes.done, shapes.metrics),
        )
        before = State(complete(data), obs, reward, done, metrics, dict(info))
        return _to_env_state(made.step(before, action))

    return step


def _make_pose(made: Any, complete: Callable[[Any], Any]) -> Pose:
    """Builds the function that reads poses; a step leaves those of its beginning."""

    def pose(state: EnvState) -> tuple[Array, Array]:
        from mujoco import mjx

        data = mjx.kinematics(made.mjx_model, complete(state.physics[0]))
        return data.xpos[1:], data.xquat[1:]

    return pose


def _is_of_suite(made: Any) -> bool:
    """Whether it is of the DM Control suite, whose steps read `STATE` alone."""
    from mujoco_playground import dm_control_suite

    return type(made).__module__.startswith(dm_control_suite.__name__)


def _on_warp(made: Any) -> bool:
    return made.mjx_model.impl.value == "warp"


def _state(physics: tuple) -> tuple[list, list]:
    """What a step reads of physics: the integration state, and all that is no data."""
    data, *others = physics
    return [getattr(data, name) for name in STATE], others
