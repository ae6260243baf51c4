"""Whole runs of the toy: counters, what strategies decide, several seeds."""

import jax
import numpy as np
import pandas as pd
import pytest
from toy_runs import ROUND, P, keep_everyone, kill_run, run_options, watch
from toys import (
    EPISODES,
    final_state,
    play,
    quadratic,
    same_bits,
    same_records,
    share,
)

import bgpbt
from bgpbt import api
from bgpbt.training import loop
from bgpbt.types import Strategy

# Counters


@pytest.mark.usefixtures("compile_once")
def test_both_counters_are_exact_and_rounds_shorten(tmp_path):
    """100, 79 and 62 updates: floor((1000 - 500 t / 2400) / 10) at t = 0, 1000, 1790.

    The toy takes 10 `repeat` steps in each.
    """
    result = play(
        run_options(tmp_path, t_ready=1000, t_ready_end=500, max_timesteps=2400)
    )
    rows = result.records
    timesteps = [set(rows.loc[rows["round"] == r, "timesteps"]) for r in range(4)]
    assert timesteps == [{0}, {1000}, {1790}, {2410}]
    assert rows["round"].max() == 3
    total = P * EPISODES
    assert set(rows.loc[rows["round"] == 0, "env_steps_total"]) == {total}
    for number, updates in ((1, 100), (2, 79), (3, 62)):
        of_round = rows[rows["round"] == number]
        total += int((10 * updates * of_round["repeat"]).sum()) + P * EPISODES
        assert set(of_round["env_steps_total"]) == {total}
    progress = final_state(result).progress
    assert int(progress.env_steps_total) == total == result.report["env_steps_total"]
    assert set(progress.timesteps) == {2410} and result.report["timesteps"] == 2410


@pytest.mark.usefixtures("compile_once")
@pytest.mark.parametrize(
    ("t_ready", "max_timesteps"), [(480, 480), (480, 481), (487, 1000), (999, 1000)]
)
def test_members_end_past_the_budget_by_less_than_a_round(
    tmp_path, t_ready, max_timesteps
):
    result = play(run_options(tmp_path, t_ready=t_ready, max_timesteps=max_timesteps))
    end = set(final_state(result).progress.timesteps)
    assert len(end) == 1 and max_timesteps <= end.pop() < max_timesteps + t_ready


@pytest.mark.usefixtures("compile_once")
def test_the_age_of_weights_travels_with_them_and_timesteps_stay(tmp_path, after_save):
    outcomes = []
    result = play(run_options(tmp_path), strategy=watch(fresh_start_of(0), outcomes))
    assert [list(o.age) for o in outcomes[1:3]] == [[480] * 4, [480, 960, 960, 960]]
    assert [list(o.timesteps) for o in outcomes[1:3]] == [[480] * 4, [960] * 4]
    last = result.records[result.records["round"] == 5]
    assert set(last["timesteps"]) == {5 * ROUND}


@pytest.mark.usefixtures("compile_once")
def test_heirs_take_the_age_of_a_member_or_of_the_saved_best(tmp_path, after_save):
    outcomes = []
    result = play(run_options(tmp_path), strategy=watch(heirs_in_round_2(), outcomes))
    seen = result.records[result.records["round"] <= 2]
    best = seen["age"][seen["fitness"].idxmax()]
    assert list(outcomes[2].age) == [480, 960, 960, 960]
    assert list(outcomes[3].age) == [960, 960, best + 480, 1440]


# Strategies through whole rounds


def heirs_in_round_2() -> Strategy:
    """Member 0 starts afresh; then 1 copies it, and 2 the saved best."""
    fresh = fresh_start_of(0)

    def step(key, state, outcome):
        if outcome.timesteps[0] < 2 * ROUND:
            return fresh.step(key, state, outcome)
        decision = keep_everyone(outcome)
        if outcome.timesteps[0] > 2 * ROUND:
            return state, decision
        parents = np.array([0, 0, P, 3], np.int32)
        return state, decision._replace(parents=np.tile(parents[:, None], (1, 2)))

    return fresh._replace(step=step)


def fresh_start_of(member: int) -> Strategy:
    """This member starts afresh after every round."""

    def step(key, state, outcome):
        decision = keep_everyone(outcome)
        chosen = np.arange(len(outcome.fitness)) == member
        fresh = chosen[:, None] * np.ones((1, 2), np.float32)
        return state, decision._replace(shrink=1 - fresh, perturb=fresh)

    return Strategy(lambda key, outcome: (), step)


@pytest.mark.usefixtures("compile_once")
def test_moments_and_statistics_move_with_the_weights(tmp_path, after_save):
    """The child holds what its parent, which nobody replaced, holds.

    The checkpoint is taken after inheriting.
    """
    kill_run(after_save, 3, lambda: play(run_options(tmp_path)))
    states = []
    with pytest.MonkeyPatch.context() as patch:
        play_round = loop.play_round

        def playing(engine, state, observer):
            states.append(state)
            return play_round(engine, copy(state), observer)

        patch.setattr(loop, "play_round", playing)
        play(run_options(tmp_path))
    state = states[0]
    child = int(np.flatnonzero(state.progress.parents[:, 0] != np.arange(P))[0])
    parent = int(state.progress.parents[child, 0])
    members = jax.tree.map(np.asarray, state.population[0])
    inherited = members._replace(env_state=())
    assert same_bits(
        *(jax.tree.map(lambda x, i=i: x[i], inherited) for i in (child, parent))
    )
    second = members.opt_state["second"]
    assert np.any(second["momentum"]["x"][child] != 0) and second["count"][child] > 0
    noise, clock = members.env_state["noise"], members.env_state["clock"]
    assert not np.array_equal(noise[child], noise[parent])
    assert clock[child] == 0 < clock[parent]


def copy(state):
    """A copy whose arrays may be donated."""
    return jax.tree.map(lambda x: x.copy() if isinstance(x, jax.Array) else x, state)


@pytest.mark.usefixtures("compile_once")
def test_diagnostics_are_recorded_with_the_round_that_they_are_about(tmp_path):
    counting = Strategy(
        init=lambda key, outcome: np.zeros(()),
        step=lambda key, n, outcome: (n + 1, keep_everyone(outcome)),
        diagnostics=lambda n: {"belief": n},
    )
    rows = play(run_options(tmp_path), strategy=counting).records
    assert list(rows["belief"]) == [max(number - 1, 0) for number in rows["round"]]


@pytest.mark.usefixtures("compile_once")
def test_random_search_exchanges_nothing(tmp_path):
    rows = play(run_options(tmp_path, strategy="random")).records
    assert (rows["parent"] == rows["member"]).all()
    assert configs_per_slot(rows) == 1
    assert set(rows.loc[rows["round"] > 1, "source"]) == {"previous"}


@pytest.mark.usefixtures("compile_once")
def test_frozen_configurations_stay_in_their_slots_while_weights_travel(tmp_path):
    rows = play(run_options(tmp_path, freeze="sampled")).records
    assert (rows["parent"] != rows["member"]).any()
    assert configs_per_slot(rows) == 1
    assert rows[rows["round"] == 1].groupby(list(quadratic().space)).ngroups == P


@pytest.mark.usefixtures("compile_once")
def test_frozen_defaults_are_everywhere(tmp_path):
    rows = play(run_options(tmp_path, freeze="default")).records
    for name, dim in quadratic().space.items():
        np.testing.assert_allclose(rows[name], dim.default, rtol=1e-5)
    assert (rows["parent"] != rows["member"]).any()


def configs_per_slot(rows: pd.DataFrame) -> int:
    values = rows.groupby("member")[list(quadratic().space)].nunique()
    return int(values.to_numpy().max())


@pytest.mark.usefixtures("compile_once")
def test_records_name_whom_the_weights_came_from(tmp_path):
    outcomes = []
    settings = run_options(tmp_path)
    strategy = watch(api.make_strategy(settings, quadratic()), outcomes)
    rows = play(settings, strategy=strategy).records
    for number in range(1, 5):
        fitness = outcomes[number].fitness
        of_round = rows[rows["round"] == number]
        np.testing.assert_array_equal(of_round["fitness"].to_numpy(np.float32), fitness)
        copies = rows["parent"] != rows["member"]
        after = rows[(rows["round"] == number + 1) & copies]
        assert fitness[after["member"].item()] == fitness.min()
        assert fitness[after["parent"].item()] == fitness.max()


# Several seeds


def test_seeds_have_folders_of_their_own_and_share_one_compilation(
    tmp_path, after_save, compilations, unbroken
):
    """The second seed compiles nothing but what belongs to its end."""
    counted = []
    after_save.hook = lambda round_: counted.append(len(compilations))
    results = bgpbt.run_seeds(run_options(tmp_path, seed=(3, 0)), quadratic())
    assert [r.path.name for r in results] == ["seed_3", "seed_0"]
    assert len(counted) == 12 and counted[-1] == counted[6]
    same_records(results[1].records, unbroken[0].records)
    assert same_bits(final_state(results[1]), unbroken[1])
    assert results[1].report == unbroken[0].report
    first, second = (r.records["fitness"] for r in results)
    assert not np.array_equal(first, second)
    opened = bgpbt.open_run(results[0].path)
    assert results[0].options.seed == (3,) or opened.options.seed == (3,)


# Pictures


def test_a_task_without_pictures_runs_with_the_usual_settings(
    tmp_path, monkeypatch, engines
):
    share(monkeypatch, engines)
    result = play(run_options(tmp_path, render=True))
    assert (result.path / "learning_curve.png").exists()
    assert not (result.path / "policy.gif").exists()
