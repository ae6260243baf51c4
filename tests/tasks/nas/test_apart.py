"""Designs that no canvas holds are trained exactly, in a process of their own."""

import os
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.datasets import load_digits

from bgpbt.config.errors import OutOfMemory
from bgpbt.networks import structure
from bgpbt.networks.canvas import Sizes
from bgpbt.networks.structure import Kind, Rows
from bgpbt.tasks.nas import apart, judges
from bgpbt.tasks.nas.children import ChildData, Labelled, Training

SIZES = Sizes(side=7, channels=1, filters=4, dense=16, classes=10, depth=5, joins=True)
TRAINING = Training(epochs=6, batch_size=64, learning_rate=1e-2)
NARROW = ((1, 3, 0, 0),)
BRANCHED = (*NARROW, (Kind.add, 0, 1, 1))
WIDE = (*NARROW, *((Kind.concatenate, 0, i, i) for i in (1, 2, 3)), (2, 2, 4, 0))


def in_order(design) -> Rows:
    return structure.rows_of(rows_of(design))


def rows_of(design) -> np.ndarray:
    rows = np.zeros((SIZES.depth, 5), np.int32)
    for i, layer in enumerate(design):
        rows[i] = i + 1, *layer
    return rows


@pytest.fixture(scope="module")
def setting() -> apart.Setting:
    loaded = load_digits()
    images = (loaded.images[:, :7, :7, None] * 15.9).astype(np.uint8)
    labels = loaded.target.astype(np.int32)
    training = Labelled(jnp.asarray(images[:700]), jnp.asarray(labels[:700]))
    validation = Labelled(jnp.asarray(images[700:1000]), jnp.asarray(labels[700:1000]))
    data = ChildData(training, validation, jax.random.PRNGKey(0))
    return apart.setting_of(SIZES, TRAINING, data)


@pytest.fixture
def other(setting):
    process = apart.Apart(setting)
    yield process
    if process._process is not None:
        process._process.end()


def test_exact_networks_learn(setting):
    found = apart.accuracy(setting, in_order(NARROW))
    assert 0.6 < found < 1
    # That of the canvas begins with other weights.
    data = jax.tree.map(jnp.asarray, setting.data)
    of_chains = judges.of_chains(SIZES._replace(joins=False), TRAINING)
    in_canvas = jax.jit(of_chains)(data, rows_of(NARROW))
    assert abs(found - float(in_canvas)) < 0.15


def test_a_program_asks_about_what_no_canvas_holds(setting, other):
    judge = jax.jit(judges.of_all(SIZES, TRAINING, other))
    narrow = judge(setting.data, rows_of(NARROW))
    of_chains = judges.of_chains(SIZES._replace(joins=False), TRAINING)
    assert narrow == jax.jit(of_chains)(setting.data, rows_of(NARROW)) > 0.4
    assert float(judge(setting.data, rows_of(BRANCHED))) > 0.4
    assert other._process is None
    exact = np.float32(apart.accuracy(setting, in_order(WIDE)))
    assert exact > 0.4
    assert judge(setting.data, rows_of(WIDE)) == exact


def test_side_by_side_only_those_that_are_wanted_are_trained_and_none_twice(
    setting, other
):
    exact = np.float32(apart.accuracy(setting, in_order(WIDE)))
    rows = jnp.stack([rows_of(NARROW), rows_of(WIDE), rows_of(WIDE)])
    wanted = jnp.array([False, True, True])
    found = jax.jit(jax.vmap(other.judge))(rows, wanted)
    np.testing.assert_array_equal(found, np.array([0, exact, exact], np.float32))
    assert len(other._known) == 1


def test_no_memory_for_a_network_is_no_crash_of_its_program(
    setting, other, monkeypatch
):
    rows = rows_of(WIDE)
    monkeypatch.setattr(apart, "MOST_WEIGHTS", 100)
    judge = jax.jit(lambda rows: other.judge(rows, jnp.array(True)))
    assert float(judge(rows)) == 0 and other._process is None


def test_a_network_that_cannot_be_trained_is_said(setting):
    process = apart.Process(setting)
    larger_than_the_images = ((1, 5, 0, 0), (1, 5, 1, 0))
    with pytest.raises(RuntimeError, match=r"cannot be trained: .*Error: "):
        process.ask(in_order(larger_than_the_images))
    assert process.ask(in_order(NARROW)) > 0.4  # it goes on
    process.end()


def test_a_process_that_was_killed_is_said(setting):
    process = apart.Process(setting)
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(OutOfMemory, match="ended the process"):
        process.ask(in_order(WIDE))
    process.end()
