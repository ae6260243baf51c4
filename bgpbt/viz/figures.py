"""The figures of a run that its task names, beside learning curve and schedule."""

import warnings
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from bgpbt.config.errors import BadInput
from bgpbt.config.lookup import resolve
from bgpbt.registry import FIGURES
from bgpbt.viz.style import write_png


class DrawnRun(NamedTuple):
    """What every figure knows of its run."""

    records: pd.DataFrame  # one row per round and member
    folder: Path
    title: str
    winner: tuple[int, int] | None  # round and member; None: no round was trained
    minimise: bool = False  # smaller fitness is better


def draw_figures(run: DrawnRun, figures: dict[str, dict[str, Any]]) -> list[Path]:
    """Draws what a task names; what cannot be drawn is left out, with a warning.

    Args:
      run: what is drawn.
      figures: as `Task.figures`.

    Returns:
      The paths of the pictures.

    Raises:
      NotSaved: the disk is full, or cannot be written.
    """
    paths = []
    for name, of_task in figures.items():
        path = run.folder / f"{name}.png"
        try:
            figure = resolve("figures", name, FIGURES)(run, **of_task)
        except BadInput as error:
            warnings.warn(f"{path} is not drawn: {error}", stacklevel=3)
            continue
        if figure is not None:
            write_png(figure, path)
            paths.append(path)
    return paths
