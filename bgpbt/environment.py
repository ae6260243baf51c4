"""The environment interface: pure functions for ONE environment.

Whoever steps many of them adds `vmap`. `O` and `A` are the sizes of an observation and
of an action; where actions are choices, A is their number. `L` is the number of bodies.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from bgpbt import space as spaces
from bgpbt.space import Float, SearchSpace
from bgpbt.types import Array, Hyperparams, Key, PyTree


class EnvState(NamedTuple):
    """One environment between two steps."""

    physics: PyTree  # whatever `step` needs, opaque to the trainer
    obs: Array  # [O]
    reward: Array  # [] of the last step, summed over the action repeat
    # [] bool, the environment's own rule ended the episode: nothing comes after it.
    terminated: Array
    # [] bool, the environment's own clock ran out and more could have come. Nothing is
    # learnt from such a step, as in Brax; where the clock's end belongs to the problem,
    # it is a termination. () where the environment has no clock.
    truncated: Array | tuple[()] = ()
    # What the last step gave beside its reward, by name, each []: such as success. An
    # episode's is the sum over its steps. () where there is nothing.
    metrics: dict[str, Array] | tuple[()] = ()

    @property
    def over(self) -> Array:
        """Whether the environment ended the episode, by its rule or by its clock."""
        if isinstance(self.truncated, tuple):
            return self.terminated
        return self.terminated | self.truncated


class Reset(Protocol):
    """Begins an episode."""

    def __call__(self, key: Key) -> EnvState:
        """Draws a start state.

        Where the environment has knobs, it gets their natural values by name, each
        `[]`, as a further argument.

        Args:
          key: PRNG key, consumed.

        Returns:
          The state. Its shapes and dtypes are those of every later state.
        """
        ...


class Step(Protocol):
    """Moves an environment by one action."""

    def __call__(self, state: EnvState, action: Array) -> EnvState:
        """Applies one action, `action_repeat` times.

        It never resets and never counts: episodes are the trainer's business. It gets
        the knobs as `reset` does.

        Args:
          state: of `reset` or the step before.
          action: in [-1, 1], shape `[A]`; where actions are choices, a whole number
            from 0 to A - 1, shape `[]`, int32.
        """
        ...


class Pose(Protocol):
    """Where the bodies are, for rendering."""

    def __call__(self, state: EnvState) -> tuple[Array, Array]:
        """Reads the bodies' poses.

        Args:
          state: of an environment with bodies.

        Returns:
          Positions `[L, 3]`, and rotations `[L, 4]` as quaternions.
        """
        ...


NO_KNOBS: SearchSpace = {}


class Env(NamedTuple):
    """An environment."""

    name: str
    observation_size: int  # O: numbers of an observation, of whatever form it is
    action_size: int  # A: numbers of an action, or its choices where `discrete`
    episode_length: int  # environment steps until an episode is cut off (truncated)
    action_repeat: int  # environment steps per action
    seconds_per_step: float  # simulated time of one environment step
    reset: Callable[..., EnvState]  # a `Reset`, perhaps with knobs
    step: Callable[..., EnvState]  # a `Step`, perhaps with knobs
    # Brax's description of the bodies; None where there is nothing to render.
    system: Any = None
    pose: Pose | None = None
    discrete: bool = False  # actions are choices, not numbers
    # What can be searched of the environment itself, such as weights of rewards: in
    # training members have values of their own, elsewhere the defaults hold.
    knobs: SearchSpace = NO_KNOBS
    # Which parts of `EnvState.physics` the next step reads, as a tree of them: only
    # these are kept from step to step, and saved. None: all. What is left out is NaN
    # when a step begins, or 0 where it is no float. It counts where the environment is
    # of a family or a user's file.
    saved: Callable[[PyTree], PyTree] | None = None

    @property
    def action_shape(self) -> jax.ShapeDtypeStruct:
        """Shape and type of one action."""
        shape = () if self.discrete else (self.action_size,)
        return jax.ShapeDtypeStruct(shape, jnp.int32 if self.discrete else float)

    @property
    def decisions_per_episode(self) -> int:
        """Actions until an episode is cut off."""
        return -(-self.episode_length // self.action_repeat)


def with_knobs(env: Env, values: Mapping[str, Any]) -> Env:
    """The environment with its knobs turned; itself where it has none.

    Args:
      env: the environment.
      values: natural values by name, the knobs' among them.
    """
    if not env.knobs:
        return env
    turned = knob_values(env, values)
    return env._replace(
        knobs=NO_KNOBS,
        reset=lambda key: env.reset(key, turned),
        step=lambda state, action: env.step(state, action, turned),
    )


def at_defaults(env: Env) -> Env:
    """The environment with its knobs at their defaults: what members are for."""
    return with_knobs(env, spaces.defaults(env.knobs))


def knob_values(env: Env, values: Mapping[str, Any]) -> Hyperparams:
    """What `reset` and `step` get of an environment's knobs.

    Args:
      env: the environment.
      values: natural values by name, the knobs' among them.
    """
    return {
        name: jnp.asarray(values[name], float if isinstance(dim, Float) else jnp.int32)
        for name, dim in env.knobs.items()
    }


def with_objective(env: Env, name: str | None) -> Env:
    """The environment with one of its metrics, or none.

    Args:
      env: the environment, with all of its metrics.
      name: of the metric that is kept.
    """

    def kept(state: EnvState) -> EnvState:
        metrics = dict(state.metrics)
        return state._replace(metrics={name: metrics[name]} if name else ())

    return env._replace(
        reset=lambda key, *knobs: kept(env.reset(key, *knobs)),
        step=lambda state, action, *knobs: kept(env.step(state, action, *knobs)),
    )


def repeated(step: Callable[..., EnvState], times: int) -> Callable[..., EnvState]:
    """A step that holds its action for a number of steps.

    Rewards and metrics are summed, up to and including the step that ends the episode.

    Args:
      step: of one environment.
      times: how often it is taken, `action_repeat`.
    """
    if times == 1:
        return step

    def step_repeatedly(
        state: EnvState, action: Array, *knobs: Hyperparams
    ) -> EnvState:
        def body(carry: tuple, _: None) -> tuple[tuple, None]:
            state, held = carry
            state = of_right_types(step(state, action, *knobs))
            terminated, truncated = jax.tree.map(
                lambda before, now: before | (now & ~held.over),
                (held.terminated, held.truncated),
                (state.terminated, state.truncated),
            )
            reward, metrics = jax.tree.map(
                lambda before, now: before + jnp.where(held.over, 0, now),
                (held.reward, held.metrics),
                (state.reward, state.metrics),
            )
            held = EnvState((), (), reward, terminated, truncated, metrics)
            return (state, held), None

        after = jax.eval_shape(
            lambda *args: of_right_types(step(*args)), state, action, *knobs
        )
        nothing = jax.tree.map(
            lambda x: jnp.zeros(x.shape, x.dtype), after._replace(physics=(), obs=())
        )
        # A trainer keeps no metrics that nobody asked for.
        state = state._replace(metrics=nothing.metrics)
        (state, held), _ = jax.lax.scan(body, (state, nothing), None, times)
        return held._replace(physics=state.physics, obs=state.obs)

    return step_repeatedly


def of_right_types(state: EnvState) -> EnvState:
    """The state with numbers as floats and ends as booleans."""
    reward, metrics = jax.tree.map(
        lambda x: jnp.asarray(x, float), (state.reward, state.metrics)
    )
    terminated, truncated = jax.tree.map(
        lambda x: jnp.asarray(x, bool), (state.terminated, state.truncated)
    )
    return EnvState(state.physics, state.obs, reward, terminated, truncated, metrics)
