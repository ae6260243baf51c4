"""Data sets from the files that people have, and how they are split."""

import os

import numpy as np
import pytest
from PIL import Image

from bgpbt.config.errors import BadInput
from bgpbt.tasks.nas import data


def test_digits_are_always_there():
    loaded = data.load("digits", None, side=8)
    assert loaded.images.shape[1:] == (8, 8, 1) and loaded.classes == 10
    assert data.load("digits", None, side=16).images.shape[1:] == (16, 16, 1)


def picture(path, colour, size=(6, 4)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def test_a_folder_of_classes(tmp_path):
    for i in range(3):
        picture(tmp_path / "flags" / "red" / f"{i}.png", "red")
        picture(tmp_path / "flags" / "blue" / f"{i}.JPG", "blue", size=(9, 9))
    (tmp_path / "flags" / "red" / "notes.txt").write_text("mine")
    (tmp_path / "flags" / "red" / "._1.png").write_text("of a system")
    (tmp_path / "flags" / ".cache").mkdir()
    loaded = data.load("flags", str(tmp_path), side=5)
    assert loaded.images.shape == (6, 5, 5, 3) and loaded.classes == 2
    assert loaded.labels.tolist() == [0, 0, 0, 1, 1, 1]  # blue comes first
    assert (loaded.images[3:, 2, 2] == [255, 0, 0]).all()


@pytest.mark.parametrize("names", data.NPZ_NAMES)
def test_arrays(tmp_path, names):
    (tmp_path / "ink").mkdir()
    drawn = np.random.default_rng(0).random((8, 5, 5)) < 0.5
    arrays = dict(zip(names, (drawn, np.arange(8) % 2), strict=True))
    np.savez(tmp_path / "ink" / "a.npz", **arrays)
    loaded = data.load("ink", str(tmp_path), side=5)
    assert (loaded.images[..., 0] == drawn * 255).all()
    np.savez(tmp_path / "ink" / "b.npz", **arrays)
    with pytest.raises(BadInput, match=r"ink has 2 files \.npz, leave one there"):
        data.load("ink", str(tmp_path), side=5)


def write_npz(folder, **arrays):
    folder.mkdir()
    np.savez(folder / "a.npz", **arrays)


def one_picture_less(folder):
    picture(folder / "a" / "1.png", "red")
    picture(folder / "a" / "2.png", "red")
    picture(folder / "b" / "1.png", "red")


def a_text(folder):
    one_picture_less(folder)
    (folder / "b" / "2.png").write_text("no picture")


def no_npz(folder):
    folder.mkdir()
    (folder / "a.npz").write_text("no arrays")


GREY = np.zeros((4, 3, 3), np.uint8)
REFUSED = {
    "has no folder 'x', it has no folders": lambda folder: None,
    "has 0 folders, give one of pictures": lambda folder: folder.mkdir(),
    "class 'b' of": one_picture_less,
    "2.png is no picture": a_text,
    "has a, give images and labels": lambda f: write_npz(f, a=GREY),
    "float64 images of shape (4, 3, 3, 1)": lambda f: write_npz(
        f, images=GREY * 0.5, labels=np.arange(4)
    ),
    "labels of type <U1": lambda f: write_npz(
        f, images=GREY, labels=np.array(list("abab"))
    ),
    "labels of type float64": lambda f: write_npz(
        f, images=GREY, labels=np.array([0.0, 0.9, 1.2, 1.9])
    ),
    "a label 1000000000": lambda f: write_npz(
        f, images=GREY, labels=np.array([0, 0, 1, 10**9])
    ),
    "one class, give at least two": lambda f: write_npz(
        f, images=GREY, labels=np.zeros(4, int)
    ),
    "a label -1, give labels from 0 on": lambda f: write_npz(
        f, images=GREY, labels=np.array([-1, 0, 0, -1])
    ),
    "a.npz is no npz: give what numpy.savez writes": no_npz,
    "a class with 1 images": lambda f: write_npz(
        f, images=GREY, labels=np.array([0, 0, 0, 1])
    ),
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_is_no_data_set_is_one_line(tmp_path, words):
    REFUSED[words](tmp_path / "x")
    with pytest.raises(BadInput) as caught:
        data.load("x", str(tmp_path), side=5)
    assert words in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("folder", ["~nosuchuser/x", "x" * 5000])
def test_a_folder_that_cannot_be_looked_into(folder):
    with pytest.raises(BadInput, match="cannot be looked into"):
        data.load("omniglot", folder, side=5)


def test_a_misspelt_name_is_answered_with_the_nearest(tmp_path):
    (tmp_path / "omniglot").mkdir()
    with pytest.raises(BadInput, match="nearest: omniglot"):
        data.load("omnglot", str(tmp_path), side=5)


# Sizes of training and held-out parts that the reference states.
SIZES = {32460: 21748, 8189: 5486, 5640: 3778, 10000: 6699, 11788: 7897}


@pytest.mark.parametrize("number", SIZES)
def test_parts_are_as_large_as_in_the_reference(number):
    parts = data.split(number, third=False)
    assert len(parts.training) == SIZES[number] and not len(parts.test)
    together = np.concatenate(parts)
    assert sorted(together) == list(range(number))
    three = data.split(number, third=True)
    assert (three.training == parts.training).all()
    assert abs(len(three.validation) - len(three.test)) <= 1
    assert sorted(np.concatenate(three)) == list(range(number))


@pytest.mark.skipif("BGPBT_DATA_DIR" not in os.environ, reason="no BGPBT_DATA_DIR")
@pytest.mark.parametrize(
    ("name", "classes"), [("omniglot", 242), ("quickdraw", 345), ("cifar10", 10)]
)
def test_real_data(name, classes):
    loaded = data.load(name, os.environ["BGPBT_DATA_DIR"], side=16)
    assert loaded.classes == classes and loaded.images.shape[1:3] == (16, 16)
