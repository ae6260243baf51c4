"""The comparison of strategies: its statistics, what is run again, and that fresh starts have no score."""

import json

import numpy as np
import pandas as pd
import pytest

from bgpbt.plan import rounds_of
from bgpbt.space import Float
from bgpbt.strategies import STRATEGIES
from bgpbt.strategies.operators import whole
from bgpbt.types import Strategy
from scripts import compare_strategies
from scripts.bandit_functions import FUNCTIONS, Function
from scripts.bandit_regret import play
from scripts.compare_strategies import GROUPS, RUNS, improvement, iqm, options_of, stratified, summarise

SCALES = {"digits": 1.0, "ackley, abrupt": 0.1}


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
    assert iqm(np.array([[0.0, 1.0], [2.0, 9.0]])) == 1.5  # of 0, 1, 2, 9 the middle half


def test_ties_are_half_an_improvement():
    scores, rival = np.array([[1.0, 5.0], [2.0, 5.0]]), np.array([[1.0, 0.0], [0.0, 9.0]])
    # First problem: 1 ties with 1 and beats 0, 2 beats both: 3.5 of 4; second: 5 beats 0, not 9: 2 of 4.
    assert improvement(scores, rival) == pytest.approx((3.5 / 4 + 2 / 4) / 2)


def test_seeds_are_drawn_within_each_problem():
    """Two problems that cancel seed by seed: whole seeds drawn together would always have mean 0."""
    low, high = stratified(mean_of_all, np.array([[x, -x] for x in range(-5, 6)], float))
    assert low < -0.5 and high > 0.5
    low, high = stratified(iqm, np.tile([[0.0, 0.2, 0.8]], (10, 1)))
    assert low == high == pytest.approx(iqm(np.tile([[0.0, 0.2, 0.8]], (10, 1))))  # all seeds agree: there is nothing to draw


def mean_of_all(scores):
    return scores.mean(axis=(-2, -1))


def test_strategies_are_compared_with_random_search_seed_by_seed():
    """Random search is 0 and the best is 1 on every problem, whatever its scale."""
    rows = rows_of(pbt=0.65, sha=0.3, random=0.3)
    scores = compare_strategies.scores_of(rows, "hyperparameters")
    np.testing.assert_allclose(scores["random"].mean(axis=0), [0, 0], atol=1e-12)
    np.testing.assert_allclose(scores["pbt"].mean(axis=0), [0.5, 0.5])
    found = {f.name: f for f in summarise(rows)}
    better = found["hyperparameters, pbt less random: mean of pairs"]
    assert better.value == pytest.approx(0.5) and len(better.repeats) == 10
    assert found["hyperparameters, pbt: better than random with probability"].value == 1
    assert found["hyperparameters, sha: better than random with probability"].value == 0.5
    assert found["hyperparameters, sha less random: mean of pairs"].note == "+0.000 to +0.000"
    assert not [name for name in found if name.startswith("architectures")]  # none of its problems was run
    uneven = rows_of(pbt=0.5, random=0.3)
    uneven.loc[uneven["strategy"] == "pbt", "steps"] = 110
    assert summarise(uneven)[-2].value == pytest.approx(1.1)


def test_every_strategy_takes_part():
    assert {name for strategies, _ in GROUPS.values() for name in strategies} == set(STRATEGIES)


@pytest.mark.parametrize("problem", RUNS)
def test_strategies_get_the_same_steps(problem, tmp_path):
    """`bgpbt` has one student more where architectures are searched."""
    group = "architectures" if problem == "digits, cells" else "hyperparameters"
    task, steps = compare_strategies.task_of(problem), {}
    for strategy in GROUPS[group][0]:
        rounds = rounds_of(options_of(problem, strategy, (0,), str(tmp_path), False), task)
        steps[strategy] = sum(r.members * r.updates for r in rounds)
    assert all(steps[name] == steps["random"] for name in steps if name != "bgpbt")
    assert 1 <= steps["bgpbt"] / steps["random"] <= (1.0125 if group == "architectures" else 1)


def test_what_stands_in_the_table_is_not_played_again(monkeypatch, tmp_path):
    played = []

    def by_play(problem, strategy, seeds, quick):
        played.append((problem, strategy, seeds))
        return [{"score": 0.5, "steps": 8, "curve": "0.5000 0.2500"} for _ in seeds]

    monkeypatch.setattr(compare_strategies, "by_play", by_play)
    monkeypatch.setattr(compare_strategies.command_line, "prepare_jax", lambda options: None)
    problem, strategies = next(iter(FUNCTIONS)), GROUPS["hyperparameters"][0]
    flags = ["--problems", problem, "--csv", str(tmp_path / "c.csv"), "--seeds", "1000"]
    more = ["--json", str(tmp_path / "c.json"), "--figure", str(tmp_path / "c.png")]
    assert compare_strategies.main([*flags, "1002"]) == 0
    assert played == [(problem, name, (1000, 1001)) for name in strategies]
    played.clear()
    assert compare_strategies.main([*flags, "1003", *more]) == 0
    assert played == [(problem, name, (1002,)) for name in strategies]
    played.clear()
    assert compare_strategies.main([*flags, "1002", "--quick"]) == 0 and len(played) == len(strategies)  # shorter ones are others
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
