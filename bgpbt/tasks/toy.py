"""`-t toy`: two numbers that a member moves, to see in seconds what a method does.

`quadratic`: Jaderberg et al. (2017), Figure 2. The objective Q = 1.2 - (x0^2 + x1^2) is
hidden; a member climbs the surrogate 1.2 - (h0 x0^2 + h1 x1^2), and its hyperparameters
are the weights h. Two members, which only see one direction each, get nowhere alone.

`deceptive`: a learning rate h in a quadratic of which one direction is flat and the
other one noisy, in expectation (after Wu et al., 2018, on the bias of short horizons).
The flat direction is learnt slowly and needs a large h, x0 <- x0 (1 - h / 50); in the
noisy one the expected distance goes to h itself, x1 <- (x1 + h) / 2. A method that asks
for the best next round sets h close to 0 at once and hardly moves; falling slowly is
best.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from bgpbt import space as spaces
from bgpbt.config.errors import BadInput, nearest
from bgpbt.config.options import Options
from bgpbt.space import Float, SearchSpace
from bgpbt.types import Array, Distillation, Hyperparams, Key, Metrics, Task, TrainState

# Of the quadratic, in the replications that can be read; the paper's own is not known.
STEP = 0.01
BEST = 1.2  # of the objective, at the origin


def toy(options: Options) -> Task:
    """Builds the toy that `problem` names; a timestep is one update.

    Args:
      options: of the run.

    Raises:
      BadInput: there is no such toy.
    """
    name = options.problem or next(iter(TOYS))
    if name not in TOYS:
        raise BadInput(
            f"problem: unknown {name!r}, {nearest(name, tuple(TOYS))}", "problem"
        )
    return TOYS[name]()


def quadratic() -> Task:
    """Starts at (0.9, 0.9) with h = (1, 0) and (0, 1) in turn.

    h ranges to 10, far beyond what it comes to.
    """
    space: SearchSpace = {
        "h0": Float(0.0, 10.0, 1.0, least=0),
        "h1": Float(0.0, 10.0, 1.0, least=0),
    }
    initial = {"h0": jnp.array([1.0, 0.0]), "h1": jnp.array([0.0, 1.0])}

    def step(x: Array, hyperparams: Hyperparams) -> Array:
        weights = jnp.stack([hyperparams["h0"], hyperparams["h1"]])
        return x - 2 * STEP * weights * x

    task = _toy("quadratic", space, (0.9, 0.9), step)
    return task._replace(initial_configs=np.asarray(spaces.encode(space, initial)))


def deceptive() -> Task:
    """Starts at (1, 1)."""

    def step(x: Array, hyperparams: Hyperparams) -> Array:
        h = hyperparams["h"]
        return jnp.stack([x[0] * (1 - 0.02 * h), (x[1] + h) / 2])

    return _toy("deceptive", {"h": Float(0.0, 1.0, 0.5, least=0)}, (1.0, 1.0), step)


TOYS = {"quadratic": quadratic, "deceptive": deceptive}


def objective(x: Array) -> Array:
    """What members are ranked by.

    Args:
      x: points. Shape `[..., 2]`.

    Returns:
      Shape `[...]`.
    """
    # Sorted, so that members who mirror each other tie to the bit.
    squares = jnp.sort(x**2, axis=-1)
    return BEST - squares[..., 0] - squares[..., 1]


def _toy(
    name: str,
    space: SearchSpace,
    start: tuple[float, float],
    step: Callable[[Array, Hyperparams], Array],
) -> Task:
    """Builds a toy from where it starts and how a point moves in a step."""

    def init(key: Key, hyperparams: Hyperparams) -> TrainState:
        del key, hyperparams
        return TrainState({"x": jnp.array(start)}, {"x": ()}, (), ())

    def train(
        key: Key,
        state: TrainState,
        hyperparams: Hyperparams,
        updates: Array,
        teaching: Distillation | tuple[()],
    ) -> tuple[TrainState, Metrics]:
        del key, teaching
        x = jax.lax.fori_loop(
            0, updates, lambda _, x: step(x, hyperparams), state.params["x"]
        )
        metrics = {"loss": -objective(x), "env_steps": updates}
        return state._replace(params={"x": x}), metrics

    def evaluate(
        key: Key, state: TrainState, hyperparams: Hyperparams
    ) -> tuple[Array, Array]:
        del key, hyperparams
        return objective(state.params["x"])[None], jnp.zeros((), jnp.int32)

    return Task(
        name=f"toy {name}",
        space=space,
        blocks=("x",),
        timesteps_per_update=1,
        init=init,
        train=train,
        evaluate=evaluate,
        evaluation_steps=0,
    )
