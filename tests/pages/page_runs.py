"""Runs for pages: of the toy, and records that nobody has trained."""

import json
import re

import numpy as np
import pandas as pd
from made_records import row
from toy_runs import run_options

from bgpbt.config.options import Options
from bgpbt.film import Film
from bgpbt.tasks.ppo.episodes import Filmed
from bgpbt.viz.render.scene import BOX, CAPSULE, SPHERE, Scene

TOY = {"task": "toy", "t_ready": 4, "max_timesteps": 24, "n_init": 4}


def toy_options(folder, **changes) -> Options:
    """Six rounds of four members of the toy."""
    return run_options(folder, **(TOY | changes))


def data_in(path) -> dict:
    """The numbers in a page."""
    (text,) = re.findall(
        r'<script type="application/json" id="data">(.*?)</script>', path.read_text()
    )
    return json.loads(text)


def fitted(rounds: int, *lengthscales) -> pd.DataFrame:
    """Records of a bandit with three dimensions, given its lengthscales by round."""
    names = ["a", "b", "context"]
    return pd.DataFrame(
        [
            row(i, 0)
            | {
                f"gp_lengthscale_{n}": x[i]
                for n, x in zip(names, lengthscales, strict=True)
            }
            for i in range(rounds)
        ]
    ).replace({None: np.nan})


def ball_and_box() -> Scene:
    """A ball, a capsule on it, and a box of the world."""
    return Scene(
        kind=np.array([SPHERE, CAPSULE, BOX], np.int32),
        size=np.array([[0.5, 0, 0], [0.1, 0.4, 0], [0.2, 0.3, 0.1]], np.float32),
        link=np.array([0, 0, -1], np.int32),
        position=np.array([[0, 0, 0], [0, 0, 0.8], [1, 0, 0.1]], np.float32),
        rotation=np.tile(np.array([1, 0, 0, 0], np.float32), (3, 1)),
        colour=np.array([[0.8, 0.2, 0.1], [0, 0.3, 0.5], [0.4, 0.4, 0.4]], np.float32),
        floor=0.0,
        focus=0.6,
        elevation=0.4,
        distance=4.0,
    )


def rolling(frames: int, over: int | None = None) -> Film:
    """The ball goes along x, 2 m a second, with a reward of 1 a frame.

    Args:
      frames: how many.
      over: behind which frame an episode ends.
    """
    position = np.zeros((frames, 1, 3), np.float32)
    position[:, 0, 0] = np.arange(frames) / 15
    position[:, 0, 2] = 0.5
    rotation = np.tile(np.array([1, 0, 0, 0], np.float32), (frames, 1, 1))
    ended = np.arange(frames) == over
    return Film(Filmed((position, rotation), np.ones(frames), ended), 1 / 30)
