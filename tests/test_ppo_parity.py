"""Brax's PPO beside ours: the same work, the same judge, and what differences are."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bgpbt.assembly.parts import make_plan, make_task
from bgpbt.config.errors import BadInput
from bgpbt.forecast import forecast_rounds
from bgpbt.intervals import difference_interval
from bgpbt.tasks.ppo import minibatches
from bgpbt.tasks.ppo.agents import make_env
from bgpbt.tasks.ppo.environments import load_environment_file
from bgpbt.tasks.ppo.spaces import ROLLOUT_LENGTH
from scripts.benchmarks import brax_ppo
from scripts.studies import parity_cells, parity_figures
from scripts.studies.parity_cells import Cell, brax_policy, own_returns, returns_of
from scripts.studies.parity_figures import curves_of, summarise, verdict
from scripts.studies.parity_settings import (
    MINIBATCHES,
    PUBLISHED,
    SEEDS,
    brax_arguments,
    evaluations,
    hyperparameters,
    options_of,
)

STEPS = [0, 100, 200]


@pytest.mark.parametrize("task", PUBLISHED)
def test_both_arms_do_the_same_work(task, tmp_path):
    """As many steps, evaluations, updates and minibatches, of as many transitions."""
    options = options_of(task, SEEDS, str(tmp_path), quick=False)
    brax = brax_arguments(task, options)
    transitions = brax["batch_size"] * brax["unroll_length"] * brax["num_minibatches"]
    assert transitions == options.num_envs * ROLLOUT_LENGTH
    assert brax["batch_size"] * brax["num_minibatches"] % options.num_envs == 0
    update = transitions * brax["action_repeat"]
    assert update == options.update_steps
    assert brax["num_timesteps"] == options.max_timesteps <= 2_000_000
    # Brax rounds the updates between two evaluations up, and evaluates once before.
    between = brax["num_timesteps"] / ((brax["num_evals"] - 1) * update)
    assert between == options.t_ready / update == int(between)
    ours = hyperparameters(task, options.num_envs)
    index = minibatches.nearest_index(
        transitions,
        ours["batch_size"],
        ours["unroll_length"],
        minibatches.NUM_MINIBATCHES,
    )
    asked = transitions / (ours["batch_size"] * ours["unroll_length"])
    assert minibatches.NUM_MINIBATCHES[int(index)] == asked == MINIBATCHES
    assert brax["num_minibatches"] == MINIBATCHES


def test_members_have_the_configuration_that_brax_is_given(tmp_path):
    options = options_of("reacher", SEEDS, str(tmp_path), quick=False)
    options = options.model_copy(update={"env_name": "fast"})
    task = make_task(options)
    plan = make_plan(options, task)
    brax = brax_arguments("reacher", options)
    assert plan.default_configs and plan.pop_size == len(SEEDS)
    assert len(list(forecast_rounds(plan, task))) == evaluations(options)
    (left,) = task.space  # all else is fixed
    assert task.space[left].default == brax[left] == 3e-4
    for name, text in options.fix.items():
        known = "num_updates_per_batch" if name == "num_update_epochs" else name
        assert float(text) == brax[known]


@pytest.mark.scripts
@pytest.mark.parametrize(
    ("name", "repeat", "offset"), [("inverted_pendulum", 1, 0.1), ("fast", 4, -0.1)]
)
def test_our_evaluation_of_braxs_policy_is_braxs_own(name, repeat, offset):
    """On the same start states.

    The pendulum's episodes end early or do not. Those of `fast` never do, as reacher's,
    so that a repeated action has the same reward in both.
    """
    options = options_of("inverted_pendulum", SEEDS, "unused", quick=False)
    changes = {"env_name": name, "episode_length": 40, "action_repeat": repeat}
    options = options.model_copy(update=changes)
    arguments = brax_arguments("inverted_pendulum", options) | {"num_timesteps": 0}
    make_policy, params, _ = brax_ppo.train(arguments, seed=9000, run_evals=False)
    shape = params[0].mean.shape
    moved = {"mean": jnp.full(shape, offset), "std": jnp.full(shape, 0.02)}
    params = (params[0].replace(**moved), *params[1:])
    key = jax.random.PRNGKey(9000)
    theirs, lengths = brax_returns(make_policy, params, options, key, 24)
    policy = brax_policy(make_policy, params)
    ours = returns_of(make_env(options), policy, jax.random.split(key)[1], 24)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    assert np.all(theirs > 0) and (np.ptp(lengths) > 0) == (repeat == 1)


def brax_returns(make_policy, params, options, key, count):
    """Returns and lengths of episodes by Brax's evaluator, which is given `key`."""
    from brax import envs
    from brax.training.acting import Evaluator

    env = envs.training.wrap(
        load_environment_file("brax").load(options.env_name, options.backend),
        options.episode_length,
        options.action_repeat,
    )
    evaluator = Evaluator(
        env,
        lambda params: make_policy(params, deterministic=True),
        count,
        options.episode_length,
        options.action_repeat,
        key,
    )
    evaluated = evaluator.run_evaluation(params, {}, aggregate_episodes=False)
    state = evaluator._eval_state_to_donate.info["eval_metrics"]
    return evaluated["eval/episode_reward"], np.asarray(state.episode_steps)


def test_an_agent_that_failed_has_no_returns_from_then_on():
    """Its slot begins afresh after the round, with weights that are younger."""
    rows = [
        (0, 0, 1.0, 0, 0),
        (0, 1, 2.0, 0, 0),
        (1, 0, 3.0, 100, 100),
        (1, 1, np.nan, 100, 100),
        (2, 0, 4.0, 200, 200),
        (2, 1, 5.0, 200, 100),
        (3, 0, 6.0, 300, 300),
        (3, 1, 7.0, 300, 200),
    ]
    columns = ["round", "member", "fitness", "timesteps", "age"]
    returns = own_returns(pd.DataFrame(rows, columns=columns))
    np.testing.assert_equal(returns, [[1, 3, 4, 6], [2, np.nan, np.nan, np.nan]])


def result_of(arm: str, seeds: range, gain: float, task: str = "hopper") -> dict:
    """A cell whose agents begin at their seed and gain as much in each part."""
    parts = np.arange(len(STEPS))
    return {
        "task": task,
        "arm": arm,
        "seeds": list(seeds),
        "steps": STEPS,
        "returns": [(seed + gain * parts).tolist() for seed in seeds],
        "final": [seed + 2 * gain for seed in seeds],
    }


def both_arms(ours: float, theirs: float) -> list[dict]:
    cells = [result_of("brax", range(seed, seed + 1), theirs) for seed in range(10)]
    return [*cells[::-1], result_of("bgpbt", range(10), ours)]


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        (100.0, 100.0, "at par"),
        (70.0, 100.0, "worse"),
        (130.0, 100.0, "better"),
        (100.0, 104.0, "worse, at par"),
        (1.0, 1.0, "not told apart"),  # seeds differ by more than Brax gains
    ],
)
def test_differences_are_called_what_the_protocol_says(ours, theirs, said):
    figures = {f.name: f for f in summarise(both_arms(ours, theirs), ["hopper"])}
    final = figures["hopper, bgpbt less brax: final return"]
    assert final.value == pytest.approx(2 * (ours - theirs))
    assert final.note.endswith(f": {said}")
    curve = figures["hopper, bgpbt less brax: mean of the curve"]
    assert curve.value == pytest.approx(1.5 * (ours - theirs))
    assert figures["hopper, bgpbt: final return, mean"].note.endswith("untrained 4.5")


def test_verdicts_at_their_edges():
    assert verdict(-1.0, 0.0, 0.5) == "not told apart"
    assert verdict(-0.4, -0.1, 0.5) == "worse, at par"
    assert verdict(0.1, 0.6, 0.5) == "better"


def test_an_agent_that_failed_counts_as_untrained():
    cell = result_of("bgpbt", range(3), 10.0)
    cell["returns"][1][2] = cell["final"][1] = None  # as JSON has it
    curves = curves_of([cell], "hopper", "bgpbt")
    assert curves.failed == 1
    np.testing.assert_array_equal(curves.final, [20, 1, 22])
    np.testing.assert_array_equal(curves.returns[1], [1, 11, 1])


def test_two_samples_are_not_paired():
    """Welch's interval by hand; it covers the truth in 95 of 100 studies of ten."""
    rng = np.random.default_rng(1)
    first, second = rng.normal(5, 3, (10, 2000)), rng.normal(1, 9, (10, 2000))
    low, high = difference_interval(first, second)
    squares = first[:, 0].var(ddof=1) / 10, second[:, 0].var(ddof=1) / 10
    freedom = sum(squares) ** 2 / sum(x**2 / 9 for x in squares)
    half = stats.t.ppf(0.975, freedom) * np.sqrt(sum(squares))
    middle = first[:, 0].mean() - second[:, 0].mean()
    np.testing.assert_allclose([low[0], high[0]], [middle - half, middle + half])
    assert np.mean((low < 4) & (high > 4)) == pytest.approx(0.95, abs=0.015)


def test_the_picture_has_curves_and_differences_of_each_environment(monkeypatch):
    drawn = []
    monkeypatch.setattr(
        parity_figures.Drawing,
        "savefig",
        lambda figure, path, dpi: drawn.append(figure),
    )
    results = [*both_arms(3.0, 2.0), result_of("brax", range(2), 1.0, "reacher")]
    parity_figures.draw(results, ["hopper", "reacher"], Path("unused.png"))
    above, beside, below, empty = drawn[0].axes
    assert [axes.get_title() for axes in (above, beside)] == ["hopper", "reacher"]
    ours, brax = (line.get_ydata() for line in above.lines)
    np.testing.assert_allclose([ours, brax], [[4.5, 7.5, 10.5], [4.5, 6.5, 8.5]])
    np.testing.assert_allclose(below.lines[0].get_ydata(), [0, 1, 2])
    # One band and one line of zero where only Brax has run.
    assert len(beside.collections) == 1 and len(empty.lines) == 1


def test_results_of_other_settings_are_refused(tmp_path):
    cell = Cell("hopper", "brax", range(3, 4))
    options = options_of("hopper", SEEDS, str(tmp_path), quick=False)
    assert parity_cells.read(tmp_path, cell, options, False) is None
    result = {"what": parity_cells.what(cell, options, False), "final": [float("nan")]}
    parity_cells.write(tmp_path / "new", cell, result)
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["hopper_brax_3.json"]
    assert parity_cells.read(tmp_path / "new", cell, options, False)["final"] == [None]
    shorter = options.model_copy(update={"max_timesteps": 998_400})
    with pytest.raises(BadInput, match="made with other settings, give another"):
        parity_cells.read(tmp_path / "new", cell, shorter, False)
    (tmp_path / cell.file).write_text(json.dumps([1]))
    with pytest.raises(BadInput, match="no result of this study"):
        parity_cells.read(tmp_path, cell, options, False)
