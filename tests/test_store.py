"""A run on disk: what a folder may hold, what a kill or damage leaves, and that nothing changes on the way."""

import gc
import json
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from toys import same_bits

from bgpbt import store as module
from bgpbt.options import BadInput, Options, load_options
from bgpbt.store import RunStore, folder, shapes_like
from bgpbt.types import Generation, Progress, RunState, TrainState, Tried

MEMBERS = 2


class Memory(NamedTuple):
    """A strategy's state with what is awkward to save."""

    trust: np.float32  # a NumPy scalar
    count: jax.Array  # []
    empty: jax.Array  # of size zero
    flags: jax.Array  # bool
    nothing: tuple = ()


def state(number: int) -> RunState:
    """The state after round `number`, every array of it different from that of other rounds."""
    rng = np.random.default_rng(number)
    progress = Progress(
        **{name: np.array(number, np.int64) for name in Progress._fields}
        | {"config": rng.uniform(size=(MEMBERS, 3)).astype(np.float32), "best_fitness": np.array(number / 3)}
    )
    normal = lambda *shape: jnp.asarray(rng.normal(size=shape), jnp.float32)  # noqa: E731
    member = TrainState(
        params={"policy": [{"kernel": normal(MEMBERS, 3, 20), "bias": normal(MEMBERS, 20)}]},
        moments={"policy": (normal(MEMBERS, 60), ())},
        shared={"count": jnp.full(MEMBERS, 2**24 + number, jnp.int32)},
        world={"key": jax.random.split(jax.random.PRNGKey(number), MEMBERS), "done": jnp.array([True, False])},
    )
    memory = Memory(np.float32(number / 7), jnp.array(number), jnp.zeros((0, 4)), jnp.array([number % 2 == 0, True]))
    fields = dict.fromkeys(Generation._fields, np.array(number))
    tried = Tried(np.zeros((0, 6), np.float32), np.zeros(0), np.zeros(0, np.int64))
    generation = Generation(**fields | {"tried": tried})
    return RunState(progress, generation, (member,), member._replace(world=()), (), memory)


def like(wanted: RunState):
    """What `restore` asks for; the layout plays no part here."""
    return lambda layout: shapes_like(wanted)


def rows(number: int, members: int = MEMBERS) -> pd.DataFrame:
    """The records of a round; floats that need all their digits."""
    fitness = np.random.default_rng(number).normal(size=members) * 10.0 ** (number - 3)
    columns = {
        "round": number,
        "member": np.arange(members),
        "source": "initial",
        "fitness": fitness,
        "rate": np.float32(fitness),
    }
    return pd.DataFrame(columns | {"timesteps": 10**12 + number})


def filled(path: Path, rounds: int = 4) -> RunStore:
    """A run with round 0 to `rounds - 1`."""
    store = RunStore(path)
    store.open(Options(num_envs=64))
    for number in range(rounds):
        store.save(state(number), rows(number), {})
    return store


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """Copied, never changed."""
    path = tmp_path_factory.mktemp("store") / "run"
    filled(path)
    return path


@pytest.fixture
def run(finished, tmp_path) -> RunStore:
    return RunStore(shutil.copytree(finished, tmp_path / "run"))


def restore(store: RunStore):
    return store.restore(like(state(0)))


def expected_records(numbers) -> pd.DataFrame:
    return pd.concat([rows(number) for number in numbers], ignore_index=True)


def assert_records(store: RunStore, numbers) -> None:
    """To the bit; a float32 column is read back as the float64 of the same text."""
    found, expected = store.records(), expected_records(numbers)
    assert found.columns.tolist() == expected.columns.tolist() and len(found) == len(expected)
    for name in ("round", "member", "timesteps", "source"):
        assert found[name].tolist() == expected[name].tolist()
        assert found[name].dtype.kind == expected[name].dtype.kind
    assert found["fitness"].to_numpy().tobytes() == expected["fitness"].to_numpy().tobytes()
    assert found["rate"].to_numpy(np.float32).tobytes() == expected["rate"].to_numpy().tobytes()


# Where a run lives


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "runs/ant_spring_pbt_hpo/seed_3"),
        ({"exp_name": "try"}, "runs/try/ant_spring_pbt_hpo/seed_3"),
        ({"freeze": "sampled"}, "runs/ant_spring_pbt_hpo_frozen_sampled/seed_3"),
        ({"freeze": "default"}, "runs/ant_spring_pbt_hpo_frozen_default/seed_3"),
        ({"strategy": "random", "env_name": "reacher", "backend": "mjx", "save_dir": "a/b"}, "a/b/reacher_mjx_random_hpo/seed_3"),
    ],
)
def test_folder(settings, expected):
    assert folder(Options(**settings), 3) == Path(expected)


def test_folder_in_the_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert folder(Options(save_dir="~/runs"), 0).parent.parent == tmp_path / "runs"


# Checking, which changes nothing


def refusal(store: RunStore, options: Options) -> str:
    with pytest.raises(BadInput) as caught:
        store.check(options)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_a_new_folder_is_fine_and_is_not_created(tmp_path):
    RunStore(tmp_path / "a" / "b").check(Options())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_permission_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(module.os, "access", lambda path, mode: False)
    assert f"no permission to write in {tmp_path}" in refusal(RunStore(tmp_path / "a" / "b"), Options())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_may_not_even_be_looked_into_is_refused(tmp_path, monkeypatch):
    """A folder below somebody else's home, say: asking whether it exists is already forbidden."""
    closed, stat = tmp_path / "closed", os.stat
    closed.mkdir()

    def forbidden(path, *args, **kwargs):
        if str(path).startswith(f"{closed}{os.sep}"):
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, *args, **kwargs)

    monkeypatch.setattr(os, "stat", forbidden)
    monkeypatch.setattr(module.os, "access", lambda path, mode: False)
    assert f"no permission to write in {closed}" in refusal(RunStore(closed / "a" / "b"), Options())


def test_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file", tmp_path / "file" / "seed_0"):
        assert "is a file" in refusal(RunStore(path), Options())
    assert (tmp_path / "file").read_text() == "mine"


def test_a_full_disk_is_refused(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 10**6, 10**6))
    assert "less than 50 MB are free" in refusal(RunStore(tmp_path / "a"), Options())


@pytest.mark.parametrize(
    ("name", "words"), [("a" * 300, "File name too long"), ("a\0b", "null byte")], ids=["too long", "null byte"]
)
def test_a_name_that_no_folder_can_have_is_refused(tmp_path, name, words):
    assert words in refusal(RunStore(tmp_path / name / "seed_0"), Options())


def test_an_unknown_home_is_refused():
    with pytest.raises(BadInput, match=r"save_dir: ~nobody_of_that_name/runs: .*give another folder"):
        folder(Options(save_dir="~nobody_of_that_name/runs"), 0)


@pytest.mark.parametrize("policy", ["resume", "overwrite"])
def test_links_to_nothing_are_refused_and_none_is_overwritten(tmp_path, policy):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "lost").symlink_to(tmp_path / "nowhere")
    for path in (tmp_path / "lost", tmp_path / "lost" / "seed_0"):
        assert "is a link to nothing" in refusal(RunStore(path), Options(existing_policy=policy))
    RunStore(tmp_path / "link" / "seed_0").check(Options(existing_policy=policy))
    if policy == "overwrite":
        assert "is a link" in refusal(RunStore(tmp_path / "link"), Options(existing_policy=policy))
    else:
        RunStore(tmp_path / "link").check(Options(existing_policy=policy))


def test_only_runs_are_overwritten(tmp_path):
    (tmp_path / "mine.txt").write_text("kept")
    assert "no run" in refusal(RunStore(tmp_path), Options(existing_policy="overwrite"))
    assert (tmp_path / "mine.txt").read_text() == "kept"


def test_checkpoints_of_unknown_settings_are_refused(run):
    (run.path / "options.yaml").unlink()
    assert "no options.yaml" in refusal(run, Options(num_envs=64))


HOLDER = """
import sys, time
from bgpbt.store import RunStore
from bgpbt.options import Options
RunStore(sys.argv[1]).open(Options())
print("mine", flush=True)
time.sleep(60)
"""


def test_one_process_at_a_time(run):
    """Its end, however it came, frees the run."""
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(run.path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "mine\n"
        for policy in ("resume", "overwrite"):
            assert "another process is at work" in refusal(run, Options(num_envs=64, existing_policy=policy))
            with pytest.raises(BadInput, match="another process"):  # begun between our check and our start
                run.open(Options(num_envs=64, existing_policy=policy))
        assert (run.path / "records.csv").exists()
        other.kill()
    run.check(Options(num_envs=64))


def test_saved_settings_remove_nothing_when_they_are_used_again(tmp_path):
    store = RunStore(tmp_path / "run")
    store.open(Options(existing_policy="overwrite"))
    assert load_options({}, store.path / "options.yaml").existing_policy == "resume"


def test_a_run_of_other_settings_is_refused_and_the_settings_are_named(tmp_path):
    store = RunStore(tmp_path / "run")
    store.open(Options(num_envs=64))
    before = (store.path / "options.yaml").read_text()
    text = refusal(store, Options(num_envs=128, pop_size=16))
    assert "num_envs 64 there, 128 here" in text and "pop_size 8 there, 16 here" in text and "explore" not in text
    store.check(Options(num_envs=128, existing_policy="overwrite"))
    assert (store.path / "options.yaml").read_text() == before


def test_what_changes_no_member_may_differ(tmp_path):
    store = RunStore(tmp_path / "run")
    store.open(Options())
    store.check(
        Options(verbose=True, no_cache=True, render=False, report_episodes=5, seed=(3,), save_dir="elsewhere", exp_name="x")
    )


# Opening


def test_resume_in_an_empty_place_starts_afresh_and_says_so(tmp_path):
    store = RunStore(tmp_path / "run")
    line = store.open(Options(num_envs=64))
    assert "nothing to resume" in line and str(store.path) in line
    assert store.rounds() == [] and restore(store) == (None, [])
    assert load_options({}, store.path / "options.yaml") == Options(num_envs=64)


def test_resume_keeps_everything(run):
    before = sorted(run.path.rglob("*"))
    assert run.open(Options(num_envs=64)) == f"resume: the run in {run.path} (round 3)"
    assert sorted(run.path.rglob("*")) == before


def test_overwrite_says_what_it_removes(run):
    (run.path / "policy.gif").write_text("old")
    line = run.open(Options(num_envs=32, existing_policy="overwrite"))
    assert "removed" in line and str(run.path) in line and "round 3" in line
    assert sorted(p.name for p in run.path.iterdir()) == [".lock", "checkpoints", "options.yaml"]
    assert run.rounds() == []
    assert load_options({}, run.path / "options.yaml").num_envs == 32


def test_overwrite_in_an_empty_place_removes_nothing(tmp_path):
    line = RunStore(tmp_path / "run").open(Options(existing_policy="overwrite"))
    assert "removed" not in line


def test_stamp_says_what_has_changed(tmp_path):
    store = RunStore(tmp_path)
    assert store.stamp({"jax": "0.10.2", "devices": 2}) == []
    assert store.stamp({"jax": "0.10.2", "devices": 2}) == []
    (line,) = store.stamp({"jax": "0.11.0", "devices": 2})
    assert "jax was 0.10.2 and is 0.11.0" in line
    assert json.loads((tmp_path / "environment.json").read_text())["jax"] == "0.10.2"


def test_json(tmp_path):
    store = RunStore(tmp_path)
    assert store.read_json("report.json") is None
    store.write_json("report.json", {"mean": 1 / 3})
    assert store.read_json("report.json") == {"mean": 1 / 3}
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]
    (tmp_path / "report.json").write_text("{")
    assert store.read_json("report.json") is None


# Saving and restoring


def test_only_two_checkpoints_are_kept_and_all_records(run):
    assert run.rounds() == [2, 3]
    assert sorted(p.name for p in run.checkpoints.iterdir()) == ["round_000002", "round_000003"]
    assert_records(run, range(4))


def test_the_state_comes_back_to_the_bit(run):
    found, said = restore(run)
    assert said == []
    expected = state(3)
    assert same_bits(found, expected)
    for x, y in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert isinstance(x, jax.Array) == isinstance(y, jax.Array)
    assert isinstance(found.progress.round, np.ndarray) and found.strategy.empty.shape == (0, 4)
    assert_records(run, range(4))


def test_floats_of_the_records_come_back_to_the_bit(tmp_path):
    """Thousands of them: a fast reader is off by the last bit in some."""
    store, many = RunStore(tmp_path), rows(7, members=5000)
    many["fitness"] *= np.random.default_rng(0).choice([1e-300, 1e-9, 1.0, 1e9, 1e300], size=5000)
    store.checkpoints.mkdir()
    store.save(state(7), many, {})
    for _ in range(2):
        assert store.records()["fitness"].to_numpy().tobytes() == many["fitness"].to_numpy().tobytes()
        restore(store)


def test_shards_come_back_to_their_devices(tmp_path):
    devices = jax.devices()[:2]
    if len(devices) < 2:
        pytest.skip("JAX was started with one device")
    mesh = jax.sharding.Mesh(devices, ("pop",))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("pop"))
    spread = lambda s: s._replace(population=jax.device_put(s.population, sharding))  # noqa: E731
    store = RunStore(tmp_path)
    store.checkpoints.mkdir()
    store.save(spread(state(1)), rows(1), {})
    found, _ = store.restore(like(spread(state(0))))
    assert all(x.sharding == sharding for x in jax.tree.leaves(found.population))
    assert same_bits(found.population, state(1).population)


def test_a_run_goes_on_after_it_is_restored(run):
    restore(run)
    run.save(state(4), rows(4), {})
    assert run.rounds() == [3, 4]
    assert_records(run, range(5))


def test_a_half_written_checkpoint_does_not_count(run):
    """A kill while saving leaves a folder beside, which the next save of that round replaces."""
    beside = run.checkpoints / "round_000004.partial"
    shutil.copytree(run.checkpoints / "round_000003", beside)
    assert run.rounds() == [2, 3]
    assert same_bits(restore(run)[0], state(3))
    run.save(state(4), rows(4), {})
    assert run.rounds() == [3, 4] and not beside.exists()
    assert same_bits(restore(run)[0], state(4))


def test_rows_that_a_kill_left_out_are_restored(run):
    """Killed between the commit of the checkpoint and the appending of its records."""
    expected_records(range(3)).to_csv(run.path / "records.csv", index=False)
    restore(run)
    assert_records(run, range(4))


def test_records_are_cut_to_the_checkpoint(run):
    shutil.rmtree(run.checkpoints / "round_000003")
    found, said = restore(run)
    assert int(found.progress.round) == 2 and said == []
    assert_records(run, range(3))


@pytest.mark.parametrize("kept", [1, 5, 12, 25, -1])
def test_a_partial_last_line_is_dropped(run, kept):
    """Killed while appending; `kept` characters of the last line are there, without its end."""
    text = (run.path / "records.csv").read_text().rstrip("\n")
    before, last = text.rsplit("\n", 1)
    (run.path / "records.csv").write_text(f"{before}\n{last[:kept]}")
    restore(run)
    assert_records(run, range(4))


@pytest.mark.parametrize("kept", [1, 2, 3, 4, 8])
def test_a_partial_line_of_a_later_round_is_not_taken_for_an_early_one(tmp_path, kept):
    """Of a line of round 12 that breaks off, `1` may be all that is left."""
    store = RunStore(tmp_path)
    store.checkpoints.mkdir()
    store.save(state(12), rows(12), {})
    text = expected_records(range(12)).to_csv(index=False)
    line = rows(12).to_csv(index=False, header=False)
    (store.path / "records.csv").write_text(text + line[:kept])
    restore(store)
    assert_records(store, range(13))


def test_missing_records_are_begun_anew(run):
    (run.path / "records.csv").unlink()
    restore(run)
    assert_records(run, [3])


def test_rounds_zero_and_one_in_one_checkpoint(tmp_path):
    """With more candidates than members the first checkpoint holds the rows of two rounds."""
    store = RunStore(tmp_path)
    store.checkpoints.mkdir()
    store.save(state(1), expected_records([0, 1]), {})
    for _ in range(2):
        restore(store)
        assert_records(store, [0, 1])


# Damage


def files(checkpoint: Path) -> list[Path]:
    """The files that carry the state: none of them is empty, and most of its bytes are there."""
    found = [p for p in checkpoint.rglob("*") if p.is_file() and p.stat().st_size]
    return sorted(found, key=lambda p: -p.stat().st_size)


def halve(data: bytes) -> bytes:
    return data[: len(data) // 2]


DAMAGES = {
    "truncated": halve,
    "emptied": lambda data: b"",
    "zeroed": lambda data: bytes(len(data)),
    "garbled": lambda data: bytes(byte ^ 0x5A for byte in data),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_last_checkpoint_is_said_and_the_one_before_used(run, damage):
    last = run.checkpoints / "round_000003"
    for path in files(last):
        path.write_bytes(damage(path.read_bytes()))
    found, said = restore(run)
    assert same_bits(found, state(2))
    assert len(said) == 1 and "round 3 is damaged" in said[0] and len(said[0].splitlines()) == 1
    assert run.rounds() == [2]
    assert_records(run, range(3))
    run.save(state(3), rows(3), {})
    assert_records(run, range(4))


@pytest.mark.parametrize("damage", ["truncated", "garbled"])
@pytest.mark.parametrize("which", ["rows.csv", "state/state/_METADATA", "state/state/manifest.ocdbt", "largest"])
def test_one_damaged_file_is_enough(run, which, damage):
    last = run.checkpoints / "round_000003"
    path = files(last / "state")[0] if which == "largest" else last / which
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    found, said = restore(run)
    assert len(said) == 1 and "round 3 is damaged" in said[0]
    assert same_bits(found, state(2))
    assert_records(run, range(3))


@pytest.mark.parametrize("which", ["rows.csv", "state", "state/state", "state/state/d", "state/state/_METADATA"])
def test_a_missing_part_is_damage(run, which):
    path = run.checkpoints / "round_000003" / which
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    found, said = restore(run)
    assert len(said) == 1 and same_bits(found, state(2))


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.9])
def test_a_single_wrong_bit_is_noticed(run, share):
    """Somewhere in the largest file, which holds the numbers."""
    path = files(run.checkpoints / "round_000003" / "state")[0]
    data = bytearray(path.read_bytes())
    data[int(share * len(data))] ^= 1
    path.write_bytes(data)
    found, said = restore(run)
    assert said and same_bits(found, state(2))


def test_damage_is_said_in_one_line_and_nothing_else(run, caplog, capfd):
    """No traceback of a library's, neither at once nor when its tasks are collected."""
    for path in files(run.checkpoints / "round_000003"):
        path.write_bytes(halve(path.read_bytes()))
    with caplog.at_level("ERROR"):
        restore(run)
        gc.collect()
    assert [(r.name, r.getMessage()[:80]) for r in caplog.records] == []
    assert capfd.readouterr().err == ""


def test_where_all_checkpoints_are_damaged_the_run_starts_afresh(run):
    """Its records too: those of the lost run would be appended to."""
    for number in run.rounds():
        for path in files(run.checkpoints / f"round_{number:06d}"):
            path.write_bytes(b"")
    found, said = restore(run)
    assert found is None and len(said) == 2
    run.save(state(0), rows(0), {})
    assert_records(run, [0])


def test_a_failure_that_is_no_damage_removes_nothing(run, monkeypatch):
    """No memory, or an Orbax that cannot be imported: the checkpoints are as good as before."""

    class Broken:
        @staticmethod
        def load(*args):
            raise MemoryError

    monkeypatch.setattr(module, "_quiet_orbax", lambda: module.contextlib.nullcontext(Broken))
    try:
        restore(run)
    except MemoryError:
        pass
    assert run.rounds() == [2, 3]
