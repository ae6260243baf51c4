"""Writes frames as a GIF."""

import io
import math
from pathlib import Path

import numpy as np
from PIL import Image

from bgpbt.files import write

SHORTEST_FRAME = 0.02  # seconds
COLOURS = 255
SAMPLED_FRAMES = 12


def save_gif(frames: np.ndarray, path: str | Path, *, seconds_per_frame: float) -> None:
    """Writes frames as an endlessly looping GIF.

    All frames share one palette, so that still parts do not flicker. A GIF counts
    hundredths of a second: later frames make good for the rounding of earlier ones.
    Identical neighbours are stored once, for longer. The file appears whole or not at
    all.

    Args:
      frames: shape `[T, H, W, 3]`, uint8.
      path: of the file, in a folder that exists.
      seconds_per_frame: at least 0.02. Viewers would slow faster frames down to 0.1 s:
        pass every second one instead.

    Raises:
      ValueError: there are no frames, or they are too short.
    """
    frames = np.asarray(frames)
    _check_frames(frames, seconds_per_frame)
    palette = _palette(frames)
    images = [
        Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)
        for frame in frames
    ]
    ends = np.round(np.arange(len(frames) + 1) * seconds_per_frame * 100).astype(int)
    encoded = io.BytesIO()
    images[0].save(
        encoded,
        "GIF",
        save_all=True,
        append_images=images[1:],
        duration=(10 * np.diff(ends)).tolist(),
        loop=0,
    )
    write(Path(path), encoded.getvalue())


def _check_frames(frames: np.ndarray, seconds_per_frame: float) -> None:
    fits = frames.dtype == np.uint8 and frames.ndim == 4 and frames.shape[3] == 3
    if not fits or not len(frames):
        raise ValueError(
            f"expected uint8 frames [T, H, W, 3], got {frames.dtype} {frames.shape}"
        )
    if seconds_per_frame < SHORTEST_FRAME - 1e-6:
        raise ValueError(
            f"{seconds_per_frame} s is too short for a GIF frame: the least is"
            f" {SHORTEST_FRAME} s"
        )


def _palette(frames: np.ndarray) -> Image.Image:
    """Chooses colours for all frames, from a few of them."""
    sampled = frames[:: math.ceil(len(frames) / SAMPLED_FRAMES)]
    colours, counts = np.unique(sampled.reshape(-1, 3), axis=0, return_counts=True)
    # Floor and sky would leave hardly a colour to a small robot, if each colour counted
    # as often as it occurs.
    sample = np.repeat(colours, np.ceil(np.sqrt(counts)).astype(int), axis=0)
    method = Image.Quantize.MEDIANCUT
    return Image.fromarray(sample[:, None]).quantize(COLOURS, method, kmeans=3)
