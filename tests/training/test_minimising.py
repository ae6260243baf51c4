"""Smaller is better: the same run with the other sign, in the person's own numbers."""

import json

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from toy_runs import run_options
from toys import EPISODES, final_state, play, quadratic, same_bits, same_records, share

import bgpbt
from bgpbt.assembly.parts import make_task
from bgpbt.config.errors import BadInput
from bgpbt.config.options import Options
from bgpbt.result import Result
from bgpbt.space import Float
from bgpbt.training.direction import flip_if_minimised
from bgpbt.types import Task

DRAW = Result.draw
SETTINGS = {"pbt": {}, "bgpbt": {"strategy": "bgpbt", "n_init": 6, "patience": 3}}


def fragile(sign: int) -> Task:
    """The toy with returns of this sign; members that forget slowly fail."""
    task = quadratic()

    def train(key, state, h, updates, teaching):
        state, metrics = task.train(key, state, h, updates, teaching)
        returns = sign * metrics["episode_returns"]
        return state, metrics | {"episode_returns": returns}

    def evaluate(key, state, h):
        returns, steps = task.evaluate(key, state, h)
        return jnp.where(h["decay"] > 0.98, jnp.nan, sign * returns), steps

    name = f"fragile {sign}"
    changes = {"name": name, "train": train, "evaluate": evaluate}
    return task._replace(**changes, minimise=sign < 0)


@pytest.fixture(scope="module", params=list(SETTINGS))
def both(request, tmp_path_factory, engines):
    """A run that maximises, and one that minimises the same with the other sign."""
    with pytest.MonkeyPatch.context() as patch:
        share(patch, engines)
        patch.setattr(Result, "draw", lambda self: [])
        folder = tmp_path_factory.mktemp("both")
        settings = SETTINGS[request.param]
        return [
            play(run_options(folder / str(sign), **settings), fragile(sign))
            for sign in (1, -1)
        ]


def negated(records: pd.DataFrame) -> pd.DataFrame:
    """The records with the other sign, in which a bound below is one above."""
    swapped = {"gp_fitness_low": "gp_fitness_high", "gp_fitness_high": "gp_fitness_low"}
    rows = records.rename(columns=swapped)
    fitnesses = [name for name in rows if "fitness" in name]
    return rows.assign(**{name: -rows[name] for name in fitnesses})


def test_both_directions_make_the_same_decisions_to_the_bit(both):
    assert same_bits(*map(final_state, both))


def test_records_are_equal_up_to_the_sign_of_fitnesses(both):
    maximised, minimised = (result.records for result in both)
    same_records(negated(minimised), maximised)
    assert (maximised["parent"] != maximised["member"]).any()
    assert maximised["fitness"].mean() < 0 < minimised["fitness"].mean()
    if "gp_fitness" in minimised:
        known = minimised.dropna(subset="gp_fitness")
        assert (known["gp_fitness_low"] <= known["gp_fitness"]).all()
        assert (known["gp_fitness_low"] < known["gp_fitness_high"]).any()


def test_a_failed_member_is_last_where_smaller_is_better(both):
    trained = both[1].records.query("round > 0")
    failed = trained[trained["fitness"].isna()]
    parents = set(zip(trained["round"] - 1, trained["parent"], strict=True))
    assert len(failed)
    assert not parents & set(zip(failed["round"], failed["member"], strict=True))


def test_the_winner_and_the_report_are_in_the_persons_numbers(both):
    maximised, minimised = both
    later = minimised.records[minimised.records["round"] > 0]
    best, report = minimised.best, minimised.report
    assert report["fitness"] == best["fitness"] == later["fitness"].min()
    assert (report["round"], report["member"]) == (best["round"], best["member"])
    assert report["mean"] < report["untrained_mean"]
    signed = ("mean", "untrained_mean", "fitness")
    expected = maximised.report | {x: -maximised.report[x] for x in signed}
    assert report == expected and report["sd"] > 0
    path = [result.lineage[["round", "member"]] for result in both]
    pd.testing.assert_frame_equal(*path)


def test_the_figures_show_the_persons_numbers(both, monkeypatch):
    drawn = {}

    def keep(figure, path):
        drawn[path.stem] = figure

    monkeypatch.setattr("bgpbt.viz.learning_curve.write_png", keep)
    monkeypatch.setattr("bgpbt.viz.schedule.write_png", keep)
    DRAW(both[1])
    axes, side = drawn["learning_curve"].axes
    lines = {line.get_label(): line.get_ydata() for line in axes.lines}
    smallest = both[1].records.groupby("round")["fitness"].min()
    assert lines["best"].tolist() == smallest.tolist()
    assert lines["best"][-1] < lines["best"][0]
    assert lines["winner's lineage"][-1] == both[1].best["fitness"]
    assert axes.get_ylabel() == "fitness (mean return, smaller is better)"
    assert side.lines[0].get_ydata() == [both[1].report["mean"]]


# Where returns come in


@pytest.mark.usefixtures("compile_once")
@pytest.mark.parametrize(
    ("maximised", "minimised"),
    [
        pytest.param(
            fragile(1)._replace(fitness_from_training=True),
            fragile(-1)._replace(fitness_from_training=True),
            id="training",
        ),
        pytest.param(
            fragile(1),
            fragile(1)._replace(
                score=lambda returns: -returns, num_scores=EPISODES, minimise=True
            ),
            id="score",
        ),
    ],
)
def test_other_sources_of_returns_may_be_minimised(tmp_path, maximised, minimised):
    settings = {"max_timesteps": 960}
    one = play(run_options(tmp_path / "one", **settings), maximised)
    other = play(run_options(tmp_path / "other", **settings), minimised)
    same_records(negated(other.records), one.records)
    assert same_bits(final_state(other), final_state(one))
    assert other.report["mean"] == -one.report["mean"]


def test_zero_has_no_sign():
    task = fragile(-1)
    flipped = flip_if_minimised(task, np.array([0.0, -0.0, 2.0, np.nan]))
    assert [str(x) for x in flipped] == ["0.0", "0.0", "-2.0", "nan"]
    assert not np.signbit(flipped[:2]).any()
    assert np.signbit(flip_if_minimised(fragile(1), np.array(-0.0)))


# Who says so


@pytest.mark.usefixtures("compile_once")
def test_the_display_shows_the_persons_numbers(tmp_path, printed):
    result = play(run_options(tmp_path, max_timesteps=480), fragile(-1))
    untrained, trained = result.records.groupby("round")["fitness"]
    text = printed.getvalue()
    figures = [f"{x:.3g}" for x in (untrained[1].min(), untrained[1].median())]
    assert "untrained: best {}, median {}".format(*figures) in text
    figures = [f"{x:.3g}" for x in (trained[1].min(), trained[1].median())]
    assert "best {0}  median {1}  best so far {0}".format(*figures) in text


@pytest.mark.usefixtures("compile_once")
def test_the_flag_says_it_for_any_task_and_may_not_change(tmp_path):
    task = fragile(-1)._replace(minimise=False)
    settings = run_options(tmp_path / "flag", max_timesteps=960, minimise=True)
    flagged = play(settings, task)
    said = play(run_options(tmp_path / "task", max_timesteps=960), fragile(-1))
    same_records(flagged.records, said.records)
    assert bgpbt.open_run(flagged.path, task).best.equals(flagged.best)
    with pytest.raises(BadInput, match="minimise True there, False here") as refused:
        play(settings.model_copy(update={"minimise": False}), task)
    assert "\n" not in str(refused.value)


@pytest.mark.usefixtures("compile_once")
def test_a_task_that_changed_its_mind_does_not_go_on(tmp_path):
    settings = run_options(tmp_path, max_timesteps=960)
    result = play(settings, fragile(-1))
    changed = fragile(-1)._replace(minimise=False)
    wanted = "holds a run that minimises, the task here maximises; give the same"
    with pytest.raises(BadInput, match=wanted) as refused:
        play(settings, changed)
    assert "\n" not in str(refused.value)
    opened = bgpbt.open_run(result.path, changed)
    assert opened.best.equals(result.best) and opened.task.minimise
    assert same_bits(final_state(opened), final_state(result))


@pytest.mark.usefixtures("compile_once")
def test_a_run_older_than_the_choice_was_maximised(tmp_path):
    settings = run_options(tmp_path, max_timesteps=960)
    result = play(settings, fragile(1))
    path = result.path / "run.json"
    content = json.loads(path.read_text())
    del content["task"]["minimise"]
    path.write_text(json.dumps(content))
    saved = result.path / "options.yaml"
    lines = saved.read_text().splitlines()
    lines.remove("minimise: false")
    saved.write_text("\n".join(lines))
    assert play(settings, fragile(1)).report == result.report
    with pytest.raises(BadInput, match="run that maximises, the task here minimises"):
        play(settings, fragile(1)._replace(minimise=True))
    opened = bgpbt.open_run(result.path, fragile(1)._replace(minimise=True))
    assert opened.best.equals(result.best)


def test_named_tasks_and_functions_of_ones_own_may_be_minimised(tmp_path):
    assert not make_task(Options(task="toy")).minimise
    assert make_task(Options(task="toy", minimise=True)).minimise
    fixed = {"task": "toy", "fix": {"h0": "0.5"}, "minimise": True}
    assert make_task(Options(**fixed)).minimise
    functions = (lambda *_: 0.0,) * 3
    space = {"rate": Float(0.1, 1.0, 0.5)}
    assert bgpbt.task_from(*functions, space, minimise=True).minimise
    assert not bgpbt.task_from(*functions, space).minimise
    text = bgpbt.dry_run(Options(task="toy", minimise=True, save_dir=str(tmp_path)))
    assert "fitness                    smaller is better" in text
