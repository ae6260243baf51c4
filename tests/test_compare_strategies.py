"""The comparison of strategies: its statistics, what is run again, fresh starts."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import bgpbt
from bgpbt.assembly.parts import make_plan
from bgpbt.forecast import forecast_rounds
from bgpbt.intervals import improvement, stratified_interval
from bgpbt.registry import STRATEGIES
from bgpbt.space import Float
from bgpbt.strategies.operators import inherit_all
from bgpbt.types import Strategy
from scripts import compare_strategies
from scripts.bandit_regret import play
from scripts.benchmarks.bandit_functions import FUNCTIONS, Function
from scripts.studies.strategy_pictures import draw
from scripts.studies.strategy_problems import (
    GROUPS,
    RUNS,
    SEARCHERS,
    by_engine,
    options_of,
    task_of,
)
from scripts.studies.strategy_scores import (
    pooled_iqm,
    scaled,
    scores_of,
    summarise,
)

SCALES = {"nine, drifting": 1.0, "ackley, abrupt": 0.1}


def rows_of(**means: float) -> pd.DataFrame:
    """Two problems of different scales, ten seeds.

    What is left to the best, 1, follows the strategy, the same way in both.
    """
    rows = [
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
    return pd.DataFrame(rows)


def by_name(rows: pd.DataFrame) -> dict:
    return {f.name: f for f in summarise(rows)}


def test_the_interquartile_mean_is_over_seeds_and_problems():
    # Of 0, 1, 2, 9 the middle half.
    assert pooled_iqm([*np.array([[0.0, 2.0], [1.0, 9.0]])], [*np.zeros((2, 2))]) == 1.5
    half = [*np.array([[0.4, 0.6], [0.0, 0.0]])]  # means 0.5 and 0: from there to 1
    scores = [*np.array([[1.0, 0.75], [0.5, -1.0]])]
    np.testing.assert_allclose(scaled(scores, half), [[1.0, 0.5], [0.5, -1.0]])


def test_ties_are_half_an_improvement():
    scores = [*np.array([[1.0, 2.0], [5.0, 5.0]])]
    rival = [*np.array([[1.0, 0.0], [0.0, 9.0]])]
    # First problem: 1 ties with 1 and beats 0, 2 beats both: 3.5 of 4; second: 5 beats
    # 0, not 9: 2 of 4.
    assert improvement(scores, rival) == pytest.approx((3.5 / 4 + 2 / 4) / 2)


def test_seeds_are_drawn_within_each_problem():
    """Two problems that cancel seed by seed.

    Seeds of both drawn together would always have mean 0.
    """
    seeds = np.arange(-5.0, 6.0)
    low, high = stratified_interval(
        lambda scores: np.mean([x.mean(axis=-1) for x in scores], axis=0),
        [seeds, -seeds],
    )
    assert low < -0.5 and high > 0.5
    # All seeds agree: there is nothing to draw.
    agreed = [np.full(10, value) for value in (0.0, 0.2, 0.8)]
    low, high = stratified_interval(pooled_iqm, agreed, [np.zeros(10)] * 3)
    assert low == high == pytest.approx(pooled_iqm(agreed, [np.zeros(10)] * 3))
    # Where 0 is, is not known any better than random search's mean.
    uneven = [np.tile([-0.3, 0.3], 5)] * 3
    low, high = stratified_interval(pooled_iqm, agreed, uneven)
    assert high - low > 0.05


def test_pairs_are_drawn_together_where_that_is_asked():
    def difference(ours, theirs):
        return np.subtract(ours, theirs)[0].mean(axis=-1)

    same = [np.arange(10.0)], [np.arange(10.0)]
    assert stratified_interval(difference, *same) == (0, 0)
    low, high = stratified_interval(difference, *same, paired=False)
    assert low < -1 and high > 1


def test_strategies_are_compared_with_random_search_seed_by_seed():
    """Random search is 0 and the best is 1 on every problem, whatever its scale."""
    rows = rows_of(pbt=0.65, sha=0.3, random=0.3)
    scores = scores_of(rows, "functions")
    means = np.mean(scaled(scores["pbt"], scores["random"]), axis=1)
    np.testing.assert_allclose(means, [0.5, 0.5])
    figures = by_name(rows)
    better = figures["functions, pbt less random: mean of pairs"]
    assert better.value == pytest.approx(0.5) and len(better.repeats) == 10
    chance = "better than random with probability"
    assert figures[f"functions, pbt: {chance}"].value == 1
    assert figures[f"functions, sha: {chance}"].value == 0.5
    equal = figures["functions, sha less random: mean of pairs"]
    assert equal.note == "+0.000 to +0.000"
    # None of the problems of digits was run.
    assert not [name for name in figures if name.startswith("digits")]


def test_bgpbt_is_compared_with_the_others_too():
    figures = by_name(rows_of(bgpbt=0.3, pbt=0.65, random=0.3))
    paired = figures["functions, bgpbt less pbt: mean of pairs"]
    assert paired.value == pytest.approx(-0.5)


def test_random_search_is_drawn_too():
    """A score that is always the same: what is left to know is where 0 stands."""
    rows = rows_of(pbt=0.65, sha=0.3, random=0.3)
    rows.loc[rows["strategy"] == "pbt", "score"] = 0.9
    note = by_name(rows)["functions, pbt: interquartile mean"].note
    low, high = note.split(" to ")
    assert float(high) - float(low) > 0.005


def test_steps_are_compared():
    uneven = rows_of(pbt=0.5, random=0.3)
    uneven.loc[uneven["strategy"] == "pbt", "steps"] = 110
    assert summarise(uneven)[-2].value == pytest.approx(1.1)


def test_every_strategy_takes_part():
    taking_part = {name for strategies, _ in GROUPS.values() for name in strategies}
    assert taking_part == set(STRATEGIES)


@pytest.mark.parametrize("problem", RUNS)
def test_strategies_get_the_same_steps(problem, tmp_path):
    """`bgpbt` has one student more where architectures are searched."""
    cells = problem == "digits, cells"
    task = task_of(problem)
    steps = {}
    for strategy in GROUPS[problem][0] if cells else SEARCHERS:
        options = options_of(problem, strategy, (0,), str(tmp_path), False)
        rounds = forecast_rounds(make_plan(options, task), task)
        steps[strategy] = sum(r.members * r.updates for r in rounds)
    assert all(steps[name] == steps["random"] for name in steps if name != "bgpbt")
    assert 1 <= steps["bgpbt"] / steps["random"] <= (1.0063 if cells else 1)


def test_what_stands_in_the_table_is_not_played_again(monkeypatch, tmp_path):
    played = []

    def by_play(problem, strategy, seeds, quick):
        played.append((problem, strategy, seeds))
        return [{"score": 0.5, "steps": 8, "curve": "0.5000 0.2500"} for _ in seeds]

    monkeypatch.setattr(compare_strategies, "by_play", by_play)
    monkeypatch.setattr(compare_strategies, "prepare_jax", lambda options: None)
    problem = next(iter(FUNCTIONS))
    flags = ["--problems", problem, "--csv", str(tmp_path / "c.csv")]
    more = ["--json", str(tmp_path / "c.json"), "--figure", str(tmp_path / "c.png")]
    assert compare_strategies.main([*flags, "--seeds", "1000", "1002"]) == 0
    assert played == [(problem, name, (1000, 1001)) for name in SEARCHERS]
    played.clear()
    assert compare_strategies.main([*flags, "--seeds", "1000", "1003", *more]) == 0
    assert played == [(problem, name, (1002,)) for name in SEARCHERS]
    played.clear()
    # Shorter plays are others.
    assert compare_strategies.main([*flags, "--quick"]) == 0
    assert len(played) == len(SEARCHERS)
    written = json.loads((tmp_path / "c.json").read_text())
    assert written["settings"]["seeds"] == [1000, 1001, 1002]
    assert (tmp_path / "c.png").stat().st_size > 5_000


@pytest.mark.parametrize(("shrink", "last"), [(1.0, 5.0), (0.0, 1.0)])
def test_who_starts_afresh_has_no_score(shrink, last):
    """A function that is 1 everywhere, five rounds.

    Members who go on gather 5, those whose weights are always fresh have 1.
    """
    seen = []

    def step(key, state, outcome):
        seen.append(outcome.fitness)
        source = np.zeros(8, np.int32)
        decision = inherit_all(outcome, outcome.config, np.arange(8), 1, source)
        return state, decision._replace(shrink=np.full((8, 1), shrink))

    space = {"x": Float(0.0, 1.0, 0.5)}
    function = Function(space, lambda config, number: 1.0, lambda number: 1.0)
    play(function, Strategy(lambda key, outcome: (), step), 1000, 5)
    np.testing.assert_allclose(seen[-1], last, atol=0.8)


def test_a_member_is_judged_on_what_it_was_not_chosen_by(monkeypatch):
    report = {"mean": 0.6, "fitness": 0.9, "untrained_mean": 0.1, "env_steps_total": 7}
    runs = [SimpleNamespace(report=report)]
    monkeypatch.setattr(bgpbt, "run_seeds", lambda options, task: runs)
    result = {"score": 0.6, "steps": 7, "curve": ""}
    assert by_engine("digits", "random", (1000,), True) == [result]
    (toy,) = by_engine("quadratic", "random", (1000,), True)
    assert toy["score"] == pytest.approx(0.5)  # of 1.2


def test_no_seeds_are_refused_before_anything_runs(capsys):
    assert compare_strategies.main(["--seeds", "3", "3"]) == 2
    assert "--seeds" in capsys.readouterr().err


def test_toys_alone_are_drawn_too(tmp_path):
    rows = rows_of(pbt=0.5, random=0.3).assign(problem="quadratic")
    draw(rows.drop_duplicates(["strategy", "seed"]), tmp_path / "toys.png")
    assert (tmp_path / "toys.png").exists()
