"""Runs for pages: of the toy, and records that nobody has trained."""

import json
import re

import numpy as np
import pandas as pd
from toy_runs import run_options

from bgpbt.config.options import Options

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


def row(round_: int, member: int, **changes) -> dict:
    """A row of the records of a run with two blocks and one hyperparameter."""
    words = {
        "round": round_,
        "member": member,
        "parent": member,
        "parent_value": member,
    }
    words |= {
        "phase": "training",
        "source": "previous",
        "generation": 0,
        "why": "start",
    }
    words |= {"fitness": 1.0, "timesteps": 10 * round_, "age": 10 * round_}
    return words | {"rate": 0.25, "seconds": 1.5} | changes


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
