"""The toys: the exact values of Figure 2 of Jaderberg et al. (2017), and that the deceptive one deceives.

Expected values were computed in float64, with the rule named in each test (barrier: all step, then all exploit).
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toys import play

from bgpbt import space as spaces
from bgpbt.api import make_task
from bgpbt.options import load_options
from bgpbt.strategies.frozen import frozen
from bgpbt.strategies.pbt import pbt
from bgpbt.strategies.random_search import random_search
from bgpbt.tasks.toy import deceptive, objective, quadratic
from bgpbt.types import Outcome, Strategy

ROUNDS = 50  # of four steps
QUADRATIC = quadratic()


def run(strategy: Strategy, key, interval: int = 4, steps: int = 200):
    """One run on the quadratic without the engine. Returns the points [2, 2], configurations, and how often someone copied."""
    task = QUADRATIC
    state = jax.vmap(lambda c: task.init(key, spaces.decode(task.space, c)))(task.first)

    def train(x, config, updates):
        def one(x, c):
            trained, _ = task.train(key, state._replace(params={"x": x}), spaces.decode(task.space, c), updates, ())
            return trained.params["x"]

        return jax.vmap(one)(x, config)

    def round_(carry, key):
        x, config, copies = carry
        x = train(x, config, interval)
        fitness, ones = objective(x), jnp.ones(2, jnp.int32)
        seen = Outcome(config, fitness, fitness[:, None], ones, ones, ones.astype(bool))
        _, decision = strategy.step(key, (), seen)
        parents = decision.parents[:, 0]
        return (x[parents], decision.config, copies + jnp.sum(parents != jnp.arange(2))), None

    start = (state.params["x"], jnp.asarray(task.first), jnp.int32(0))
    rounds = steps // interval
    (x, config, copies), _ = jax.lax.scan(round_, start, jax.random.split(key, rounds - 1))
    return train(x, config, interval), config, copies  # nobody copies after the last step


def test_grid_search_sees_one_direction_each():
    space = QUADRATIC.space
    x, _, copies = run(random_search(space, ("x",)), jax.random.PRNGKey(0))
    np.testing.assert_allclose(x, [[0.015829, 0.9], [0.9, 0.015829]], atol=1e-5)
    np.testing.assert_allclose(objective(x), 0.389749, atol=1e-6)
    assert copies == 0


def test_exploit_only_with_a_strict_comparison_is_grid_search():
    """The two tie by symmetry, and nobody is better than the other."""
    strategy = frozen(pbt(QUADRATIC.space, ("x",), exploit="tournament"))
    x, _, copies = run(strategy, jax.random.PRNGKey(0))
    np.testing.assert_allclose(objective(x), 0.389749, atol=1e-6)
    assert copies == 0


@pytest.mark.parametrize(("interval", "other", "copies"), [(4, 1.171135, 49), (5, 1.170924, 39), (10, 1.169150, 19)])
def test_exploit_only_where_the_lower_index_wins_ties(interval, other, copies):
    strategy = frozen(pbt(QUADRATIC.space, ("x",), quantile_fraction=0.5))
    x, config, number = run(strategy, jax.random.PRNGKey(0), interval)
    np.testing.assert_allclose(sorted(np.asarray(objective(x))), sorted([1.171508, other]), atol=2e-6)
    assert number == copies
    np.testing.assert_array_equal(config, QUADRATIC.first)


@pytest.mark.parametrize(
    ("inherit", "interval", "mean", "share"), [("weights", 4, 1.183, 0.99), ("both", 4, 1.198, 1.0), ("both", 10, 1.126, 0.76)]
)
def test_pbt_beats_both(inherit, interval, mean, share):
    """Over 2,000 seeds: the best member's mean, and how often it is above 1.1."""
    settings = {"quantile_fraction": 0.5, "inherit": inherit, "explore": "noise", "perturb_scale": 0.01}
    strategy = pbt(QUADRATIC.space, ("x",), **settings)
    keys = jax.random.split(jax.random.PRNGKey(1), 2000)
    x, _, _ = jax.jit(jax.vmap(lambda key: run(strategy, key, interval)))(keys)
    best = np.asarray(objective(x)).max(axis=1)
    assert abs(best.mean() - mean) < 0.005 and abs((best > 1.1).mean() - share) < 0.03
    if inherit == "weights":
        assert abs(best.std() - 0.020) < 0.005


def test_explore_only_wanders():
    """Everybody explores every round, nobody copies: mean 1.128, above 1.1 in 73 %."""
    space = QUADRATIC.space

    def step(key, state, outcome):
        noise = 0.01 * jax.random.normal(key, outcome.config.shape)
        _, decision = random_search(space, ("x",)).step(key, state, outcome)
        return state, decision._replace(config=jnp.clip(outcome.config + noise, 0, 1))

    strategy = Strategy(lambda key, outcome: (), step)
    keys = jax.random.split(jax.random.PRNGKey(2), 2000)
    x, _, _ = jax.jit(jax.vmap(lambda key: run(strategy, key)))(keys)
    best = np.asarray(objective(x)).max(axis=1)
    assert abs(best.mean() - 1.128) < 0.01 and abs((best > 1.1).mean() - 0.73) < 0.03


def test_the_deceptive_toy_deceives():
    """The best next round is h = 0, always; followed from the start it loses to a slow fall, and to a constant."""
    task = deceptive()
    key, state = jax.random.PRNGKey(0), task.init(jax.random.PRNGKey(0), {})

    def final(schedule):
        one = lambda s, h: (task.train(key, s, {"h": h}, 4, ())[0], None)  # noqa: E731
        return float(task.evaluate(key, jax.lax.scan(one, state, jnp.asarray(schedule))[0], {})[0][0])

    greedy, linear = final(np.zeros(ROUNDS)), final(np.linspace(1, 0, ROUNDS))
    constant = max(final(np.full(ROUNDS, h)) for h in np.linspace(0, 1, 21))
    assert greedy < 0.21 and 1.0 < constant < 1.05 and linear > 1.15
    for x in ([1.0, 1.0], [0.5, 0.5], [0.3, 0.6]):  # greedy: no h gives more in the next round
        now = state._replace(params={"x": jnp.array(x)})
        after = [float(objective(task.train(key, now, {"h": h}, 4, ())[0].params["x"])) for h in np.linspace(0, 1, 21)]
        assert np.argmax(after) == 0


@pytest.mark.parametrize("problem", ["quadratic", pytest.param("deceptive", marks=pytest.mark.long)])
def test_a_run_of_a_toy(tmp_path, problem):
    """By the same engine as everything else, with its own usual settings."""
    options = load_options({"task": "toy", "problem": problem, "save_dir": str(tmp_path)})
    result = play(options, make_task(options))
    assert result.path == tmp_path / f"toy_{problem}_pbt_hpo" / "seed_0"
    assert result.records["round"].max() == ROUNDS and (result.path / "learning_curve.png").exists()
    assert result.report["mean"] == pytest.approx(result.best["fitness"]) and result.report["env_steps_total"] == 400
    if problem == "quadratic":
        assert result.report["untrained_mean"] == pytest.approx(1.2 - 2 * 0.81) and result.report["mean"] > 1.0
