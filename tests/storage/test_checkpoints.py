"""A checkpoint and its records come back to the bit, whatever a kill left there."""

import shutil

import jax
import numpy as np
import pytest
from stored_runs import assert_records, expected_records, restore, rows, state
from toys import same_bits

from bgpbt.storage.store import RunStore


def test_the_state_comes_back_to_the_bit(stored_run):
    restored, said = restore(stored_run)
    assert said == []
    expected = state(3)
    assert same_bits(restored, expected)
    for x, y in zip(jax.tree.leaves(restored), jax.tree.leaves(expected), strict=True):
        assert isinstance(x, jax.Array) == isinstance(y, jax.Array)
    assert isinstance(restored.progress.round, np.ndarray)
    assert restored.strategy.empty.shape == (0, 4)
    assert_records(stored_run, range(4))


def test_floats_of_the_records_come_back_to_the_bit(tmp_path):
    """Thousands of them: a fast reader is off by the last bit in some."""
    store = RunStore(tmp_path)
    many = rows(7, members=5000)
    many["fitness"] *= np.random.default_rng(0).choice(
        [1e-300, 1e-9, 1.0, 1e9, 1e300], size=5000
    )
    store.checkpoints.mkdir()
    store.save(state(7), many, {})
    for _ in range(2):
        fitness = store.records()[0]["fitness"].to_numpy()
        assert fitness.tobytes() == many["fitness"].to_numpy().tobytes()
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
    restored, _ = restore(store, spread(state(0)))
    assert all(x.sharding == sharding for x in jax.tree.leaves(restored.population))
    assert same_bits(restored.population, state(1).population)


def test_a_run_goes_on_after_it_is_restored(stored_run):
    restore(stored_run)
    stored_run.save(state(4), rows(4), {})
    assert stored_run.rounds() == [3, 4]
    assert_records(stored_run, range(5))


def test_a_half_written_checkpoint_does_not_count(stored_run):
    """A kill while saving leaves a folder beside.

    The next save of that round replaces it.
    """
    beside = stored_run.checkpoints / "round_000004.partial"
    shutil.copytree(stored_run.checkpoints / "round_000003", beside)
    assert stored_run.rounds() == [2, 3]
    assert same_bits(restore(stored_run)[0], state(3))
    stored_run.save(state(4), rows(4), {})
    assert stored_run.rounds() == [3, 4] and not beside.exists()
    assert same_bits(restore(stored_run)[0], state(4))


def test_rows_that_a_kill_left_out_are_restored(stored_run):
    """Killed between the commit of the checkpoint and the appending of its records."""
    expected_records(range(3)).to_csv(stored_run.path / "records.csv", index=False)
    restore(stored_run)
    assert_records(stored_run, range(4))


def test_records_are_cut_to_the_checkpoint(stored_run):
    shutil.rmtree(stored_run.checkpoints / "round_000003")
    restored, said = restore(stored_run)
    assert int(restored.progress.round) == 2 and said == []
    assert_records(stored_run, range(3))


@pytest.mark.parametrize("kept", [1, 5, 12, 25, -1])
def test_a_partial_last_line_is_dropped(stored_run, kept):
    """Killed while appending: `kept` characters of the last line are there."""
    text = (stored_run.path / "records.csv").read_text().rstrip("\n")
    before, last = text.rsplit("\n", 1)
    (stored_run.path / "records.csv").write_text(f"{before}\n{last[:kept]}")
    restore(stored_run)
    assert_records(stored_run, range(4))


@pytest.mark.parametrize("kept", [1, 2, 3, 4, 8])
def test_a_partial_line_of_a_later_round_is_not_taken_for_an_early_one(tmp_path, kept):
    """Of a line of round 12 that breaks off, `1` may be all that is left."""
    store = RunStore(tmp_path)
    store.checkpoints.mkdir()
    for number in range(13):
        store.save(state(number), rows(number), {})
    text = expected_records(range(12)).to_csv(index=False)
    line = rows(12).to_csv(index=False, header=False)
    (store.path / "records.csv").write_text(text + line[:kept])
    restore(store)
    assert_records(store, range(13))


def test_rounds_zero_and_one_in_one_checkpoint(tmp_path):
    """With more candidates than members, the first checkpoint has two rounds' rows."""
    store = RunStore(tmp_path)
    store.checkpoints.mkdir()
    store.save(state(1), expected_records([0, 1]), {})
    for _ in range(2):
        restore(store)
        assert_records(store, [0, 1])
