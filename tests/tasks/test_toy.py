"""The toys: the exact values of Figure 2 of Jaderberg et al. (2017).

Expected values were computed in float64, with the rule named in each test (barrier: all
step, then all exploit). The deceptive toy deceives.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toys import play as by_engine

from bgpbt.api import make_task
from bgpbt.config.loading import load_options
from bgpbt.strategies.frozen import frozen
from bgpbt.strategies.pbt import pbt
from bgpbt.tasks.toy import deceptive, objective
from bgpbt.types import Strategy
from scripts import toy_trajectories
from scripts.toy_trajectories import NOISE, TASK, WAYS, play

ROUNDS = 50  # of four steps
SPACE = TASK.space
BLOCKS = TASK.blocks


def best_of_2000(strategy: Strategy, seed: int, interval: int = 4) -> np.ndarray:
    """The better member's value at the end."""
    best = lambda key: objective(play(strategy, key, interval)[0][-1]).max()  # noqa: E731
    return np.asarray(
        jax.jit(jax.vmap(best))(jax.random.split(jax.random.PRNGKey(seed), 2000))
    )


def test_grid_search_sees_one_direction_each():
    points, _, copies = play(WAYS["grid search"], jax.random.PRNGKey(0))
    assert points.shape == (ROUNDS, 2, 2)
    x = points[-1]
    np.testing.assert_allclose(x, [[0.015829, 0.9], [0.9, 0.015829]], atol=1e-5)
    np.testing.assert_allclose(objective(x), 0.389749, atol=1e-6)
    assert copies == 0


def test_exploit_only_with_a_strict_comparison_is_grid_search():
    """The two tie by symmetry, and nobody is better than the other."""
    strategy = frozen(pbt(SPACE, BLOCKS, exploit="tournament"))
    points, _, copies = play(strategy, jax.random.PRNGKey(0))
    np.testing.assert_allclose(objective(points[-1]), 0.389749, atol=1e-6)
    assert copies == 0


@pytest.mark.parametrize(
    ("interval", "other", "copies"),
    [(4, 1.171135, 49), (5, 1.170924, 39), (10, 1.169150, 19)],
)
def test_exploit_only_where_the_lower_index_wins_ties(interval, other, copies):
    points, config, number = play(WAYS["exploit only"], jax.random.PRNGKey(0), interval)
    np.testing.assert_allclose(
        sorted(np.asarray(objective(points[-1]))), sorted([1.171508, other]), atol=2e-6
    )
    assert number == copies
    np.testing.assert_array_equal(config, TASK.initial_configs)


@pytest.mark.parametrize(
    ("inherit", "interval", "mean", "share"),
    [("weights", 4, 1.183, 0.99), ("both", 4, 1.198, 1.0), ("both", 10, 1.126, 0.76)],
)
def test_pbt_beats_both(inherit, interval, mean, share):
    """Over 2,000 seeds: the best member's mean, and how often it is above 1.1."""
    settings = {"quantile_fraction": 0.5, "explore": "noise", "perturb_scale": NOISE}
    strategy = (
        WAYS["PBT"]
        if inherit == "weights"
        else pbt(SPACE, BLOCKS, inherit=inherit, **settings)
    )
    best = best_of_2000(strategy, 1, interval)
    assert abs(best.mean() - mean) < 0.005 and abs((best > 1.1).mean() - share) < 0.03
    if inherit == "weights":
        assert abs(best.std() - 0.020) < 0.005


def test_explore_only_wanders():
    """Everybody explores every round, nobody copies: mean 1.128, above 1.1 in 73 %."""
    best = best_of_2000(WAYS["explore only"], 2)
    assert abs(best.mean() - 1.128) < 0.01 and abs((best > 1.1).mean() - 0.73) < 0.03


def test_the_four_ways_are_drawn(tmp_path):
    assert toy_trajectories.main([str(tmp_path / "toy.png"), "--seed", "1"]) == 0
    assert (tmp_path / "toy.png").stat().st_size > 5_000


def test_the_deceptive_toy_deceives():
    """The h that is best for the next round loses to a constant.

    The constant loses to a slow fall.
    """
    task = deceptive()
    key = jax.random.PRNGKey(0)
    start = task.init(key, {})
    grid = jnp.linspace(0, 1, 1001)

    def after(x, h):
        return task.train(key, start._replace(params={"x": x}), {"h": h}, 4, ())[
            0
        ].params["x"]

    def greedy(x, _):
        reached = jax.vmap(after, (None, 0))(x, grid)
        best = objective(reached).argmax()
        return reached[best], grid[best]

    def final(schedule):
        return objective(
            jax.lax.scan(lambda x, h: (after(x, h), None), start.params["x"], schedule)[
                0
            ]
        )

    x, chosen = jax.jit(lambda x: jax.lax.scan(greedy, x, length=ROUNDS))(
        start.params["x"]
    )
    constants = jax.jit(jax.vmap(final))(jnp.tile(grid[::20, None], ROUNDS))
    linear = jax.jit(final)(jnp.linspace(1, 0, ROUNDS))
    np.testing.assert_allclose(
        [objective(x), constants.max(), linear], [0.60, 1.02, 1.18], atol=0.006
    )
    assert chosen.max() < 0.09


@pytest.mark.parametrize(
    "problem", ["quadratic", pytest.param("deceptive", marks=pytest.mark.long)]
)
def test_a_run_of_a_toy(tmp_path, problem):
    """By the same engine as everything else, with its own usual settings."""
    options = load_options(
        {"task": "toy", "problem": problem, "save_dir": str(tmp_path)}
    )
    result = by_engine(options, make_task(options))
    assert result.path == tmp_path / f"toy_{problem}_pbt_hpo" / "seed_0"
    assert (
        result.records["round"].max() == ROUNDS
        and (result.path / "learning_curve.png").exists()
    )
    assert (
        result.report["mean"] == pytest.approx(result.best["fitness"])
        and result.report["env_steps_total"] == 400
    )
    if problem == "quadratic":
        assert (
            result.report["untrained_mean"] == pytest.approx(1.2 - 2 * 0.81)
            and result.report["mean"] > 1.0
        )
