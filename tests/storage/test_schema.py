"""Older formats are read, and one of a later version is refused in one line."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from stored_runs import damaged, lacks, refusal, restore, rows, state
from toys import same_bits

import bgpbt
from bgpbt.cli import command
from bgpbt.config.errors import BadInput
from bgpbt.config.options import Options
from bgpbt.storage import checkpoints, schema
from bgpbt.storage.checkpoints import Unreadable
from bgpbt.storage.places import run_folder
from bgpbt.storage.schema import SCHEMA, leaf_name, upgrade_layout
from bgpbt.storage.store import RunStore
from bgpbt.storage.taking import check

LATER = SCHEMA + 1
OPTIONS = Options(num_envs=64)


@pytest.mark.parametrize(
    ("name", "in_schema_1"),
    [
        ("progress.config", "progress.config"),
        ("progress.paddings", "progress.sizes"),
        ("best.padding", "progress.best_size"),
        ("best.fitness", "progress.best_fitness"),
        ("best.round", "progress.best_round"),
        ("best.member", "progress.best_member"),
        ("best.age", "progress.best_age"),
        ("best.config", "progress.best_config"),
        ("best.state.params.policy.config", "best.params.policy.config"),
        ("best.state.opt_state.policy.0", "best.moments.policy.0"),
        ("best.state.statistics.count", "best.shared.count"),
        ("population.0.params.policy.0.kernel", "population.0.params.policy.0.kernel"),
        ("population.12.opt_state.value", "population.12.moments.value"),
        ("population.0.statistics.mean", "population.0.shared.mean"),
        ("population.0.env_state.complete", "population.0.world.whole"),
        ("population.0.env_state.env.obs", "population.0.world.env.obs"),
        ("teacher.opt_state.policy", "teacher.moments.policy"),
        ("generation.trigger", "generation.why"),
        ("generation.stalled_rounds", "generation.stalled"),
        ("generation.architectures.score", "generation.tried.score"),
        ("strategy.stalled_rounds", "strategy.stalled"),
        ("strategy.raw.category_weights", "strategy.raw.overlap"),
        ("strategy.raw.mixture_weight", "strategy.raw.mix"),
        ("strategy.raw.lengthscale", "strategy.raw.lengthscale"),
    ],
)
def test_leaves_have_the_names_of_their_schema(name, in_schema_1):
    assert leaf_name(name, 1) == in_schema_1
    assert leaf_name(name, SCHEMA) == name


def test_layouts_of_schema_1_are_read():
    old = {"sizes": [0, 2], "best_size": 1, "teacher": True}
    new = {"paddings": [0, 2], "best_padding": 1, "teacher": True}
    assert upgrade_layout(old) == {"schema": 1} | new
    assert upgrade_layout({"schema": SCHEMA} | new) == {"schema": SCHEMA} | new


def test_a_checkpoint_of_schema_1_comes_back_to_the_bit(tmp_path, monkeypatch):
    """Its leaves have the names of that time, and its layout names no schema."""
    monkeypatch.setattr(schema, "_ADDED_IN", {})  # every leaf is written and read
    store = RunStore(tmp_path)
    store.checkpoints.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "SCHEMA", 1)
        layout = {"sizes": [0], "best_size": 0, "teacher": False}
        store.save(state(3), rows(3), layout)
    with_named_leaves(store, state(3))
    edit_layout(store, lambda layout: [layout.pop(x) for x in ("schema", "arrays")])
    expected_layout = {"paddings": [0], "best_padding": 0, "teacher": False}
    assert store.layout(3) == {"schema": 1} | expected_layout
    metadata = (store.checkpoints / "round_000003/state/state/_METADATA").read_text()
    assert "population.0.moments" in metadata and "opt_state" not in metadata
    restored, said = restore(store)
    assert same_bits(restored, state(3)) and said == [lacks("rounds 0 to 2")]


def with_named_leaves(store: RunStore, saved) -> None:
    """The arrays of round 3 as schema 1 had them: each by itself."""
    folder = store.checkpoint(3) / "state"
    shutil.rmtree(folder)
    with checkpoints._quiet_orbax() as ocp:
        ocp.save(folder, checkpoints._by_name(jax.device_get(saved), 1))


def test_a_leaf_that_an_older_schema_lacks_begins_as_untrained(tmp_path, monkeypatch):
    """Wherever it is added; the leaves beside it come from the checkpoint."""
    stored = {"weights": jnp.arange(3.0), "count": np.array(7)}
    path = tmp_path / "round_000001"
    checkpoints.write_checkpoint(path, stored, rows(1), {})
    added = {"average": jnp.full(2, 5.0), "counter": np.array(9), "empty": np.ones(0)}
    untrained = {"weights": jnp.zeros(3), "count": np.array(0)} | added
    monkeypatch.setattr(schema, "SCHEMA", LATER)
    with pytest.raises(Unreadable, match=r"^does not fit this run \("):
        checkpoints.read_checkpoint(path, untrained)
    patterns = (r"^average$", r"^counter$", r"^empty$")
    monkeypatch.setattr(schema, "_ADDED_IN", {LATER: patterns})
    assert same_bits(checkpoints.read_checkpoint(path, untrained), stored | added)


def test_a_new_checkpoint_says_its_schema(stored_run):
    for number in stored_run.rounds():
        assert stored_run.layout(number)["schema"] == SCHEMA


@pytest.mark.parametrize("policy", ["resume", "overwrite"])
@pytest.mark.parametrize("schema", [LATER, 0, None, "2"])
def test_a_folder_of_a_later_schema_is_refused(stored_run, policy, schema):
    stored_run.write_json("run.json", {"schema": schema})
    options = Options(num_envs=64, existing_policy=policy)
    message = refusal(stored_run, options)
    where = stored_run.path / "run.json"
    assert message.startswith(f"{where}: schema {schema!r} is not known here (1 to ")


@pytest.mark.parametrize("policy", ["resume", "overwrite"])
def test_a_checkpoint_of_a_later_schema_is_refused(stored_run, policy):
    edit_layout(stored_run, lambda layout: layout.update(schema=LATER))
    options = Options(num_envs=64, existing_policy=policy)
    message = refusal(stored_run, options)
    where = stored_run.checkpoints / "round_000003" / "layout.json"
    assert message.startswith(f"{where}: schema {LATER} is not known here (1 to ")
    with pytest.raises(ValueError, match="is not known here"):
        stored_run.layout(3)


def run_json_of_a_later_schema(store: RunStore) -> None:
    store.write_json("run.json", {"schema": LATER})


def layout_of_a_later_schema(store: RunStore) -> None:
    edit_layout(store, lambda layout: layout.update(schema=LATER))


CHANGES = (run_json_of_a_later_schema, layout_of_a_later_schema)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("switches", [[], ["--dry_run"], ["render"]])
def test_the_command_line_refuses_a_later_schema(
    stored_run, tmp_path, monkeypatch, capsys, change, switches
):
    """In one line, with exit code 2, and nothing is changed."""
    folder = run_folder(Options(save_dir=str(tmp_path)), 0)
    store = RunStore(shutil.copytree(stored_run.path, folder))
    change(store)
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setattr(command, "prepare_jax", lambda options: None)
    words = ["--num_envs", "64", "--save_dir", str(tmp_path), *switches]
    if switches == ["render"]:
        words = ["render", str(folder)]
    assert command.main(words) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert f"schema {LATER} is not known here" in err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("change", CHANGES)
def test_a_later_schema_is_not_opened(stored_run, change):
    change(stored_run)
    with pytest.raises(BadInput, match=f"schema {LATER} is not known here"):
        bgpbt.open_run(stored_run.path)


def test_a_damaged_schema_is_damage(stored_run):
    """What the checksums do not confirm is not taken for a later version."""
    path = stored_run.checkpoints / "round_000003" / "layout.json"
    path.write_text(path.read_text().replace(f'"schema": {SCHEMA}', '"schema": 7'))
    check(stored_run, OPTIONS)
    restored, said = restore(stored_run)
    assert said == damaged(3) and same_bits(restored, state(2))


def test_a_folder_without_a_schema_is_of_the_first(stored_run):
    for path in stored_run.path.rglob("run.json"):
        path.unlink()
    check(stored_run, OPTIONS)


def edit_layout(store: RunStore, edit) -> None:
    """Edits the layout of the last checkpoint, as the version that wrote it."""
    path = store.checkpoints / "round_000003"
    layout = json.loads((path / "layout.json").read_text())
    edit(layout)
    (path / "layout.json").write_text(json.dumps(layout))
    (path / "checksums.json").write_text(json.dumps(checkpoints._checksums(path)))


def test_each_version_is_reached_through_the_ones_between(monkeypatch):
    """Where a later version renames what an earlier one had renamed before."""
    later = {SCHEMA: ((r"^best\.slot$", "best.padding"),)}
    monkeypatch.setattr(schema, "SCHEMA", LATER)
    monkeypatch.setattr(schema, "_RENAMED_TO", schema._RENAMED_TO | later)
    names = [leaf_name("best.slot", version) for version in (LATER, SCHEMA, 1)]
    assert names == ["best.slot", "best.padding", "progress.best_size"]
    layout = {"schema": SCHEMA, "paddings": [0]}
    assert upgrade_layout(layout) == layout
