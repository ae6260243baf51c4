"""What the figures of a run share: colours, axes, legend and files.

Figures are built without pyplot, so drawing neither needs a screen nor touches the
state of a notebook. The colours also differ in lightness and line width, so that they
are told apart with any kind of colour vision and in grey print.
"""

import io
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FixedLocator, MaxNLocator

from bgpbt.files import write

WINNER = "#7b1fa2"
BEST = "#f5a700"
MEDIAN = "#222222"
MEMBER = "#9aa0a6"
RANGE = "#d9dce0"  # the ends of a hyperparameter's range
TEXT = MEDIAN
SMALL = 8.5  # points


def style_axes(axes: Axes, rows: pd.DataFrame) -> None:
    """Sets up the axis of timesteps and marks the generations on it.

    Args:
      axes: whose horizontal axis counts timesteps.
      rows: tidy records.
    """
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.xaxis.set_major_locator(
        MaxNLocator(5) if rows["timesteps"].any() else FixedLocator([0])
    )
    _mark_generations(axes, rows)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MEMBER)
    axes.tick_params(color=MEMBER, labelcolor=TEXT, labelsize=SMALL)


def _mark_generations(axes: Axes, rows: pd.DataFrame) -> None:
    ends = rows.groupby("generation")["timesteps"].max()
    style = {"color": MEMBER, "lw": 0.8, "ls": "--", "zorder": 0.5}
    for index, time in enumerate(ends.iloc[:-1]):
        axes.axvline(time, **style, label=_only_first("next generation", index))
    students = rows[rows["phase"] == "distillation"]
    style = {"color": WINNER, "alpha": 0.08, "lw": 0, "zorder": 0.4}
    distilled = students.groupby("generation")["timesteps"].max()
    for index, generation in enumerate(distilled.index.tolist()):
        begin, end = ends[generation - 1], distilled[generation]
        axes.axvspan(begin, end, **style, label=_only_first("distillation", index))


def _only_first(label: str, index: int) -> str:
    """A legend shows a label once: it skips those that begin with an underscore."""
    return "_" * index + label


def add_title_and_legend(
    figure: Figure, title: str, columns: int | None = None
) -> None:
    """Adds a title at the top and one legend at the bottom.

    Args:
      figure: with a constrained layout. The legend shows every label of its axes once.
      title: in bold letters.
      columns: of the legend; None: as many as fit into a narrow figure.
    """
    handle_of = {}
    for axes in figure.axes:
        handles, labels = axes.get_legend_handles_labels()
        for handle, label in zip(handles, labels, strict=True):
            handle_of.setdefault(label, handle)
    figure.legend(
        handle_of.values(),
        handle_of.keys(),
        loc="outside lower center",
        ncols=columns or (4 if len(handle_of) <= 8 else 5),
        frameon=False,
        fontsize=SMALL,
        columnspacing=1.4,
    )
    add_title(figure, title)


def add_title(figure: Figure, title: str) -> None:
    """Adds a title at the top, in bold letters."""
    figure.suptitle(
        title,
        x=0.01,
        ha="left",
        fontsize=12,
        fontweight="bold",
        color=TEXT,
        wrap=True,
    )


def write_png(figure: Figure, path: str | Path) -> None:
    """Writes a figure beside `path` and renames it: nobody ever reads half a file.

    Args:
      figure: what to write.
      path: of the file; missing folders are made.

    Raises:
      NotSaved: the disk is full, or cannot be written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    encoded = io.BytesIO()
    figure.savefig(encoded, format="png", dpi=200)
    write(path, encoded.getvalue())
