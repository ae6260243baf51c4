"""What the studies make of their measurements, and what they are played on."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from bgpbt import space as spaces
from bgpbt.assembly.parts import make_plan, make_task
from bgpbt.forecast import forecast_rounds
from bgpbt.strategies.random_search import random_search
from bgpbt.tasks.nas import table
from bgpbt.tasks.ppo.episodes import for_each
from scripts import (
    bandit_regret,
    distillation,
    learning_robots,
    learning_small,
    pbt_vs_random_mnist,
)
from scripts.benchmarks.bandit_functions import FUNCTIONS, ROUNDS
from scripts.studies import (
    designer_arms,
    distillation_figures,
    fitness_figures,
    mnist_figures,
)
from scripts.studies.designer_scores import (
    POPULATIONS,
    SCORES,
    best_return,
    contrasts,
)
from scripts.studies.policies import at_random, nothing, side_by_side
from scripts.studies.school import SEEDS, task_of


def test_learning_judges_every_seed():
    run = {"difference": 1200.0, "rounds": 25, "replacements": 40}
    runs = {0: run, 1: run | {"difference": 200.0}, 2: run}
    targets = [f for f in learning_small.judge(runs) if f.target]
    assert [f.met for f in targets] == [True, False, True, True]


def test_a_robot_must_beat_both_baselines_with_every_seed():
    def result(*means):
        names = (*learning_robots.BASELINES, "trained")
        scores = [{"mean": mean, "sd": 1.0, "targets": 0.0} for mean in means]
        return dict(zip(names, scores, strict=True))

    good = result(2.0, -1.0, 5.0)
    for other, above in [
        ((0.0, 1.0, 2.0), 2),
        ((2.0, 0.0, 1.5), 1),
        ((1.0, 0.0, 1.0), 1),
        ((1.0, 0.0, np.nan), 1),
    ]:
        *_, last = learning_robots.judge("r", {0: good, 1: result(*other)})
        assert last.value == above and last.met == (above == 2)


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("robot", learning_robots.ROBOTS)
def test_a_robots_settings_are_its_own(robot, quick, tmp_path):
    options = learning_robots.options_of(robot, 3, str(tmp_path), quick)
    assert (options.env_name, options.seed) == (robot, (3,))
    assert (options.max_timesteps <= 1920) == quick
    settings = learning_robots.settings_of(robot, 3, quick)
    assert settings["max_timesteps"] == options.max_timesteps


def test_policies_that_others_are_held_against():
    obs = jnp.zeros((4, 3))
    carry, none = nothing(2)((), obs)
    assert carry == () and not none.mode().any() and none.mode().shape == (4, 2)
    policy = at_random(jax.random.PRNGKey(0), 2)
    keys, first = policy(for_each(policy.carry, 4), obs)
    _, second = policy(keys, obs)
    actions = np.concatenate([first.mode(), second.mode()])
    assert len(np.unique(actions)) == actions.size == 16
    assert -1 <= actions.min() < -0.3 and 0.3 < actions.max() <= 1
    together = side_by_side([none_policy := nothing(2), policy], 4)
    carry = for_each(together.carry, 8)
    for expected in (first, second):
        carry, both = together(carry, jnp.zeros((8, 3)))
        np.testing.assert_array_equal(both.mode()[:4], none_policy((), obs)[1].mode())
        np.testing.assert_array_equal(both.mode()[4:], expected.mode())


def test_fitness_is_ranked_with_failures_last():
    truth = np.array([1.0, 2.0, 3.0, 0.0])
    assert fitness_figures.tau(np.array([1.0, 2.0, 3.0, np.nan]), truth) == 1
    assert fitness_figures.tau(np.array([3.0, 2.0, 1.0, 4.0]), truth) == -1
    assert fitness_figures.tau(np.zeros(4), truth) == 0


def test_fitness_ways_are_summarised_by_stage():
    costs = {
        f"{what}_{unit}": 2.0
        for what in ("train", "evaluation", "concurrent")
        for unit in ("steps", "seconds")
    }
    rows = [
        {
            "seed": 1000,
            "round": number,
            "rounds": 6,
            "member": m,
            "truth": m,
            "length": 1000 if m else 500,
            "evaluation": m,
            "training": -m,
            "concurrent": m,
        }
        | costs
        for number in (2, 4, 6)
        for m in range(4)
    ]
    table = pd.DataFrame(rows)
    stages = fitness_figures.taus(table)["stage"]
    assert list(stages) == ["early", "middle", "late"]
    figures = {f.name: f for f in fitness_figures.summarise(table, 1000)}
    assert figures["training: tau, late"].value == -1
    assert figures["concurrent: tau, early"].value == 1
    assert figures["evaluation: bias, episodes cut short"].note == "3 members"
    worst = "tau less the evaluation's, worst stage"
    assert figures[f"concurrent: {worst}"].note == "may be the default"
    assert figures[f"training: {worst}"].note != "may be the default"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_value_exceeds_the_best_of_its_round(name):
    """The stated optimum is one.

    Nothing is better, and a climb from good draws comes close to it.
    """
    function = FUNCTIONS[name]
    rng = np.random.default_rng(0)
    for now in (0, ROUNDS // 4, ROUNDS // 2, ROUNDS - 1):
        tried = rng.uniform(size=(2000, len(function.space)))
        values = values_of(function, tried, now)
        for width in np.geomspace(0.3, 0.01, 8):
            best = tried[np.argsort(values)[-20:]]
            steps = width * rng.normal(size=(400, best.shape[1]))
            tried = np.clip(np.repeat(best, 20, axis=0) + steps, 0, 1)
            tried[:20] = best
            values = values_of(function, tried, now)
        assert function.best(now) - 0.05 < values.max() <= function.best(now) + 1e-6


def values_of(function, config, now: int) -> np.ndarray:
    decoded = spaces.decode(function.space, np.asarray(config, np.float32))
    natural = {k: np.asarray(v) for k, v in decoded.items()}
    members = [{k: v[i] for k, v in natural.items()} for i in range(len(config))]
    return np.array([function.value(member, now) for member in members])


def test_whoever_is_copied_hands_on_its_score():
    """Regret is what the first draws cost, round after round.

    Nothing is gained from other configurations.
    """
    function = FUNCTIONS["hartmann6, static"]
    strategy = random_search(function.space, ("all",))
    regret = bandit_regret.play(function, strategy, 1000, 3)
    np.testing.assert_allclose(regret, regret[0])


def test_paired_differences_are_of_the_same_seed(tmp_path):
    rows = [
        (name, arm, seed, seed + (2 if arm == "pbt" else 0))
        for name in list(FUNCTIONS)[:2]
        for arm in ("bgpbt", "pbt")
        for seed in range(5)
    ]
    regrets = pd.DataFrame(rows, columns=["function", "arm", "seed", "regret"])
    table = bandit_regret.table(regrets)
    pbt = table[table["arm"] == "pbt"]
    assert (pbt[["bgpbt less", "low", "high"]] == -2).all(axis=None) and len(table) == 4
    bandit_regret.draw(regrets, tmp_path / "regret.png")
    assert (tmp_path / "regret.png").stat().st_size > 5_000


@pytest.mark.parametrize("quick", [False, True])
def test_make_run_has_a_new_generation(quick):
    options = learning_small.options_of("0", "runs", quick)
    task = make_task(options)
    rounds = list(forecast_rounds(make_plan(options, task), task))
    assert {r.generation for r in rounds} == {0, 1} and (quick or len(rounds) >= 20)


def test_what_a_figure_of_mnist_shows_is_named_below_its_panels(monkeypatch, tmp_path):
    rows = [
        (n, m, m, n + m / 10, 10.0**-m, 0.5 + n / 10)
        for n in range(4)
        for m in range(3)
    ]
    columns = ["round", "member", "parent", "fitness", "learning_rate", "momentum"]
    records = pd.DataFrame(rows, columns=columns)
    drawn = []
    monkeypatch.setattr(
        mnist_figures.Drawing, "savefig", lambda figure, path, dpi: drawn.append(figure)
    )
    result = SimpleNamespace(records=records)
    first = dict.fromkeys(pbt_vs_random_mnist.ARMS, result)
    mnist_figures.draw(first, tmp_path / "unused.png")
    drawn[0].draw_without_rendering()
    (legend,) = drawn[0].legends
    last_words = [text.get_text().split()[-1] for text in legend.get_texts()]
    assert last_words == ["member", "round", "lineage", "round"]
    lowest = min(axes.get_tightbbox().y0 for axes in drawn[0].axes)
    assert legend.get_window_extent().y1 <= lowest


def test_students_have_architectures_of_their_own():
    task = task_of(distillation.options_of(quick=True))
    teachers, students = (
        spaces.decode(task.space, config)
        for config in distillation.configurations_of(task, 0)
    )
    taught = distillation.TAUGHT
    values = {name: set(np.asarray(teachers[name]).tolist()) for name in taught}
    assert values == {name: {value} for name, value in taught.items()}
    sizes = [tuple(int(students[name][i]) for name in taught) for i in range(SEEDS)]
    assert len({*sizes, tuple(taught.values())}) == SEEDS + 1
    assert set(np.asarray(students["policy_depth"]).tolist()) <= {2, 3}


@pytest.mark.parametrize(
    ("bad", "answers"),
    [(1, [True, True, True]), (2, [True, False, True]), (8, [True, False, False])],
)
def test_distillation_judges_teachers_students_and_the_difference(bad, answers):
    """Some students are no better than alpha = 0, the others at the teacher's return.

    Only the last part counts.
    """
    share = np.where(np.arange(8) < bad, 0.2, 1.0)
    arms = {"with the teacher": share, "alpha = 0": np.full(8, 0.3)}
    same = {"seed": range(8), "teacher": 3100.0}
    parts = [
        pd.DataFrame(same | {"arm": arm, "steps": steps, "share": last * (steps == 2)})
        for arm, last in arms.items()
        for steps in (1, 2)
    ]
    figures = distillation_figures.summarise(pd.concat(parts))
    assert [f.met for f in figures if f.met is not None] == answers


def test_the_best_return_of_an_episode_of_designs():
    """By trying all sequences of decisions."""
    depth = 2
    rng = np.random.default_rng(0)
    worths = rng.random(table.chains(depth)).astype(np.float32)
    worths[[3, 9, 10]] = np.nan
    worths[0] = 0.1

    def best(number, layers):
        if layers == depth:
            return 0.0
        options = [worths[number]]  # a terminal decision
        for action in range(7):
            child = 7 * number + 1 + action
            built = not np.isnan(worths[child])
            options.append(worths[child] + best(child, layers + 1) if built else 0.0)
        return max(options)

    assert best_return(worths, depth) == pytest.approx(best(0, 0), rel=1e-6)


def test_cells_of_designers_begin_with_those_before():
    names = [cell.name for cell in designer_arms.cells()]
    assert len(set(names)) == len(names)
    seen = set()
    for cell in designer_arms.cells():
        assert cell.origin is None or (cell.arm, cell.origin) in seen
        seen.add((cell.arm, cell.data_set))
        origin = cell.origin and "before"
        places = (0,), "x.npz", "runs", origin
        options = designer_arms.options_of(cell, *places, quick=False)
        assert options.max_timesteps == cell.decisions
        assert (options.evaluate_only is not None) == cell.frozen
        # An agent that carries over begins where it has ended; of a population that is
        # judged frozen, only the reported member plays.
        is_population = cell.arm in POPULATIONS
        assert (options.pop_size == 8) == (is_population and not cell.frozen)
        alone = is_population and cell.frozen
        if cell.origin is not None:
            assert options.init_members == ("reported" if alone else "all")
    # Nothing that the protocol asks is without its runs.
    made = {(cell.arm, cell.problem) for cell in designer_arms.cells()}
    names = (
        tuple(name for name, _ in pairs)
        for pairs in (designer_arms.TRIALS, designer_arms.UNSEEN)
    )
    for score, one, other, problems in contrasts(*names):
        assert score in SCORES and problems
        assert {(arm, p) for arm in (one, other) for p in problems} <= made
    frozen = [c for c in designer_arms.cells() if c.frozen]
    assert {c.data_set for c in frozen} == {"mnist", "cifar10"}
    assert all(c.origin == "fashion_mnist" for c in frozen if c.arm != "uniform")
