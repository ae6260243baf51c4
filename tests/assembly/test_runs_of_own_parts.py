"""Runs of a user's own task: scores, memory, dtypes, and a strategy that fails."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from own_parts import task
from scipy import stats

import bgpbt
from bgpbt.config.errors import BadInput
from bgpbt.config.loading import load_options
from bgpbt.result import Result
from bgpbt.space import Integer
from bgpbt.types import TrainState

pytestmark = pytest.mark.usefixtures("no_figures")


def options(folder):
    settings = {"task": "toy", "strategy": "pbt", "pop_size": 4, "t_ready": 2}
    run = {"quantile_fraction": 0.25, "max_timesteps": 6, "save_dir": str(folder)}
    return load_options(settings | run)


DRAW = Result.draw  # which runs here do not call

# Scores


def measured(key, state, h):
    """Statistics of two kinds; NaN where the member's rate is small."""
    points = jax.random.normal(key, (64,)) * h["rate"]
    known = jnp.where(h["rate"] < 0.01, jnp.nan, points)
    return {"points": known, "count": jnp.int32(64)}, jnp.int32(64)


def score(statistics):
    """What no program in float32 can say."""
    points = statistics["points"].astype(np.float64)
    assert np.isfinite(points).all() and statistics["count"] == 64
    skewness = stats.skew(points) * 1e-30
    return np.array([1 + skewness, 1 - np.ptp(points) * 1e-12])


def test_scores_are_float64_deterministic_and_never_of_a_failed_member(tmp_path):
    scored = task(evaluate=measured, score=score, num_scores=2)
    first, second = (
        bgpbt.run(options(tmp_path / name), scored) for name in ("first", "second")
    )
    rows = first.records
    failed = rows["rate"] < 0.01
    assert failed.any() and rows.loc[failed, "fitness"].isna().all()
    fitness = rows.loc[~failed, "fitness"]
    # Apart by less than float32 can tell.
    assert fitness.notna().all() and fitness.nunique() > 2
    assert np.ptp(fitness) < 1e-9
    assert second.records["fitness"].equals(rows["fitness"])
    assert first.report["episodes"] >= 8


def test_a_score_of_another_shape_is_one_line(tmp_path):
    scored = task(evaluate=measured, score=score, num_scores=3)
    wanted = r"task: own: score gives shape \(2,\), give \(3,\), as num_scores says"
    with pytest.raises(BadInput, match=wanted):
        bgpbt.run(options(tmp_path), scored)


@pytest.mark.parametrize("scored", [{"fid": 3.0}, "3 dB", [[1.0], [2.0, 3.0]]])
def test_a_score_that_is_no_number_is_one_line(tmp_path, scored):
    wordy = task(evaluate=measured, score=lambda statistics: scored)
    with pytest.raises(BadInput, match="task: own: score gives no numbers: "):
        bgpbt.run(options(tmp_path), wordy)


def test_one_score_on_test_data_has_no_deviation(tmp_path):
    """One number may stand alone."""

    def train(key, state, h, updates, teaching, *, data):
        return state, {"loss": h["rate"], "env_steps": updates}

    def evaluate(key, state, h, *, data):
        return {"x": data * h["rate"]}, jnp.int32(4)

    data = np.arange(1.0, 5.0, dtype=np.float32)
    alone = task(
        train=train,
        evaluate=evaluate,
        score=lambda statistics: float(statistics["x"].sum()),
        data=data,
        test_data=lambda: 2 * data,
    )
    result = bgpbt.run(options(tmp_path), alone)
    assert result.report["sd"] is None and result.report["episodes"] == 1
    assert "NaN" not in (result.path / "report.json").read_text()
    assert len(DRAW(result)) == 2


# Memory and averages through a whole run


@pytest.mark.parametrize("inherits_memory", [False, True])
def test_memory_and_averages_in_a_run(tmp_path, inherits_memory):
    """Memory is a number drawn at the beginning: it says whose it was."""
    made = task()

    def init(key, h):
        state = made.init(key, h)
        memory = jax.random.normal(key)
        return state._replace(averages={"w": jnp.zeros(2)}, memory=memory)

    def train(key, state, h, updates, teaching):
        weights = state.params["w"] + h["rate"]
        state = state._replace(params={"w": weights}, averages={"w": weights / 2})
        return state, {"loss": h["rate"], "env_steps": updates}

    remembering = task(init=init, train=train, inherits_memory=inherits_memory)
    result = bgpbt.run(options(tmp_path), remembering)
    (population,) = result.load().population
    np.testing.assert_array_equal(population.averages["w"], population.params["w"] / 2)
    owners = np.arange(4)
    for _, rows in result.records.groupby("round"):
        owners = owners[rows["parent"]]
    # The state is that after the last decision, which no record shows.
    owners = owners[result.load().progress.parents[:, 0]]
    assert len(set(owners)) < 4
    same = np.asarray(population.memory)[:, None] == np.asarray(population.memory)
    expected = owners[:, None] == owners if inherits_memory else np.eye(4, dtype=bool)
    np.testing.assert_array_equal(same, expected)


# Weights of any dtype, and a strategy that fails in the middle


@pytest.mark.parametrize("strategy_name", ["pbtnas", "mutation"])
def test_weights_of_any_dtype_go_through_a_run(tmp_path, strategy_name):
    """pbtnas shrinks and perturbs, mutation changes matrices."""

    def init(key, h):
        half = jax.random.normal(key, (30, 30), jnp.bfloat16)
        weights = {"half": half, "count": jnp.int32(7), "flags": jnp.ones((2, 2), bool)}
        return TrainState({"w": weights}, {"w": ()}, (), ())

    space = {"layers": Integer(1, 3, 1, group="w")}

    def train(key, state, h, updates, teaching):
        return state, {"loss": jnp.float32(h["layers"]), "env_steps": updates}

    def evaluate(key, state, h):
        total = jnp.float32(state.params["w"]["half"]).sum()
        return total[None], jnp.int32(1)

    mixed = task(space=space, init=init, train=train, evaluate=evaluate)
    settings = options(tmp_path).model_copy(
        update={
            "strategy": strategy_name,
            "search_mode": "nas",
            "quantile_fraction": 0.5,
            "mixing": "whole",
        }
    )
    result = bgpbt.run(settings, mixed)
    (population,) = result.load().population
    weights = population.params["w"]
    assert weights["half"].dtype == jnp.bfloat16
    np.testing.assert_array_equal(weights["count"], 7)
    assert weights["flags"].dtype == bool and np.asarray(weights["flags"]).all()
    half = np.asarray(weights["half"], np.float32)
    assert np.isfinite(half).all()
    # Members that only copy would be equal: they were changed after it, too.
    assert not all((half[0] == other).all() for other in half[1:])


BREAKS_LATER = """
from own_parts import strategy

def breaks_in_round_three(space, blocks):
    made = strategy()

    def step(key, state, outcome):
        if outcome.timesteps.max() == 6:
            raise ValueError("no third round")
        return made.step(key, state, outcome)

    return made._replace(step=step)
"""


def test_a_strategy_that_raises_in_a_run_is_one_line_with_its_place(tmp_path):
    file = tmp_path / "later.py"
    file.write_text(BREAKS_LATER)
    settings = options(tmp_path).model_copy(
        update={"strategy": f"{file}:breaks_in_round_three", "max_timesteps": 8}
    )
    wanted = r"step raises ValueError: no third round, line 9$"
    with pytest.raises(BadInput, match=wanted):
        bgpbt.run(settings, task())
    (records,) = tmp_path.rglob("records.csv")
    assert pd.read_csv(records)["round"].max() == 2
