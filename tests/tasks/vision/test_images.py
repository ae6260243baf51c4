"""Image files: idx, gzipped or not, and npz are read.

Whatever is not what it says is refused in one line.
"""

import gzip
import os
import struct

import numpy as np
import pytest

from bgpbt.config.errors import BadInput
from bgpbt.tasks.vision import images
from bgpbt.tasks.vision.classification import split

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 28, 28), dtype=np.uint8)
LABELS = np.arange(20, dtype=np.uint8) % 10


def idx(array: np.ndarray) -> bytes:
    return (
        struct.pack(">BBBB", 0, 0, 8, array.ndim)
        + struct.pack(f">{array.ndim}I", *array.shape)
        + array.tobytes()
    )


def write(folder, part="train", zipped=False, pixels=PIXELS, labels=LABELS):
    folder.mkdir(parents=True, exist_ok=True)
    stem = images.STEMS[part]
    for name, array in (
        (f"{stem}-images-idx3-ubyte", pixels),
        (f"{stem}-labels-idx1-ubyte", labels),
    ):
        (folder / (name + ".gz" * zipped)).write_bytes(
            gzip.compress(idx(array)) if zipped else idx(array)
        )


def same(labelled) -> bool:
    return (
        np.array_equal(labelled.images[..., 0], PIXELS)
        and labelled.labels.tolist() == LABELS.tolist()
    )


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize("below", ["", "mnist"])
def test_idx(tmp_path, zipped, part, below):
    write(tmp_path / below, part, zipped)
    labelled = images.load("mnist", part, str(tmp_path))
    assert (
        same(labelled)
        and labelled.images.shape == (20, 28, 28, 1)
        and labelled.labels.dtype == np.int32
    )


def test_npz(tmp_path):
    np.savez(
        tmp_path / "fashion_mnist.npz",
        x_train=PIXELS,
        y_train=LABELS,
        x_test=PIXELS[:5],
        y_test=LABELS[:5, None],
    )
    assert same(images.load("fashion_mnist", "train", str(tmp_path)))
    assert (
        images.load("fashion_mnist", "test", str(tmp_path)).labels.tolist()
        == LABELS[:5].tolist()
    )


def test_digits_are_always_there():
    train, test = (images.load("digits", part, None) for part in ("train", "test"))
    assert (len(train.labels), len(test.labels)) == (1437, 360) and train.images.shape[
        1:
    ] == (8, 8, 1)
    assert train.images.max() == 255 and sorted(set(test.labels.tolist())) == list(
        range(10)
    )
    rows = {x.tobytes() for x in train.images}
    assert sum(x.tobytes() in rows for x in test.images) <= 1  # a few digits look alike


def broken(folder, change):
    write(folder)
    change(folder / "train-images-idx3-ubyte")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            lambda path: path.unlink(),
            "has neither train-images-idx3-ubyte (.gz or not) nor mnist.npz, get them "
            "from https://",
        ),
        (
            lambda path: path.write_bytes(b""),
            "is no idx file of images (its first bytes are missing)",
        ),
        (lambda path: path.write_bytes(b"<html>"), "its first bytes are 3c68746d"),
        (lambda path: path.write_bytes(idx(LABELS)), "is no idx file of images"),
        (
            lambda path: path.write_bytes(idx(PIXELS)[:-1]),
            "has 15679 bytes where its header says 20 x 28 x 28",
        ),
        (lambda path: path.write_bytes(idx(PIXELS[:19])), "20 labels, give"),
        (lambda path: path.write_bytes(idx(PIXELS[:0])), "of shape (0, 28, 28)"),
        (
            lambda path: path.write_bytes(idx(PIXELS[:, ::2, ::2])),
            "of shape (20, 14, 14), 20 labels, give 28 x 28",
        ),
        (
            lambda path: path.write_bytes(struct.pack(">4I", 0x803, 2**31, 2**31, 4)),
            "where its header says 2147483648 x",
        ),
    ],
)
def test_what_is_not_what_it_says(tmp_path, change, problem):
    broken(tmp_path, change)
    with pytest.raises(BadInput) as caught:
        images.load("mnist", "train", str(tmp_path))
    text = str(caught.value)
    assert (
        problem in text
        and text.startswith("data_dir: ")
        and str(tmp_path) in text
        and len(text.splitlines()) == 1
    )


def test_labels_of_another_set(tmp_path):
    write(tmp_path, labels=LABELS + 5)
    with pytest.raises(BadInput, match="labels from 5 to 14, give 0 to 9"):
        images.load("mnist", "train", str(tmp_path))


def test_a_broken_archive(tmp_path):
    write(tmp_path, zipped=True)
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(
        gzip.compress(idx(LABELS))[:-9]
    )
    with pytest.raises(BadInput, match="cannot be read"):
        images.load("mnist", "train", str(tmp_path))
    for content in (b"no archive", b""):
        (tmp_path / "mnist.npz").write_bytes(content)
        with pytest.raises(BadInput, match="is no npz with x_train and y_train"):
            images.load("mnist", "train", str(tmp_path))
    np.savez(tmp_path / "full.npz", x_train=PIXELS, y_train=LABELS)
    np.save(tmp_path / "array.npy", PIXELS)
    for content in (
        (tmp_path / "full.npz").read_bytes()[:9000],
        (tmp_path / "array.npy").read_bytes(),
    ):
        (tmp_path / "mnist.npz").write_bytes(content)
        with pytest.raises(BadInput, match="is no npz with x_train and y_train"):
            images.load("mnist", "train", str(tmp_path))
    np.savez(tmp_path / "mnist.npz", x_train=PIXELS, y_train=LABELS.astype(str))
    with pytest.raises(BadInput, match="labels of type <U"):
        images.load("mnist", "train", str(tmp_path))
    np.savez(tmp_path / "mnist.npz", x=PIXELS)
    with pytest.raises(BadInput, match="is no npz with x_train and y_train"):
        images.load("mnist", "train", str(tmp_path))


@pytest.mark.parametrize("folder", ["~nosuchuser/x", "x" * 300])
def test_folders_that_cannot_be(folder):
    with pytest.raises(BadInput, match="cannot be looked into"):
        images.load("mnist", "train", folder)


@pytest.mark.parametrize(
    "error", [RuntimeError("encrypted"), NotImplementedError("compression")]
)
def test_archives_of_another_kind(tmp_path, monkeypatch, error):
    np.savez(tmp_path / "mnist.npz", x_train=PIXELS, y_train=LABELS)

    def refuse(*args, **kwargs):
        raise error

    monkeypatch.setattr(np, "load", refuse)
    with pytest.raises(BadInput, match="is no npz with x_train and y_train"):
        images.load("mnist", "train", str(tmp_path))


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("mnits", "nearest: mnist"),
        ("mnist", "data_dir: mnist is not given, get its files"),
    ],
)
def test_what_is_missing(name, problem):
    with pytest.raises(BadInput, match=problem):
        images.load(name, "train", None)


@pytest.mark.skipif(
    "BGPBT_DATA_DIR" not in os.environ,
    reason="BGPBT_DATA_DIR is not set: the folder of mnist/ and fashion_mnist/",
)
@pytest.mark.parametrize(
    ("name", "mean"), [("mnist", 0.13066), ("fashion_mnist", 0.28604)]
)
def test_the_real_ones(name, mean):
    labelled, test = (
        images.load(name, part, os.environ["BGPBT_DATA_DIR"])
        for part in ("train", "test")
    )
    assert labelled.images.shape == (60_000, 28, 28, 1) and len(test.labels) == 10_000
    assert (
        labelled.images.mean() / 255 == pytest.approx(mean, abs=1e-4)
        and np.bincount(test.labels).min() > 800
    )
    training, validation = split(labelled)
    assert (len(training.labels), len(validation.labels)) == (48_000, 12_000)
