"""Images with labels, from the files people have. Nothing is ever downloaded.

Files are idx, gzipped or not, or NumPy's npz.
"""

import gzip
import math
import zipfile
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bgpbt.config.errors import BadInput, nearest

SOURCES = {
    "mnist": "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "fashion_mnist": "https://github.com/zalandoresearch/fashion-mnist#get-the-data",
}
NAMES = ("digits", *SOURCES)
STEMS = {"train": "train", "test": "t10k"}  # of the idx files
# Unsigned bytes in three dimensions, and in one.
MAGIC = {"images": 0x803, "labels": 0x801}
SHAPE = (28, 28)
CLASSES = 10
DIGITS_TEST = 360  # of 1,797; which ones is fixed


class Images(NamedTuple):
    """Grey images and what is on them."""

    images: np.ndarray  # [N, H, W, 1] uint8
    labels: np.ndarray  # [N] int32, 0 to 9


def load(name: str, part: str, data_dir: str | None) -> Images:
    """Loads a part of a data set.

    Args:
      name: one of `NAMES`; `digits` are scikit-learn's, 1,797 of 8 x 8, which are
        always there.
      part: "train" or "test".
      data_dir: folder of `train-images-idx3-ubyte`, `t10k-labels-idx1-ubyte` and so on,
        `.gz` or not, or of `NAME.npz` with `x_train`, `y_train`, `x_test`, `y_test`; or
        the folder above it, where each set has a folder of its name.

    Raises:
      BadInput: there is no such set, its files are missing, or are not what they say.
    """
    if name not in NAMES:
        raise BadInput(f"problem: unknown {name!r}, {nearest(name, NAMES)}", "problem")
    if name == "digits":
        return _digits(part)
    folder, files = find_files(name, part, data_dir)
    if len(files) == 1:
        images, labels = _from_npz(files[0], part)
    else:
        images, labels = (
            read_idx(path, kind) for path, kind in zip(files, MAGIC, strict=True)
        )
    if problem := _problem(images, labels):
        raise BadInput(f"data_dir: {folder} has {problem}", "data_dir")
    return Images(images[..., None], labels.astype(np.int32))


def _problem(images: np.ndarray, labels: np.ndarray) -> str:
    """What is wrong with a data set, in words; "" where nothing is."""
    if not np.issubdtype(labels.dtype, np.integer):
        return f"labels of type {labels.dtype}, give whole numbers"
    shape_is_right = images.shape[1:] == SHAPE and images.dtype == np.uint8
    if not shape_is_right or len(images) != len(labels) or not len(images):
        kind = f"{images.dtype} images of shape {images.shape}, {len(labels)} labels"
        return f"{kind}, give 28 x 28 grey ones as bytes with a label each"
    if labels.min() < 0 or labels.max() >= CLASSES:
        limits = f"{labels.min()} to {labels.max()}"
        return f"labels from {limits}, give 0 to {CLASSES - 1}"
    return ""


def find_files(name: str, part: str, data_dir: str | None) -> tuple[Path, list[Path]]:
    """Finds the files of a part, without reading them.

    Args:
      name: of the set.
      part: "train" or "test".
      data_dir: as of `load`.

    Returns:
      The folder of the set, and its files: one npz, or images and labels.

    Raises:
      BadInput: they are not there.
    """
    if data_dir is None:
        raise BadInput(
            f"data_dir: {name} is not given, get its files from {SOURCES[name]} and "
            "give --data_dir with their folder",
            "data_dir",
        )
    try:
        folder = Path(data_dir).expanduser()
        folder = folder / name if (folder / name).is_dir() else folder
        if (npz := folder / f"{name}.npz").is_file():
            return folder, [npz]
    except (OSError, RuntimeError) as error:  # nobody's home, a name too long
        raise BadInput(
            f"data_dir: {data_dir[:80]} cannot be looked into: {error}", "data_dir"
        ) from None
    return folder, [_find_idx(folder, name, part, kind) for kind in MAGIC]


def _find_idx(folder: Path, name: str, part: str, kind: str) -> Path:
    stem = f"{STEMS[part]}-{kind}-idx{MAGIC[kind] & 0xFF}-ubyte"
    for path in (folder / stem, folder / f"{stem}.gz"):
        if path.is_file():
            return path
    raise BadInput(
        f"data_dir: {folder} has neither {stem} (.gz or not) nor {name}.npz, get them "
        f"from {SOURCES[name]}",
        "data_dir",
    )


def _digits(part: str) -> Images:
    from sklearn.datasets import load_digits

    digits: Any = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    rows = order[:DIGITS_TEST] if part == "test" else order[DIGITS_TEST:]
    images = np.round(digits.images[rows] * (255 / 16)).astype(np.uint8)
    return Images(images[..., None], digits.target[rows].astype(np.int32))


def _from_npz(path: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return arrays[f"x_{part}"], arrays[f"y_{part}"].ravel()
    except (
        OSError,
        EOFError,
        ValueError,
        KeyError,
        TypeError,
        RuntimeError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise BadInput(
            f"data_dir: {path} is no npz with x_{part} and y_{part}: {error}",
            "data_dir",
        ) from None


def read_idx(path: Path, kind: str) -> np.ndarray:
    """Reads an idx file of unsigned bytes.

    It has a magic number, sizes and bytes; all numbers are big-endian.

    Args:
      path: the file, gzipped if its name says so.
      kind: "images" or "labels".

    Raises:
      BadInput: it is something else, or cut off.
    """
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            raw = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(
            f"data_dir: {path} cannot be read: {error}", "data_dir"
        ) from None
    dimensions = MAGIC[kind] & 0xFF
    header = np.frombuffer(raw, ">u4", count=min(1 + dimensions, len(raw) // 4))
    if len(header) < 1 + dimensions or header[0] != MAGIC[kind]:
        first_bytes = raw[:4].hex() or "missing"
        raise BadInput(
            f"data_dir: {path} is no idx file of {kind} (its first bytes are "
            f"{first_bytes})",
            "data_dir",
        )
    shape = tuple(int(n) for n in header[1:])
    num_bytes = len(raw) - 4 * len(header)
    if num_bytes != math.prod(shape):
        raise BadInput(
            f"data_dir: {path} has {num_bytes} bytes where its header says "
            f"{' x '.join(map(str, shape))}",
            "data_dir",
        )
    return np.frombuffer(raw, np.uint8, offset=4 * len(header)).reshape(shape)
