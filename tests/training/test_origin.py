"""A run that begins with what another run has learnt."""

import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toy_runs import kill_run

import bgpbt
from bgpbt.config.errors import BadInput
from bgpbt.config.options import Options
from bgpbt.space import Float
from bgpbt.types import Task, TrainState

P = 3


def climbing(size: int = 2) -> Task:
    """A member whose weights grow by its rate, and whose moments count updates."""

    def init(key, hyperparams):
        weights = jax.random.uniform(key, (size,))
        moments = {"count": jnp.zeros(())}
        return TrainState({"x": weights}, {"x": moments}, (), jnp.zeros(()))

    def train(key, state, hyperparams, updates, teaching):
        count = state.opt_state["x"]["count"] + updates
        state = state._replace(
            params={"x": state.params["x"] + hyperparams["rate"] * updates},
            opt_state={"x": {"count": count}},
            env_state=state.env_state + 1,
        )
        return state, {"loss": jnp.zeros(()), "env_steps": updates}

    def evaluate(key, state, hyperparams):
        return state.params["x"][:1], jnp.int32(0)

    space = {"rate": Float(0.1, 1.0, 0.5)}
    return Task("climbing", space, ("x",), 1, init, train, evaluate)


def options(folder, **changes) -> Options:
    settings = {
        "task": "toy",
        "pop_size": P,
        "quantile_fraction": 0.4,
        "t_ready": 2,
        "max_timesteps": 6,
        "devices": 1,
        "save_dir": str(folder),
    }
    return Options(**(settings | changes))


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A run of three rounds."""
    return bgpbt.run(options(tmp_path_factory.mktemp("first")), climbing())


def begun(folder, task=None, **changes):
    """A run of one round, and the weights and moments that its members began with."""
    changes = {"strategy": "random", "max_timesteps": 2} | changes
    result = bgpbt.run(options(folder, **changes), task or climbing())
    (group,) = result.load().population
    rates = result.records.query("round == 1")["rate"].to_numpy()
    start = np.asarray(group.params["x"]) - 2 * rates[:, None]
    return result, start, np.asarray(group.opt_state["x"]["count"]) - 2


def test_every_member_begins_with_the_weights_of_the_reported_one(first, tmp_path):
    best = np.asarray(first.load().best.state.params["x"])
    result, start, moments = begun(tmp_path, init_from=str(first.path))
    assert start == pytest.approx(np.tile(best, (P, 1)), rel=1e-5)
    assert moments.tolist() == [0, 0, 0]
    fitness = result.records.query("round == 0")["fitness"]
    assert fitness.to_numpy() == pytest.approx(np.full(P, best[0]), rel=1e-6)
    assert (result.load().population[0].env_state == 1).all()


def test_moments_and_whole_populations_come_along_where_they_are_asked_for(
    first, tmp_path
):
    (group,) = first.load().population
    weights = np.asarray(group.params["x"])
    counts = np.asarray(group.opt_state["x"]["count"])
    assert len(np.unique(weights[:, 0])) > 1 and counts.tolist() == [6, 6, 6]
    settings = {"init_from": str(first.path), "init_members": "all"}
    _, start, moments = begun(tmp_path, **settings, init_moments=True)
    assert start == pytest.approx(weights, rel=1e-5)
    assert moments.tolist() == counts.tolist()


def test_each_seed_begins_with_its_own(first, tmp_path):
    """A folder of several seeds."""
    above = first.path.parent
    _, start, _ = begun(tmp_path, init_from=str(above))
    best = np.asarray(first.load().best.state.params["x"])
    assert start == pytest.approx(np.tile(best, (P, 1)), rel=1e-5)


def test_a_killed_run_needs_its_origin_no_more(first, tmp_path, after_save):
    gone = tmp_path / "gone"
    shutil.copytree(first.path, gone)
    settings = {"init_from": str(gone)}
    whole = bgpbt.run(options(tmp_path / "a", **settings), climbing())
    own = options(tmp_path / "b", **settings)
    kill_run(after_save, 1, lambda: bgpbt.run(own, climbing()))
    shutil.rmtree(gone)
    resumed = bgpbt.run(own, climbing())
    columns = [name for name in whole.records if name != "seconds"]
    assert resumed.records[columns].equals(whole.records[columns])


def test_what_cannot_be_begun_with_is_said_before_anything_is_written(first, tmp_path):
    here = {"init_from": str(first.path)}
    refused = [
        (
            {"init_from": str(tmp_path)},
            climbing(),
            "holds no run with a finished round",
        ),
        (here, climbing(3), "does not fit this run"),
        (
            here | {"init_members": "all", "pop_size": 4},
            climbing(),
            "does not fit this run",
        ),
    ]
    for changes, task, message in refused:
        with pytest.raises(BadInput, match=message):
            bgpbt.run(options(tmp_path / "new", **changes), task)
    with pytest.raises(BadInput, match="init_from: with search_mode both"):
        options(tmp_path, init_from="x", search_mode="both")
    assert not (tmp_path / "new").exists()


def test_a_run_is_not_begun_with_itself(tmp_path):
    first = bgpbt.run(options(tmp_path), climbing())
    own = options(tmp_path, init_from=str(first.path), existing_policy="overwrite")
    with pytest.raises(BadInput, match="is the run that would be overwritten"):
        bgpbt.run(own, climbing())
    assert first.load().progress.round == 3


def test_damaged_checkpoints_are_said(first, tmp_path, capsys):
    copy = tmp_path / "copy"
    shutil.copytree(first.path, copy)
    rounds = sorted((copy / "checkpoints").iterdir())
    (rounds[-1] / "layout.json").write_text("{}")
    begun(tmp_path, init_from=str(copy))
    assert f"round 2 of {copy} (round 3 is damaged)" in capsys.readouterr().out
    (rounds[0] / "layout.json").write_text("{}")
    with pytest.raises(BadInput, match=r"all checkpoints of .* are damaged"):
        begun(tmp_path / "new", init_from=str(copy))


def test_another_origin_is_another_run(first, tmp_path):
    begun(tmp_path, init_from=str(first.path))
    with pytest.raises(BadInput, match="init_from"):
        begun(tmp_path)
