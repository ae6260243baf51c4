"""Data sets that designed networks are trained on, at one size of image.

Files are those that people have: idx, `.npz`, or a folder with a folder of pictures for
each class. Nothing is ever downloaded.
"""

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from bgpbt.config.errors import BadInput, nearest
from bgpbt.tasks.nas.children import ChildData, Labelled
from bgpbt.tasks.vision import images as vision

SPLIT_SEED = 32  # as in nas-dmrl
MOST_CLASSES = 100_000
TRAINING_SHARE = 1 - 0.33
PICTURES = (".png", ".jpg", ".jpeg", ".bmp")
NPZ_NAMES = (("images", "labels"), ("x_train", "y_train"))


class DataSet(NamedTuple):
    """All images of a data set."""

    images: np.ndarray  # [n, S, S, channels] uint8
    labels: np.ndarray  # [n] int32
    classes: int


class Split(NamedTuple):
    """Who trains on what, and who judges by what."""

    training: np.ndarray  # which images
    validation: np.ndarray  # a design is worth its accuracy on them
    test: np.ndarray  # no reward sees them; none in the reference


def load(name: str, data_dir: str | None, side: int) -> DataSet:
    """Loads a data set.

    Args:
      name: `digits`; `mnist` or `fashion_mnist`, whose files may be idx; or a folder in
        `data_dir` with an `.npz`, or with a folder of pictures for each class.
      data_dir: the folder above.
      side: S, to which images are resized, pixels.

    Raises:
      BadInput: there is no such set, or its files are not what they should be.
    """
    if name in vision.NAMES:
        images, labels = vision.load(name, "train", data_dir)
    elif data_dir is None:
        raise BadInput(
            f"problem: {name!r} is not given, give --data_dir with the folder that "
            f"holds it, or one of {', '.join(vision.NAMES)}",
            "data_dir",
        )
    else:
        images, labels = _from_folder(data_dir, name, side)
    problem = _problem(images, labels)
    if problem:
        raise BadInput(f"data_dir: {name} has {problem}", "data_dir")
    labels = labels.astype(np.int32)
    return DataSet(_resized(images, side), labels, int(labels.max()) + 1)


def _from_folder(data_dir: str, name: str, side: int) -> tuple[np.ndarray, np.ndarray]:
    try:
        above = Path(data_dir).expanduser()
        folder = above / name
        found = folder.is_dir()
    except (OSError, RuntimeError) as error:  # nobody's home, a name too long
        raise BadInput(
            f"data_dir: {data_dir[:80]} cannot be looked into: {error}", "data_dir"
        ) from None
    if not found:
        there = tuple(p.name for p in above.glob("*") if p.is_dir())
        known = nearest(name, there) if there else "it has no folders"
        raise BadInput(f"data_dir: {above} has no folder {name!r}, {known}", "data_dir")
    files = sorted(folder.glob("*.npz"))
    if len(files) > 1:
        raise BadInput(
            f"data_dir: {folder} has {len(files)} files .npz, leave one there",
            "data_dir",
        )
    if files:
        return _from_npz(files[0])
    return _from_classes(folder, side)


def _from_npz(path: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            for images, labels in NPZ_NAMES:
                if images in arrays and labels in arrays:
                    return _as_bytes(arrays[images]), arrays[labels].ravel()
            names = ", ".join(arrays.files)
    except Exception as error:  # what NumPy and zipfile make of other files
        why = getattr(error, "strerror", None) or "give what numpy.savez writes"
        raise BadInput(f"data_dir: {path} is no npz: {why}", "data_dir") from None
    wanted = " or ".join(f"{a} and {b}" for a, b in NPZ_NAMES)
    raise BadInput(f"data_dir: {path} has {names}, give {wanted}", "data_dir")


def _as_bytes(images: np.ndarray) -> np.ndarray:
    """Images with a last axis of channels, 0 to 255."""
    if images.dtype == bool:
        images = images * np.uint8(255)
    return images[..., None] if images.ndim == 3 else images


def _from_classes(folder: Path, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of which each class has a folder, `[n, side, side, 3]`."""
    classes = sorted(path for path in _shown(folder) if path.is_dir())
    if len(classes) < 2:
        raise BadInput(
            f"data_dir: {folder} has {len(classes)} folders, give one of pictures for "
            "each of at least two classes",
            "data_dir",
        )
    images, labels = [], []
    for label, path in enumerate(classes):
        files = sorted(p for p in _shown(path) if p.suffix.lower() in PICTURES)
        if len(files) < 2:
            raise BadInput(
                f"data_dir: class {path.name!r} of {folder} has {len(files)} pictures, "
                f"give at least 2 ({', '.join(PICTURES)})",
                "data_dir",
            )
        images += [_picture(file, side) for file in files]
        labels += [label] * len(files)
    return np.stack(images), np.array(labels)


def _shown(folder: Path) -> list[Path]:
    """What lies in a folder, without hidden files such as systems leave there."""
    return [path for path in folder.iterdir() if not path.name.startswith(".")]


def _picture(path: Path, side: int) -> np.ndarray:
    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert("RGB").resize((side, side)))
    except Exception as error:  # what Pillow makes of damaged pictures
        raise BadInput(f"data_dir: {path} is no picture: {error}", "data_dir") from None


def _problem(images: np.ndarray, labels: np.ndarray) -> str:
    """What is wrong with a data set, in words; "" where nothing is."""
    right = images.dtype == np.uint8 and images.ndim == 4 and images.shape[3] in (1, 3)
    if not right or len(images) != len(labels) or not images.size:
        kind = f"{images.dtype} images of shape {images.shape}, {len(labels)} labels"
        return f"{kind}, give grey or RGB ones as bytes with a label each"
    if not np.issubdtype(labels.dtype, np.integer):
        return f"labels of type {labels.dtype}, give whole numbers"
    if labels.max() > MOST_CLASSES:
        return f"a label {labels.max()}, give labels from 0 to {MOST_CLASSES} at most"
    if labels.min() < 0:
        return f"a label {labels.min()}, give labels from 0 on"
    counts = np.bincount(labels)
    if len(counts) < 2:
        return "one class, give at least two"
    if counts.min() < 2:
        return (
            f"a class with {int(counts.min())} images, give at least 2 of each, "
            "labelled from 0 on"
        )
    return ""


def _resized(images: np.ndarray, side: int) -> np.ndarray:
    """Images of `side` x `side` pixels."""
    if images.shape[1:3] == (side, side):
        return images
    grey = images.shape[3] == 1
    small = [
        np.asarray(Image.fromarray(x[..., 0] if grey else x).resize((side, side)))
        for x in images
    ]
    return np.stack(small)[..., None] if grey else np.stack(small)


def some(data: DataSet, most: int | None) -> DataSet:
    """At most so many images of a data set, always the same ones; None: all."""
    if most is None or most >= len(data.labels):
        return data
    chosen = np.random.default_rng(SPLIT_SEED).permutation(len(data.labels))[:most]
    return data._replace(images=data.images[chosen], labels=data.labels[chosen])


def split(number: int, *, third: bool) -> Split:
    """Shuffles and splits as nas-dmrl does: two thirds train, the rest judges.

    Args:
      number: of images.
      third: half of the rest gives the rewards, and half is kept for a final training.
        In the reference rewards and final scores see the same images.
    """
    order = np.random.default_rng(SPLIT_SEED).permutation(number)
    training = int(number * TRAINING_SHARE)
    kept = (number - training) // 2 if third else 0
    validation = number - kept
    return Split(order[:training], order[training:validation], order[validation:])


def child_data(data: DataSet, parts: Split, seed: int) -> ChildData:
    """What networks of designs train on and are judged by.

    Args:
      data: the data set.
      parts: of it.
      seed: of the data set: of weights, minibatches and dropout.
    """

    def part(chosen: np.ndarray) -> Labelled:
        labels = jnp.asarray(data.labels[chosen])
        return Labelled(jnp.asarray(data.images[chosen]), labels)

    key = jax.random.PRNGKey(seed)
    return ChildData(part(parts.training), part(parts.validation), key)
