"""The final report: of whom, on how many episodes, on which keys."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from toy_runs import P, run_options
from toys import EPISODES, Program, final_state, play, with_programs

from bgpbt import api
from bgpbt.execution.streams import Stream


@pytest.fixture
def calls(monkeypatch) -> list[tuple[int, int, tuple[int, ...]]]:
    """Stream, round and draws of start states of every evaluation."""
    start_engine, seen = api.start_engine, []

    def watching(*args, **settings):
        engine = start_engine(*args, **settings)
        program = engine.programs[0].evaluate

        def evaluate(seed, round_, stream, start_draws, *others):
            draws = tuple(np.asarray(start_draws).tolist())
            seen.append((int(stream), int(round_), draws))
            return program(seed, round_, stream, start_draws, *others)

        return with_programs(engine, evaluate=Program(program, evaluate))

    monkeypatch.setattr(api, "start_engine", watching)
    return seen


@pytest.mark.usefixtures("compile_once")
@pytest.mark.parametrize("episodes", [8, 12, 13, 30])
def test_the_report_uses_fresh_keys_and_enough_episodes(tmp_path, calls, episodes):
    """No key of the report was seen by a selection, and a member uses none twice."""
    result = play(run_options(tmp_path, report_episodes=episodes))
    selection = [c for c in calls if c[0] != Stream.report]
    final = [c for c in calls if c[0] == Stream.report]
    assert [c[1] for c in selection] == list(range(6))
    assert all(set(c[2]) == {0} for c in selection)
    needed = -(-episodes // (P * EPISODES))
    best, untrained = final[:needed], final[needed:]
    assert best == untrained and all(c[2] == tuple(range(P)) for c in best)
    assert len(set(best)) == needed
    assert result.report["episodes"] == needed * P * EPISODES >= episodes


@pytest.mark.usefixtures("compile_once")
def test_every_so_many_rounds_the_saved_best_plays_fresh_episodes(tmp_path, calls):
    plain = play(run_options(tmp_path / "plain"))
    calls.clear()
    result = play(run_options(tmp_path / "watched", report_every=2))
    interim = [c for c in calls if c[0] == Stream.interim]
    assert interim == [(Stream.interim, round_, tuple(range(P))) for round_ in (2, 4)]
    means = result.records.groupby("round")["report"].agg(["min", "max", "count"])
    assert means["count"].tolist() == [0, 0, P, 0, P, 0]
    watched = means[means["count"] > 0]
    assert (watched["min"] == watched["max"]).all()
    best = result.records.groupby("round")["fitness"].max().cummax()
    assert watched["min"].to_numpy() == pytest.approx(best[[2, 4]].to_numpy(), abs=0.05)
    assert not (watched["min"] == best[[2, 4]]).any()
    # Nothing else changes.
    others = result.records.drop(columns=["report", "seconds"])
    pd.testing.assert_frame_equal(others, plain.records.drop(columns="seconds"))
    assert result.report == plain.report


@pytest.mark.usefixtures("compile_once")
def test_a_report_of_more_episodes_is_made_when_it_is_asked_for(tmp_path):
    first = play(run_options(tmp_path)).report
    assert play(run_options(tmp_path, report_episodes=4)).report == first
    more = play(run_options(tmp_path, report_episodes=30)).report
    assert more["episodes"] >= 30 > first["episodes"]


@pytest.mark.usefixtures("compile_once")
def test_the_report_is_of_the_saved_best_beside_the_best_untrained(tmp_path, printed):
    result = play(run_options(tmp_path, report_episodes=48))
    state, report = final_state(result), result.report
    params = jax.tree.leaves(state.best.state.params)
    objective = sum(float(jnp.sum(x**2)) for x in params)
    assert report["mean"] == pytest.approx(1.2 - objective, abs=0.01)
    rows = result.records
    untrained = rows[rows["round"] == 0]["fitness"]
    assert int(state.progress.untrained) == int(untrained.argmax())
    assert report["untrained_mean"] == pytest.approx(untrained.max(), abs=0.02)
    assert report["mean"] > report["untrained_mean"]
    best = rows[rows["round"] > 0].sort_values("fitness").iloc[-1]
    assert (report["round"], report["member"]) == (best["round"], best["member"])
    assert report["fitness"] == best["fitness"] == result.best["fitness"]
    for name, value in report["hyperparameters"].items():
        assert value == pytest.approx(best[name], rel=1e-6)
    assert "best untrained member" in printed.getvalue()
    assert f"on {report['episodes']} fresh episodes" in printed.getvalue()
