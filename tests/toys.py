"""Tiny tasks and outcomes for tests, cheap to compile.

Shapes: `P` members, `D` search dimensions, `E` episodes.
"""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

import bgpbt
from bgpbt.assembly import parts
from bgpbt.config.lookup import kwargs_from, resolve
from bgpbt.registry import STRATEGIES
from bgpbt.space import Categorical, Float, Integer, SearchSpace
from bgpbt.tasks import distillation
from bgpbt.types import Outcome, Padding, Task, TrainState

EPISODES = 3
SPACE: SearchSpace = {
    "rate": Float(1e-3, 0.5, 0.05, log=True),
    "weight": Float(0.0, 1.0, 0.5),
    "decay": Float(0.9, 0.999, 0.95, complement=True),
    "repeat": Integer(1, 4, 2, log=True),
    "batch": Integer(2, 32, 8, doubling=True),
    "kind": Categorical(("plain", "heavy"), 0),
    "first_width": Integer(1, 4, 2, group="first"),
}


def quadratic(size: int = 4, padded_variants: tuple[int, ...] = ()) -> Task:
    """The toy of Jaderberg et al. (2017).

    It maximises 1.2 - |x|^2 by gradients of a surrogate that the member weighs. Each
    field of `TrainState` matters: there are two blocks (`first` of the size
    `first_width`, `second`), momentum as optimizer state, running statistics, and an
    environment that the gradient's noise comes from. A distillation draws `second` to
    the teacher's.

    Args:
      size: largest `first_width` that the program holds.
      padded_variants: smaller sizes, ascending.
    """

    def mask(h):
        return (jnp.arange(size) < h["first_width"]).astype(jnp.result_type(float))

    def env_state(noise):
        return {"noise": noise, "clock": jnp.zeros((), jnp.int32)}

    def init(key, h):
        # One draw: what costs time in these tests is compiling.
        draw = jax.random.normal(key, (10,))
        params = {
            "first": {"x": (2.0 + draw[:size]) * mask(h)},
            "second": {"x": 1.0 + draw[4:6], "bias": jnp.zeros(())},
        }
        opt_state = {
            b: {
                "momentum": jax.tree.map(jnp.zeros_like, p),
                "count": jnp.zeros((), jnp.int32),
            }
            for b, p in params.items()
        }
        statistics = {"count": jnp.zeros((), jnp.int32), "mean": jnp.zeros(4)}
        return TrainState(params, opt_state, statistics, env_state(draw[6:]))

    def objective(params):
        return sum(jnp.sum(x**2) for x in jax.tree.leaves(params))

    def update(shock, state, h):
        kind = jnp.where(h["kind"] == 0, 1.0, 0.5)
        grads = jax.tree.map(lambda x: 2 * h["weight"] * kind * x, state.params)
        # The noise enters through a factor, so that what is masked (zero) stays zero.
        factor = 1 + 0.1 * jnp.mean(state.env_state["noise"]) / h["batch"]
        params, opt_state = {}, {}
        for block, moment in state.opt_state.items():
            momentum = jax.tree.map(
                lambda m, g: h["decay"] * m + factor * g,
                moment["momentum"],
                grads[block],
            )
            params[block] = jax.tree.map(
                lambda p, m: p - h["rate"] * m, state.params[block], momentum
            )
            opt_state[block] = {"momentum": momentum, "count": moment["count"] + 1}
        count = state.statistics["count"] + 1
        mean = (
            state.statistics["mean"]
            + (state.env_state["noise"] - state.statistics["mean"]) / count
        )
        noise = 0.5 * state.env_state["noise"] + shock
        return TrainState(
            params,
            opt_state,
            {"count": count, "mean": mean},
            {"noise": noise, "clock": state.env_state["clock"] + 1},
        )

    def train(key, state, h, updates, teaching):
        steps = updates * h["repeat"]
        shock = jax.random.normal(key, (4,))
        state = jax.lax.fori_loop(0, steps, lambda _, s: update(shock, s, h), state)
        if teaching:
            share = distillation.alpha(teaching.steps_done, teaching.steps_total)
            second = jax.tree.map(
                lambda x, t: x + share * (t - x),
                state.params["second"],
                teaching.teacher.params["second"],
            )
            state = state._replace(params=state.params | {"second": second})
        loss = objective(state.params)
        return state, {
            "loss": loss,
            "env_steps": 10 * steps,
            "episode_returns": jnp.full(EPISODES, 1.2 - loss),
        }

    def evaluate(key, state, h):
        del h
        noise = 0.01 * jax.random.normal(key, (EPISODES,))
        return 1.2 - objective(state.params) + noise, jnp.full((), EPISODES, jnp.int32)

    return Task(
        name=f"quadratic {(*padded_variants, size)}",
        space=SPACE,
        blocks=("first", "second"),
        timesteps_per_update=10,
        init=init,
        train=train,
        evaluate=evaluate,
        refresh=lambda key, state, h: state._replace(
            env_state=env_state(jax.random.normal(key, (4,)))
        ),
        padding=Padding(
            variants=tuple(quadratic(smaller) for smaller in padded_variants),
            supports=lambda architectures: architectures["first_width"] <= size,
        ),
    )


def outcome(fitness, config=None, space: SearchSpace = SPACE, active=None) -> Outcome:
    """What a strategy sees, from fitnesses `[P]`.

    Configurations are drawn where none are given.
    """
    fitness = np.asarray(fitness, np.float32)
    size = len(fitness)
    if config is None:
        config = np.random.default_rng(size).uniform(size=(size, len(space)))
    return Outcome(
        config=np.asarray(config, np.float32),
        fitness=fitness,
        episode_returns=np.repeat(fitness[:, None], EPISODES, axis=1),
        timesteps=np.full(size, 100, np.int32),
        age=np.full(size, 100, np.int32),
        active=np.ones(size, bool) if active is None else np.asarray(active),
    )


def bits(tree) -> list[bytes]:
    """The leaves of a tree as bytes.

    They are equal only where every bit is, the sign of zero and NaN included.
    """
    return [np.asarray(x).tobytes() for x in jax.tree.leaves(tree)]


def same_bits(a, b) -> bool:
    """Whether two trees have the same structure, dtypes and bits."""
    kinds = [[(x.dtype, x.shape) for x in jax.tree.leaves(tree)] for tree in (a, b)]
    return (
        jax.tree.structure(a) == jax.tree.structure(b)
        and kinds[0] == kinds[1]
        and bits(a) == bits(b)
    )


class Killed(BaseException):
    """Stands for a signal: nothing in bgpbt may catch it."""


def kill_after(number: int):
    def hook(round_):
        if round_ == number:
            raise Killed

    return hook


def final_state(result):
    return result.load()


def same_records(a: pd.DataFrame, b: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(
        a.drop(columns="seconds"), b.drop(columns="seconds"), check_exact=True
    )


def with_programs(engine, **programs):
    """The engine with some programs of its only padded size replaced."""
    return engine._replace(programs=(engine.programs[0]._replace(**programs),))


class Program:
    """A compiled program with something done before or after it."""

    def __init__(self, program, call):
        self.begin = program.begin
        self.wait = program.wait
        self.ready = True
        self.call = call

    def __call__(self, *args):
        return self.call(*args)


def play(options, task=None, strategy=None):
    return bgpbt.run(options, task=task or quadratic(), strategy=strategy)


def share(monkeypatch, engines: dict) -> None:
    """Lets runs share what is compiled.

    Programs, where task, search space and device layout are the same. Strategies, where
    their settings are: they are pure functions. Plans stay their own.
    """
    make, make_strategy = parts.make_engine, parts.make_strategy

    def cached(plan, task, strategy, device_layout, propose, **_):
        key = (task.name, *task.space, plan.pop_size, device_layout)
        if key not in engines:
            engines[key] = make(plan, task, strategy, device_layout, propose)
        return engines[key]._replace(
            plan=plan, task=task, strategy=strategy, propose=propose
        )

    def cached_strategy(options, task):
        function = resolve("strategy", options.method, STRATEGIES)
        settings = kwargs_from(options, function)
        chosen = (options.strategy, options.pop_size, options.freeze)
        key = (task.name, *task.space, *chosen, repr(settings))
        if key not in engines:
            engines[key] = make_strategy(options, task)
            engines[key].prepare(
                options.pop_size
            )  # a shared engine has prepared others
        return engines[key]

    monkeypatch.setattr(parts, "make_engine", cached)
    monkeypatch.setattr(parts, "make_strategy", cached_strategy)


@contextlib.contextmanager
def counted_compilations():
    """A list that gets an entry for every program that XLA compiles."""
    events = []

    def listen(event, duration, **_):
        if event == "/jax/core/compile/backend_compile_duration":
            events.append(duration)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield events
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
