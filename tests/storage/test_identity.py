"""A folder knows its own: another run's checkpoint, another place, a lost file."""

import os
import shutil

import pytest
from stored_runs import IDENTITY, contents, filled, refusal, restore, rows, state
from test_schema import edit_layout
from toys import same_bits

from bgpbt.config.errors import BadInput, NotSaved
from bgpbt.config.options import Options
from bgpbt.files import write_json
from bgpbt.storage import checkpoints
from bgpbt.storage.store import RunStore
from bgpbt.storage.taking import check, take

OPTIONS = Options(num_envs=64)


@pytest.fixture(scope="module")
def other_run(tmp_path_factory) -> RunStore:
    """The same settings, another run, one round longer; it is never changed."""
    store = RunStore(tmp_path_factory.mktemp("other") / "run")
    take(store, OPTIONS, IDENTITY | {"id": "b2"})
    for number in range(5):
        store.save(state(number), rows(number), {})
    return store


@pytest.mark.parametrize("number", [3, 4])
def test_a_checkpoint_of_another_run_is_not_taken(stored_run, other_run, number):
    """In the place of a later round, or of the last one."""
    place = stored_run.checkpoint(number)
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(other_run.checkpoint(number), place)
    restored, said = restore(stored_run)
    last = 2 if number == 3 else 3
    assert same_bits(restored, state(last))
    words = f"the checkpoint of round {number} is of another run"
    assert said == [f"{words}: an earlier one is used"]
    assert stored_run.rounds() == [2, 3][: last - 1]
    assert place.with_suffix(".damaged").is_dir()  # nothing complete is removed
    stored_run.save(state(last + 1), rows(last + 1), {})
    assert stored_run.rounds() == [last, last + 1]


def test_a_checkpoint_in_the_place_of_another_round_is_not_taken(stored_run):
    shutil.copytree(stored_run.checkpoint(2), stored_run.checkpoint(9))
    restored, said = restore(stored_run)
    assert same_bits(restored, state(3))
    words = "the checkpoint of round 9 is that of round 2"
    assert said == [f"{words}: an earlier one is used"]


def test_checkpoints_of_older_versions_do_not_say_of_which_run_they_are(stored_run):
    edit_layout(stored_run, lambda layout: layout.pop("run"))
    restored, said = restore(stored_run)
    assert same_bits(restored, state(3)) and said == []


def test_files_that_only_look_like_checkpoints_are_left_alone(stored_run):
    (stored_run.checkpoints / "round_000099").write_text("a file")
    (stored_run.checkpoints / "round_x").mkdir()
    (stored_run.checkpoints / "round_²").mkdir()
    (stored_run.checkpoints / "round_7").mkdir()
    restored, said = restore(stored_run)
    assert same_bits(restored, state(3)) and said == []


@pytest.mark.parametrize("name", ["run.json", "options.yaml"])
@pytest.mark.parametrize("content", [None, "", "{", "a: [", "3", "[1]", "{}"])
def test_what_a_folder_says_of_itself_comes_back_from_a_checkpoint(
    stored_run, name, content
):
    path = stored_run.path / name
    before = path.read_bytes()
    path.unlink()
    if content is not None:
        path.write_text(content)
    assert "num_envs 64 there, 32 here" in refusal(stored_run, Options(num_envs=32))
    check(stored_run, OPTIONS)
    _, said = take(stored_run, OPTIONS, {"schema": 3, "id": "new"})
    problem = "gone" if content is None else "damaged"
    copy = stored_run.checkpoint(3)
    assert said == f"{path} is {problem}: that in {copy} is used"
    assert path.read_bytes() == before
    assert len(take(stored_run, OPTIONS, IDENTITY)) == 1


@pytest.mark.parametrize("part", [0.3, 0.8, 0.93, 0.999])
def test_settings_that_were_cut_short_are_damaged(stored_run, part):
    """What is left of the file is YAML, too: the rest would be defaults."""
    options = OPTIONS.model_copy(update={"max_timesteps": 3_000_000, "keep": 37})
    path = stored_run.path / "options.yaml"
    whole = options.with_absolute_paths().to_yaml()
    for copy in stored_run.copies("options.yaml"):
        copy.write_text(whole)
        checksums = checkpoints._checksums(copy.parent)
        write_json(copy.parent / "checksums.json", checksums)
    path.write_text(whole[: int(part * len(whole))])
    assert stored_run.options() == options
    _, said = take(stored_run, options, IDENTITY)
    assert said.startswith(f"{path} is damaged") and path.read_text() == whole


def test_a_damaged_environment_is_said_and_written_anew(stored_run):
    path = stored_run.path / "environment.json"
    path.write_text("[]")
    (line,) = stored_run.record_environment({"python": "3.11"})
    assert line == f"{path} is damaged: versions are not compared"
    assert stored_run.record_environment({"python": "3.11"}) == []


@pytest.mark.parametrize("name", ["records.csv", "report.json", "policy.gif"])
def test_records_without_a_checkpoint_are_not_removed_unasked(stored_run, name):
    shutil.rmtree(stored_run.checkpoints)
    (stored_run.path / "records.csv").rename(stored_run.path / name)
    before = contents(stored_run.path)
    assert f"holds {name} but no checkpoint" in refusal(stored_run, OPTIONS)
    assert contents(stored_run.path) == before
    check(stored_run, OPTIONS.model_copy(update={"existing_policy": "overwrite"}))


def test_a_run_that_ended_before_its_first_round_begins_anew(tmp_path):
    """Also where it has said which networks its designs are of, or what some are."""
    store = RunStore(tmp_path / "run")
    take(store, OPTIONS, IDENTITY)
    for name in ("experiments.json", "experiments.csv"):
        (store.path / name).write_text("{}")
    check(store, OPTIONS)
    (store.path / "run.json").unlink()  # then they may be of somebody else
    assert "holds experiments.csv, experiments.json but" in refusal(store, OPTIONS)


@pytest.mark.parametrize("change", [shutil.rmtree, lambda path: path.rename("moved")])
def test_a_folder_that_is_removed_or_moved_is_missed(tmp_path, monkeypatch, change):
    monkeypatch.chdir(tmp_path)
    store = filled(tmp_path / "run", rounds=2)
    change(store.path)
    with pytest.raises(NotSaved, match="was removed or moved while the run went on"):
        store.save(state(2), rows(2), {})
    assert not store.path.exists()
    with pytest.raises(NotSaved, match="was removed or moved"):
        store.write_json("report.json", {})


LINKED = ["records.csv", "run.json", "checkpoints", "checkpoints/round_000003"]


@pytest.mark.parametrize("name", LINKED)
def test_a_link_in_a_run_folder_is_refused(stored_run, tmp_path, name):
    """A stranger's folder must not make us write elsewhere."""
    outside = tmp_path / "outside"
    os.rename(stored_run.path / name, outside)
    (stored_run.path / name).symlink_to(outside)
    before = contents(outside) if outside.is_dir() else outside.read_bytes()
    for policy in ("resume", "overwrite"):
        options = OPTIONS.model_copy(update={"existing_policy": policy})
        assert f"{stored_run.path / name} is a link" in refusal(stored_run, options)
    assert (contents(outside) if outside.is_dir() else outside.read_bytes()) == before


@pytest.mark.parametrize("name", ["records.csv", "report.json", "options.yaml"])
@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_file_is_refused(stored_run, name, make):
    path = stored_run.path / name
    path.unlink(missing_ok=True)
    make(path)
    for policy in ("resume", "overwrite"):
        options = OPTIONS.model_copy(update={"existing_policy": policy})
        assert f"{path} is no file" in refusal(stored_run, options)
    assert stored_run.rounds() == [2, 3]


def test_a_link_beside_a_file_is_not_written_through(stored_run, tmp_path):
    outside = tmp_path / "outside"
    outside.write_text("mine")
    place = stored_run.path / "report.json.partial"
    place.symlink_to(outside)
    assert f"{place} is a link" in refusal(stored_run, OPTIONS)
    stored_run.write_json("report.json", {})
    assert outside.read_text() == "mine"


def test_another_runs_settings_are_not_taken(stored_run, tmp_path):
    """A checkpoint of a run of other settings, copied in as the last one."""
    other = RunStore(tmp_path / "other")
    take(other, Options(num_envs=32), IDENTITY | {"id": "b2"})
    other.save(state(4), rows(4), {})
    shutil.copytree(other.checkpoint(4), stored_run.checkpoint(4))
    before = contents(stored_run.path)
    assert stored_run.options() == OPTIONS
    assert "num_envs 64 there, 32 here" in refusal(stored_run, Options(num_envs=32))
    (stored_run.path / "run.json").unlink()
    assert stored_run.identity() == IDENTITY
    assert len(take(stored_run, OPTIONS, IDENTITY)) == 2
    lock = {stored_run.path / ".lock": b""}
    assert contents(stored_run.path) == before | lock
    _, said = restore(stored_run)
    words = "the checkpoint of round 4 is of another run"
    assert said == [f"{words}: an earlier one is used"]


@pytest.mark.parametrize("part", [0.5, 1.0])
def test_a_damaged_copy_does_not_count_more_than_the_file(stored_run, part):
    copy = stored_run.checkpoint(3) / "options.yaml"
    text = copy.read_text().replace("num_envs: 64", "num_envs: 32")
    copy.write_text(text[: int(part * len(text))])
    assert stored_run.options() == OPTIONS
    check(stored_run, OPTIONS)
    assert len(take(stored_run, OPTIONS, IDENTITY)) == 1


def test_what_happens_to_a_file_meanwhile_is_not_copied(tmp_path):
    store = filled(tmp_path / "run", rounds=2)
    (store.path / "run.json").unlink()
    (store.path / "options.yaml").write_text("num_envs: 32")
    for number in (2, 3):
        store.save(state(number), rows(number), {})
    again = RunStore(store.path)
    assert again.identity() == IDENTITY and again.options() == OPTIONS


def test_a_run_that_was_made_since_the_check_is_not_continued(tmp_path):
    """Another process may have made it, with other settings."""
    store = RunStore(tmp_path / "run")
    check(store, OPTIONS)
    other = RunStore(store.path)
    take(other, Options(num_envs=32), IDENTITY)
    other.save(state(0), rows(0), {})
    with pytest.raises(BadInput, match="num_envs 32 there, 64 here"):
        take(store, OPTIONS, IDENTITY)


def test_what_a_person_put_beside_a_run_stays(stored_run):
    (stored_run.path / "notes.txt").write_text("mine")
    (stored_run.path / "mine.png").write_text("mine")
    (stored_run.path / "report_draft.json").write_text("mine")
    (stored_run.path / "report_480.json").write_text("the run's own")
    overwrite = OPTIONS.model_copy(update={"existing_policy": "overwrite"})
    take(stored_run, overwrite, IDENTITY)
    names = sorted(path.name for path in stored_run.path.iterdir())
    own = [".lock", "checkpoints", "options.yaml", "run.json"]
    assert names == sorted([*own, "notes.txt", "mine.png", "report_draft.json"])
