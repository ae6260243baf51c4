"""The networks of designs learn, and their worth is a pure function."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.datasets import load_digits

from bgpbt.networks import on_canvas
from bgpbt.networks.canvas import Sizes
from bgpbt.tasks.nas import children
from bgpbt.tasks.nas.children import ChildData, Labelled, Training

SIZES = Sizes(side=8, channels=1, filters=4, dense=16, classes=10, depth=3)
TRAINING = Training(epochs=6, batch_size=64, learning_rate=1e-2)


@pytest.fixture(scope="module")
def digits() -> ChildData:
    loaded = load_digits()
    images = (loaded.images[..., None] * 15.9).astype(np.uint8)
    labels = loaded.target.astype(np.int32)
    parts = (slice(0, 700), slice(700, 1000))
    training, validation = (
        Labelled(jnp.asarray(images[p]), jnp.asarray(labels[p])) for p in parts
    )
    return ChildData(training, validation, jax.random.PRNGKey(0))


@pytest.fixture(scope="module")
def worth(digits):
    return jax.jit(lambda rows: children.accuracy(SIZES, TRAINING, digits, rows))


def rows_of(*layers) -> np.ndarray:
    rows = np.zeros((SIZES.depth, 5), np.int32)
    for i, (kind, kernel) in enumerate(layers):
        rows[i] = i + 1, kind, kernel, i, 0
    return rows


def test_networks_learn_and_better_designs_are_worth_more(worth):
    good = float(worth(rows_of((1, 3), (2, 2))))
    poor = float(worth(rows_of((3, 3), (3, 2))))  # one pixel is left
    assert good > 0.7 and poor < 0.5
    assert float(worth(rows_of((1, 3), (2, 2)))) == good


def test_the_last_minibatch_of_an_epoch_has_fewer_images():
    batches = children.minibatches(jax.random.PRNGKey(0), 6, 64, 700)
    assert batches.shape == (6 * 11, 64)
    for epoch in np.asarray(batches).reshape(6, -1):
        assert sorted(epoch[epoch >= 0]) == list(range(700))


def test_accuracy_counts_every_image_once(digits):
    rows = rows_of((1, 1))
    weights = on_canvas.init(jax.random.PRNGKey(3), SIZES, rows)
    pixels = jnp.asarray(digits.validation.images) / 255
    found = on_canvas.logits(SIZES, rows, weights, pixels)[0].argmax(axis=1)
    expected = float((found == digits.validation.labels).mean())
    for at_once in (7, 300, 1000):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(children, "EVALUATED", at_once)
            share = children.share_right(SIZES, rows, weights, digits.validation)
        assert float(share) == pytest.approx(expected, abs=1e-6)


def test_the_learning_rate_falls_every_five_epochs():
    schedule = children.schedule(Training(), 12 * 10)
    rates = [float(schedule(step)) for step in (0, 49, 50, 99, 100, 119)]
    assert rates == pytest.approx([1e-3, 1e-3, 2e-4, 2e-4, 4e-5, 4e-5])
