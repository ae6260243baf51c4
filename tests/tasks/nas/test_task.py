"""Designers through the engine; what is known changes no result."""

import dataclasses
import shutil
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest
from designer_runs import DEPTH, SIDE, TRAINED, options, write_rewards
from toy_runs import kill_run
from toys import share

import bgpbt
from bgpbt.assembly.parts import make_task
from bgpbt.config.errors import BadInput
from bgpbt.config.loading import load_options
from bgpbt.config.options import Options
from bgpbt.networks.structure import in_words
from bgpbt.storage.store import RunStore
from bgpbt.storage.taking import take
from bgpbt.tasks.nas import database, dqn, meta_a2c, table, uniform
from bgpbt.tasks.nas.agents import AGENTS
from bgpbt.tasks.nas.database import Form
from bgpbt.tasks.nas.experiments import in_order


@pytest.fixture(scope="module")
def rewards(tmp_path_factory) -> Path:
    """A table in which convolutions of 3 are worth most, and windows of 5 least."""
    return write_rewards(tmp_path_factory.mktemp("table") / "rewards.npz")


def compared(records: pd.DataFrame) -> pd.DataFrame:
    return records.drop(columns="seconds")


@pytest.fixture(scope="module")
def engines() -> dict:
    """What runs of the same settings compile once."""
    return {}


@pytest.fixture
def compile_once(monkeypatch, engines, no_figures):
    share(monkeypatch, engines)


@pytest.fixture(scope="module")
def whole(rewards, engines, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        share(patch, engines)
        return bgpbt.run(options(rewards, folder)), folder


def test_the_records_say_what_agents_did(whole, rewards):
    result, folder = whole
    records = result.records
    trained = records[records["round"] > 0]
    shares = trained.filter(like="share_")
    assert shares.shape[1] == 8 and shares.sum(axis=1).to_numpy() == pytest.approx(1)
    assert trained["entropy"].between(1.9, np.log(8) + 1e-5).all()
    assert trained["episode_length"].between(1, DEPTH).all()
    assert (trained["best_reward"] <= trained["fitness"] + 1e-6).all()
    worths = table.read(rewards, "made_up").worths
    (file,) = folder.glob("*/*/experiments.csv")
    known = database.read(file, "made_up", Form(DEPTH))
    assert 10 < len(known) < 2 * 240
    rows = np.stack([in_order(x.rows) for x in known.values()])
    numbers = jax.vmap(table.number_of)(rows)
    assert [x.accuracy for x in known.values()] == pytest.approx(
        worths[np.asarray(numbers)], abs=1e-7
    )


@pytest.mark.usefixtures("compile_once")
def test_what_is_known_changes_no_result(whole, rewards, tmp_path):
    result, folder = whole
    (file,) = folder.glob("*/*/experiments.csv")
    shared = tmp_path / "shared.csv"
    shared.write_bytes(file.read_bytes())
    again = bgpbt.run(options(rewards, tmp_path, database=str(shared)))
    pd.testing.assert_frame_equal(compared(again.records), compared(result.records))
    assert again.report == result.report
    assert len(shared.read_text().splitlines()) == len(file.read_text().splitlines())


def test_a_run_leaves_pictures_of_its_agents_and_of_what_they_designed(
    whole, rewards, printed, tmp_path
):
    """And draws them again; an overwritten run has none of another's."""
    result, _ = whole
    names = ["learning_curve", "hyperparameter_schedule", "designers", "best_design"]
    pictures = [result.path / f"{name}.png" for name in names]
    assert all(picture.exists() for picture in pictures)
    (best, worth), *_ = result.task.figures["best_design"]["designs"](result.path, 1)
    assert in_words(best) == "conv3 conv3 conv3" and worth == pytest.approx(0.65)
    copy = tmp_path / "runs"
    shutil.copytree(result.path.parents[1], copy)
    again = options(rewards, copy)
    (copied,) = copy.glob("*/seed_0")
    for name in names:
        (copied / f"{name}.png").unlink()
    assert bgpbt.run(again).path == copied
    said = "".join(printed.getvalue().split())
    assert "".join(str(copied / f"{name}.png") for name in names) in said
    store = RunStore(copied)
    overwrite = again.model_copy(update={"existing_policy": "overwrite"})
    take(store, overwrite, {})
    assert not list(copied.glob("*.png"))


def test_pictures_of_what_is_left_are_drawn(whole, tmp_path):
    """Of untrained members alone, and without the designs."""
    result, _ = whole
    (tmp_path / "experiments.csv").write_text("damaged")
    untrained = result.records[result.records["round"] == 0]
    one = dataclasses.replace(result, path=tmp_path, records=untrained[:1], report=None)
    with pytest.warns(UserWarning, match=r"best_design.png is not drawn: .* line 1"):
        assert [path.name for path in one.draw()][2:] == ["designers.png"]
    (tmp_path / "experiments.csv").unlink()
    assert len(one.draw()) == 3


@pytest.mark.usefixtures("compile_once")
def test_a_killed_run_goes_on_in_the_middle_of_an_episode(
    whole, rewards, tmp_path, after_save
):
    result, _ = whole
    kill_run(after_save, 2, lambda: bgpbt.run(options(rewards, tmp_path)))
    resumed = bgpbt.run(options(rewards, tmp_path))
    pd.testing.assert_frame_equal(compared(resumed.records), compared(result.records))
    assert resumed.report == result.report


@pytest.mark.parametrize("agent", AGENTS)
def test_every_agent_starts_with_the_usual_settings_and_its_own_hyperparameters(agent):
    own = load_options({"task": "nas", "alg_name": agent, "max_images": 100})
    space = make_task(own).space
    assert space == {"meta_a2c": meta_a2c, "dqn": dqn, "uniform": uniform}[agent].SPACE


@pytest.mark.long
def test_what_is_known_changes_no_result_where_networks_are_trained(tmp_path):
    settings = {
        "image_side": 8,
        "design_layers": 3,
        "report_episodes": 4,
    }
    runs = {}
    for name, changes in {
        "first": {"devices": 1, "database": str(tmp_path / "all.csv")},
        "known": {"devices": 1, "database": str(tmp_path / "all.csv")},
        "alone": {"devices": 1},
        "two devices": {"devices": 2},
    }.items():
        own = Options(**TRAINED, **settings, **changes, save_dir=str(tmp_path / name))
        runs[name] = bgpbt.run(own)
    first = runs.pop("first")
    known = database.read(tmp_path / "all.csv", "digits", Form(3))
    assert len(known) > 20 and len({x.accuracy for x in known.values()}) > 5
    for result in runs.values():
        pd.testing.assert_frame_equal(compared(result.records), compared(first.records))
        assert result.report == first.report


@pytest.mark.usefixtures("no_figures")
def test_an_agent_that_was_trained_goes_on_elsewhere_and_learns_nothing(
    whole, rewards, tmp_path
):
    """The frozen evaluation of the paper."""
    before = whole[0]
    settings = {
        "init_from": str(before.path),
        "evaluate_only": "sampled",
        "strategy": "random",
        "pop_size": 1,
        "max_timesteps": 120,
    }
    result = bgpbt.run(options(rewards, tmp_path, **settings))
    weights = before.load().best.state.params
    (group,) = result.load().population
    assert jax.tree.all(
        jax.tree.map(lambda x, y: np.array_equal(x[0], y), group.params, weights)
    )
    assert result.records["entropy"].iloc[-1] > 1.9
    settings |= {"evaluate_only": "greedy", "report_episodes": 4}
    greedy = bgpbt.run(options(rewards, tmp_path / "greedy", **settings))
    # Shares of what is done again and again.
    assert greedy.records.iloc[-1].filter(like="share_").max() > 0.24


@pytest.mark.long
def test_an_agent_learns_what_the_table_pays_for(rewards, tmp_path):
    """On fresh episodes, against the same agent before."""
    settings = {
        "strategy": "random",
        "freeze": "default",
        "pop_size": 1,
        "fix": {"learning_rate": 5e-3},
        "t_ready": 2000,
        "max_timesteps": 10_000,
        "report_episodes": 40,
    }
    report = bgpbt.run(options(rewards, tmp_path, **settings)).report
    assert report["mean"] > report["untrained_mean"] + 0.4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"alg_name": "ppo"}, "alg_name: ppo designs no networks"),
        ({"problem": "nothing"}, "has no 'nothing', known: made_up"),
        ({"fitness": "concurrent"}, "fitness: concurrent is for agents by ppo"),
        ({"t_ready": 10}, "t_ready: 10 decisions are less than one update, give at"),
        (
            {"database": "~nobodyhere/x.csv"},
            "~nobodyhere/x.csv is no file in a",
        ),
        ({"database": "x" * 300 + ".csv"}, "cannot be looked into: File name too long"),
        ({"reward_table": "~nobodyhere/x.npz"}, "~nobodyhere/x.npz: No such file"),
        ({"alg_name": "ppo"}, "give one of meta_a2c, dqn, uniform"),
        ({"search_mode": "both"}, "search_mode: agents that design networks"),
        ({"reward_table": "missing.npz"}, "reward_table: missing.npz: No such file"),
        (
            {"reward_table": None, "problem": "digits", "max_images": 9},
            "problem: 9 images are too few to be split, give at least 10",
        ),
        (
            {"reward_table": None, "problem": "omniglot"},
            "problem: 'omniglot' is not given, give --data_dir",
        ),
    ],
)
def test_what_cannot_be_used_is_said(rewards, tmp_path, changes, message):
    with pytest.raises(BadInput) as caught:
        bgpbt.run(options(rewards, tmp_path, **changes))
    assert message in str(caught.value)


def test_a_file_that_is_no_table_is_refused(rewards, tmp_path):
    path = tmp_path / "no.npz"
    path.write_text("no")
    with pytest.raises(BadInput, match=r"no\.npz: is no table of rewards"):
        table.read(path, "made_up")
    worths = np.full(table.chains(DEPTH), np.inf, np.float32)
    table.write_all(path, {"made_up": worths}, {"side": SIDE, "depth": DEPTH})
    with pytest.raises(BadInput, match="made_up is not a number from 0 to 1 for each"):
        table.read(path, "made_up")
    for depth in (11, 2.7, "2"):
        table.write_all(path, {"made_up": worths}, {"side": SIDE, "depth": depth})
        with pytest.raises(BadInput, match="is no table of rewards"):
            table.read(path, "made_up")
    for side in (0, 10**30):
        table.write_all(path, {"made_up": worths}, {"side": side, "depth": DEPTH})
        with pytest.raises(BadInput, match="is no table of rewards"):
            table.read(path, "made_up")
    table.write_all(path, {}, {"side": SIDE, "depth": DEPTH})
    with pytest.raises(BadInput, match="it has no data set"):
        table.read(path, "made_up")
    table.write_all(path, {"made_up": np.zeros(5)}, {"side": SIDE, "depth": DEPTH})
    with pytest.raises(BadInput, match="made_up is not 400 numbers of 32 bits"):
        table.read(path, "made_up")
    worths[:] = 0.5
    worths[1] = np.nan  # a chain that can be built
    table.write_all(path, {"made_up": worths}, {"side": SIDE, "depth": DEPTH})
    with pytest.raises(BadInput, match="that can be built at 12 x 12 pixels"):
        table.read(path, "made_up")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"designs": "branches"}, "is not of chains"),
        ({"norm": "foo"}, "norm: "),
        ({"epochs": -1}, "epochs: "),
        ({"filters": "x"}, "filters: "),
    ],
)
def test_a_table_of_other_networks_is_refused(tmp_path, settings, message):
    path = tmp_path / "rewards.npz"
    worths = np.full(table.chains(DEPTH), 0.5, np.float32)
    settings |= {"side": SIDE, "depth": DEPTH}
    table.write_all(path, {"made_up": worths}, settings)
    with pytest.raises(BadInput) as caught:
        bgpbt.run(options(path, tmp_path / "runs"))
    assert f"reward_table: {path}: {message}" in str(caught.value)


@pytest.mark.usefixtures("no_figures")
def test_a_run_does_not_go_on_with_another_table(rewards, tmp_path):
    own = tmp_path / "rewards.npz"
    shutil.copy(rewards, own)
    short = {"t_ready": 20, "max_timesteps": 20, "report_episodes": 4}
    bgpbt.run(options(own, tmp_path, **short))
    worths = 0.1 * table.read(own, "made_up").worths
    table.write_all(own, {"made_up": worths}, {"side": SIDE, "depth": DEPTH})
    with pytest.raises(BadInput, match="judged by other networks, images or tables"):
        bgpbt.run(options(own, tmp_path, **short | {"max_timesteps": 60}))


def test_a_database_that_was_cut_short_is_refused(rewards, tmp_path):
    shared = tmp_path / "shared.csv"
    shared.write_text(",".join(database.COLUMNS) + "\nmade_up-12,1-1")
    with pytest.raises(BadInput, match="line 2 is cut short"):
        bgpbt.run(options(rewards, tmp_path / "runs", database=str(shared)))
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "asked", [{"designs": "branches"}, {"density_weight": 1}, {"flops_weight": 0.5}]
)
def test_what_a_table_cannot_answer_is_refused(rewards, tmp_path, asked):
    (name,) = asked
    with pytest.raises(BadInput, match=f"{name}: a table has the accuracies of chains"):
        bgpbt.run(options(rewards, tmp_path, **asked))


@pytest.mark.long
def test_designs_with_branches_are_trained(tmp_path):
    settings = {
        "designs": "branches",
        "move_factor": 0.1,
        "density_weight": 8.0,
        "image_side": 7,
        "design_layers": 5,
        "design_steps": 20,
        "report_episodes": 2,
        "fitness": "training",
        "devices": 1,
    }
    result = bgpbt.run(Options(**TRAINED, **settings, save_dir=str(tmp_path / "one")))
    trained = result.records[result.records["round"] > 0]
    shares = trained.filter(like="share_")
    assert shares.shape[1] == 14 and (shares["share_move1_down"] > 0).any()
    assert trained["branched"].between(0, 1).all() and (trained["branched"] > 0).any()
    known = database.read(result.path / "experiments.csv", "digits", Form(5)).values()
    dense = [x for x in known if x.density > 1]
    assert dense and all(
        x.reward == pytest.approx(100 * x.accuracy - 8 * np.log(x.density), rel=1e-4)
        for x in dense
    )
