"""Draws Figure 2 of Jaderberg et al. (2017) again: two members on the quadratic toy.

Each moves with its own weights h of the two directions, first (1, 0) and (0, 1). They
do it in four ways. `grid search` changes nothing; `exploit only`: the worse one copies
the better one's weights; `explore only`: both change h by noise; `PBT` does both, as
`configs/toy.yaml`. Fifty rounds of four steps.
"""

import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bgpbt import space as spaces
from bgpbt.strategies.frozen import frozen
from bgpbt.strategies.pbt import pbt
from bgpbt.strategies.random_search import random_search
from bgpbt.tasks.toy import BEST, objective, quadratic
from bgpbt.types import Array, Key, Outcome, Strategy
from bgpbt.viz.style import MEMBER, WINNER
from scripts.benchmarks import flags

TASK = quadratic()
NOISE = 0.01  # of h's range


def explore_only() -> Strategy:
    """Everybody explores in every round, nobody copies."""
    nobody = random_search(TASK.space, TASK.blocks)

    def step(key, state, outcome):
        state, decision = nobody.step(key, state, outcome)
        noise = NOISE * jax.random.normal(key, outcome.config.shape)
        return state, decision._replace(config=jnp.clip(outcome.config + noise, 0, 1))

    return nobody._replace(step=step)


WAYS = {
    "PBT": pbt(
        TASK.space,
        TASK.blocks,
        quantile_fraction=0.5,
        inherit="weights",
        explore="noise",
        perturb_scale=NOISE,
    ),
    "explore only": explore_only(),
    "exploit only": frozen(pbt(TASK.space, TASK.blocks, quantile_fraction=0.5)),
    "grid search": random_search(TASK.space, TASK.blocks),
}


def play(
    strategy: Strategy, key: Key, interval: int = 4, steps: int = 200
) -> tuple[Array, Array, Array]:
    """One run without the engine: all step, then all exploit.

    Nobody copies after the last step.

    Args:
      strategy: what decides.
      key: PRNG key, consumed.
      interval: steps of a round.
      steps: of the run.

    Returns:
      The points after every round, before anybody copied, `[rounds, 2, 2]`; the last
      configurations `[2, D]`; how often somebody copied, `[]`.
    """
    first = TASK.initial_configs
    state = jax.vmap(lambda c: TASK.init(key, spaces.decode(TASK.space, c)))(first)

    def train(x, config):
        def train_member(x, c):
            member = state._replace(params={"x": x})
            natural = spaces.decode(TASK.space, c)
            return TASK.train(key, member, natural, interval, ())[0].params["x"]

        return jax.vmap(train_member)(x, config)

    def play_round(carry, key):
        x, config, copies = carry
        x = train(x, config)
        _, decision = strategy.step(key, (), _outcome(config, x))
        parents = decision.parents[:, 0]
        copies += jnp.sum(parents != jnp.arange(2))
        return (x[parents], decision.config, copies), x

    start = (state.params["x"], jnp.asarray(first), jnp.int32(0))
    keys = jax.random.split(key, steps // interval - 1)
    (x, config, copies), points = jax.lax.scan(play_round, start, keys)
    return jnp.concatenate([points, train(x, config)[None]]), config, copies


def _outcome(config: Array, x: Array) -> Outcome:
    fitness = objective(x)
    ones = jnp.ones(2, jnp.int32)
    return Outcome(config, fitness, fitness[:, None], ones, ones, ones.astype(bool))


def draw(seed: int, path: Path) -> None:
    """Four panels: both members after every round, over the objective."""
    figure = Figure(figsize=(11, 3.2), layout="constrained")
    panels = figure.subplots(1, len(WAYS), sharey=True)
    for axes, (name, strategy) in zip(panels, WAYS.items(), strict=True):
        run = jax.jit(partial(play, strategy))
        points = np.asarray(run(jax.random.PRNGKey(seed))[0])
        _draw_objective(axes)
        for member, color in enumerate((WINNER, MEMBER)):
            label = f"member {member}"
            axes.plot(*points[:, member].T, ".", color=color, ms=5, label=label)
        axes.plot(0, 0, "x", color="#222222", ms=7)
        best = float(objective(points[-1]).max())
        axes.set(title=f"{name}: {best:.3f}", xlabel="$x_0$")
        axes.set(xlim=(-0.03, 1), ylim=(-0.03, 1))
        axes.set_aspect("equal")
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set(ylabel="$x_1$")
    panels[0].legend(frameon=False, fontsize="small")
    figure.savefig(path, dpi=120)


def _draw_objective(axes: Axes) -> None:
    axis = np.linspace(0, 1, 101)
    height = np.asarray(objective(jnp.stack(jnp.meshgrid(axis, axis), axis=-1)))
    levels = np.linspace(-0.8, BEST, 11)
    axes.contour(axis, axis, height, levels=levels, colors="#e2e2e2", linewidths=0.8)


def parser() -> flags.Parser:
    """The flags."""
    result = flags.Parser(__doc__)
    result.add_argument("figure", type=flags.picture, help="where to draw")
    result.add_argument("--seed", type=flags.seed, default=0, help="default 0")
    return result


@flags.answered
def main(argv: list[str]) -> int:
    """Draws."""
    args = parser().parse_args(argv)
    draw(args.seed, args.figure)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
