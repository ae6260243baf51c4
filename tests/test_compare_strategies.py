"""The comparison of strategies: its statistics, what is run again, and that fresh starts have no score."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from bgpbt.plan import rounds_of
from bgpbt.space import Float
from bgpbt.strategies import STRATEGIES
from bgpbt.strategies.operators import whole
from bgpbt.types import Strategy
from scripts import compare_strategies
from scripts.bandit_regret import play
from scripts.benchmarks.bandit_functions import FUNCTIONS, Function
from scripts.compare_strategies import GROUPS, RUNS, improvement, iqm, options_of, scaled, stratified, summarise

SCALES = {"nine, drifting": 1.0, "ackley, abrupt": 0.1}


def rows_of(**means: float) -> pd.DataFrame:
    """Two problems of different scales, ten seeds: what is left to the best, 1, follows the strategy, the same way in both."""
    return pd.DataFrame(
        [
            {
                "problem": problem,
                "strategy": name,
                "seed": seed,
                "score": 1 - scale * (1 - value) * (1.045 - 0.01 * seed),
                "steps": 100,
                "curve": "",
            }
            for problem, scale in SCALES.items()
            for name, value in means.items()
            for seed in range(10)
        ]
    )


def test_the_interquartile_mean_is_over_seeds_and_problems():
    assert iqm(np.array([[0.0, 1.0], [2.0, 9.0]]), np.zeros((2, 2))) == 1.5  # of 0, 1, 2, 9 the middle half
    half = np.array([[0.4, 0.0], [0.6, 0.0]])  # means 0.5 and 0: from there to 1
    np.testing.assert_allclose(scaled(np.array([[1.0, 0.5], [0.75, -1.0]]), half), [[1.0, 0.5], [0.5, -1.0]])


def test_ties_are_half_an_improvement():
    scores, rival = np.array([[1.0, 5.0], [2.0, 5.0]]), np.array([[1.0, 0.0], [0.0, 9.0]])
    # First problem: 1 ties with 1 and beats 0, 2 beats both: 3.5 of 4; second: 5 beats 0, not 9: 2 of 4.
    assert improvement(scores, rival) == pytest.approx((3.5 / 4 + 2 / 4) / 2)


def test_seeds_are_drawn_within_each_problem():
    """Two problems that cancel seed by seed: whole seeds drawn together would always have mean 0."""
    low, high = stratified(mean_of_all, np.array([[x, -x] for x in range(-5, 6)], float))
    assert low < -0.5 and high > 0.5
    agreed, rival = np.tile([[0.0, 0.2, 0.8]], (10, 1)), np.zeros((10, 3))
    low, high = stratified(iqm, agreed, rival)
    assert low == high == pytest.approx(iqm(agreed, rival))  # all seeds agree: there is nothing to draw
    low, high = stratified(iqm, agreed, np.tile([[-0.3], [0.3]], (5, 3)))
    assert high - low > 0.05  # where 0 is, is not known any better than random search's mean


def mean_of_all(scores):
    return scores.mean(axis=(-2, -1))


def test_strategies_are_compared_with_random_search_seed_by_seed():
    """Random search is 0 and the best is 1 on every problem, whatever its scale."""
    rows = rows_of(pbt=0.65, sha=0.3, random=0.3)
    scores = compare_strategies.scores_of(rows, "functions")
    np.testing.assert_allclose(scaled(scores["pbt"], scores["random"]).mean(axis=0), [0.5, 0.5])
    found = {f.name: f for f in summarise(rows)}
    better = found["functions, pbt less random: mean of pairs"]
    assert better.value == pytest.approx(0.5) and len(better.repeats) == 10
    assert found["functions, pbt: better than random with probability"].value == 1
    assert found["functions, sha: better than random with probability"].value == 0.5
    assert found["functions, sha less random: mean of pairs"].note == "+0.000 to +0.000"
    both = {f.name: f for f in summarise(rows_of(bgpbt=0.3, pbt=0.65, random=0.3))}
    assert both["functions, bgpbt less pbt: mean of pairs"].value == pytest.approx(-0.5)
    assert not [name for name in found if name.startswith("digits")]  # none of its problems was run
    rows.loc[rows["strategy"] == "pbt", "score"] = 0.9  # always: what is left to know is where random search stands
    low, high = {f.name: f for f in summarise(rows)}["functions, pbt: interquartile mean"].note.split(" to ")
    assert float(high) - float(low) > 0.005
    uneven = rows_of(pbt=0.5, random=0.3)
    uneven.loc[uneven["strategy"] == "pbt", "steps"] = 110
    assert summarise(uneven)[-2].value == pytest.approx(1.1)


def test_every_strategy_takes_part():
    assert {name for strategies, _ in GROUPS.values() for name in strategies} == set(STRATEGIES)


@pytest.mark.parametrize("problem", RUNS)
def test_strategies_get_the_same_steps(problem, tmp_path):
    """`bgpbt` has one student more where architectures are searched."""
    cells = problem == "digits, cells"
    task, steps = compare_strategies.task_of(problem), {}
    for strategy in GROUPS[problem][0] if cells else compare_strategies.SEARCHERS:
        rounds = rounds_of(options_of(problem, strategy, (0,), str(tmp_path), False), task)
        steps[strategy] = sum(r.members * r.updates for r in rounds)
    assert all(steps[name] == steps["random"] for name in steps if name != "bgpbt")
    assert 1 <= steps["bgpbt"] / steps["random"] <= (1.0063 if cells else 1)


def test_what_stands_in_the_table_is_not_played_again(monkeypatch, tmp_path):
    played = []

    def by_play(problem, strategy, seeds, quick):
        played.append((problem, strategy, seeds))
        return [{"score": 0.5, "steps": 8, "curve": "0.5000 0.2500"} for _ in seeds]

    monkeypatch.setattr(compare_strategies, "by_play", by_play)
    monkeypatch.setattr(compare_strategies.command_line, "prepare_jax", lambda options: None)
    problem, strategies = next(iter(FUNCTIONS)), compare_strategies.SEARCHERS
    flags = ["--problems", problem, "--csv", str(tmp_path / "c.csv")]
    more = ["--json", str(tmp_path / "c.json"), "--figure", str(tmp_path / "c.png")]
    assert compare_strategies.main([*flags, "--seeds", "1000", "1002"]) == 0
    assert played == [(problem, name, (1000, 1001)) for name in strategies]
    played.clear()
    assert compare_strategies.main([*flags, "--seeds", "1000", "1003", *more]) == 0
    assert played == [(problem, name, (1002,)) for name in strategies]
    played.clear()
    assert compare_strategies.main([*flags, "--quick"]) == 0 and len(played) == len(strategies)  # shorter ones are others
    assert json.loads((tmp_path / "c.json").read_text())["settings"]["seeds"] == [1000, 1001, 1002]
    assert (tmp_path / "c.png").stat().st_size > 5_000


@pytest.mark.parametrize(("kept", "last"), [(1.0, 5.0), (0.0, 1.0)])
def test_who_starts_afresh_has_no_score(kept, last):
    """A function that is 1 everywhere, five rounds: members who go on gather 5, those whose weights are always fresh have 1."""
    space, seen = {"x": Float(0.0, 1.0, 0.5)}, []

    def step(key, state, outcome):
        seen.append(outcome.fitness)
        decision = whole(outcome, outcome.config, np.arange(8), 1, np.zeros(8, np.int32))
        return state, decision._replace(shrink=np.full((8, 1), kept))

    play(Function(space, lambda config, number: 1.0, lambda number: 1.0), Strategy(lambda key, outcome: (), step), 1000, 5)
    np.testing.assert_allclose(seen[-1], last, atol=0.8)


def test_a_member_is_judged_on_what_it_was_not_chosen_by(monkeypatch):
    report = {"mean": 0.6, "fitness": 0.9, "untrained_mean": 0.1, "env_steps_total": 7}
    monkeypatch.setattr(compare_strategies.bgpbt, "run_seeds", lambda options, task: [SimpleNamespace(report=report)])
    assert compare_strategies.by_engine("digits", "random", (1000,), True) == [{"score": 0.6, "steps": 7, "curve": ""}]
    assert compare_strategies.by_engine("quadratic", "random", (1000,), True)[0]["score"] == pytest.approx(0.5)  # of 1.2


def test_no_seeds_are_refused_before_anything_runs(capsys):
    assert compare_strategies.main(["--seeds", "3", "3"]) == 2
    assert "--seeds" in capsys.readouterr().err


def test_toys_alone_are_drawn_too(tmp_path):
    rows = rows_of(pbt=0.5, random=0.3).assign(problem="quadratic")
    compare_strategies.draw(rows.drop_duplicates(["strategy", "seed"]), tmp_path / "toys.png")
    assert (tmp_path / "toys.png").exists()
