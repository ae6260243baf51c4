"""Brax environments (Freeman et al., 2021) behind the interface of `envs.base`. https://github.com/google/brax"""

import contextlib
import io
import warnings

import jax
import jax.numpy as jnp

from envs.base import Env, EnvState

NAMES = (
    "ant",
    "fast",
    "halfcheetah",
    "hopper",
    "humanoid",
    "humanoidstandup",
    "inverted_double_pendulum",
    "inverted_pendulum",
    "pusher",
    "reacher",
    "walker2d",
)  # `swimmer` is left out: Brax 0.14.2 calls `clip(a_min=...)`, which today's JAX refuses
BACKENDS = ("generalized", "positional", "spring", "mjx")


def _strong(x) -> jax.Array:
    """The same values without a weak type, which would make the second call of a program another program."""
    x = jnp.asarray(x)
    return jax.lax.convert_element_type(x, x.dtype)


def make(name: str, *, backend: str = "spring", episode_length: int = 1000, action_repeat: int = 1) -> Env:
    """Builds a Brax environment.

    Args:
      name: one of `NAMES`.
      backend: physics pipeline, one of `BACKENDS`.
      episode_length: environment steps until an episode is cut off.
      action_repeat: environment steps per action; their rewards are summed, up to and including a terminal one.
    """
    # Brax warns at import that its physics are no longer maintained, MJX prints that it found no Warp.
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        from brax import envs as brax_envs
        from brax.envs.base import State

        brax_env = brax_envs.get_environment(name, backend=backend)
    # Brax's own `observation_size` would run a reset operation by operation, and compile each of them.
    shapes = jax.eval_shape(brax_env.reset, jax.eval_shape(lambda: jax.random.PRNGKey(0)))

    def wrap(state) -> EnvState:
        wrapped = EnvState((state.pipeline_state, state.info), state.obs, state.reward, state.done > 0.5)
        return jax.tree.map(_strong, wrapped)

    def reset(key):
        return wrap(brax_env.reset(key))

    def step_once(state: EnvState, action) -> EnvState:
        pipeline_state, info = state.physics
        zeros = {name: jnp.zeros(m.shape, m.dtype) for name, m in shapes.metrics.items()}
        done = state.terminated.astype(state.obs.dtype)
        return wrap(brax_env.step(State(pipeline_state, state.obs, state.reward, done, zeros, dict(info)), action))

    def step(state: EnvState, action) -> EnvState:
        def again(carry, _):
            state, total, over = carry
            state = step_once(state, action)
            return (state, total + jnp.where(over, 0, state.reward), over | state.terminated), None

        if action_repeat == 1:
            return step_once(state, action)
        start = (state, jnp.zeros_like(state.reward), jnp.zeros_like(state.terminated))
        (state, total, over), _ = jax.lax.scan(again, start, None, action_repeat)
        return state._replace(reward=total, terminated=over)

    def pose(state: EnvState):
        x = state.physics[0].x
        return x.pos, x.rot

    drawable = name != "fast"  # Brax's probe of speed: it has no bodies and no clock
    return Env(
        name=name,
        observation_size=shapes.obs.shape[-1],
        action_size=brax_env.action_size,
        episode_length=episode_length,
        action_repeat=action_repeat,
        seconds_per_step=float(brax_env.dt) if drawable else 1.0,
        reset=reset,
        step=step,
        system=brax_env.sys if drawable else None,
        pose=pose if drawable else None,
    )
