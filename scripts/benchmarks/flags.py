"""What scripts take from a command line: what cannot be used ends in one line before anything runs."""

import argparse
import sys
import textwrap
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import main as command_line
from bgpbt.options import BadInput, Options, PopulationLost


def answered(main: Callable[[list[str]], int]) -> Callable[[list[str]], int]:
    """A script's `main` that ends in one line: with exit code 2 on bad input, with 3 where all members are lost at once."""

    @wraps(main)
    def run(argv: list[str]) -> int:
        try:
            return main(argv)
        except (BadInput, PopulationLost) as error:
            print(f"{Path(main.__code__.co_filename).name}: {error}", file=sys.stderr)
            return 2 if isinstance(error, BadInput) else 3

    return run


class Parser(command_line.Parser):
    """Of a script, whose docstring is its help; complaints are BadInput."""

    def __init__(self, description: str, **more: Any):
        shown = argparse.RawDescriptionHelpFormatter
        super().__init__(description=description, formatter_class=shown, allow_abbrev=False, **more)
        self.own: dict[str, Any] = {}  # of --quick

    def add_quick(self, words: str = "small", **own: Any) -> None:
        """`--quick`, with values of its `own` for some flags, which cannot be given beside it."""
        self.own = own
        self.add_argument("--quick", action="store_true", help=f"{words}: shows that it works, judges nothing")

    def parse_args(self, args=None, namespace=None) -> argparse.Namespace:
        """The flags. Raises BadInput."""
        found = super().parse_args(args, namespace)
        if getattr(found, "quick", False):
            given = super().parse_args(args, argparse.Namespace(**dict.fromkeys(self.own)))  # without defaults
            if both := [name for name in self.own if getattr(given, name) is not None]:
                self.error(f"--quick has its own {both[0]}, leave --{both[0]} out")
            vars(found).update(self.own)
        return found


def setting(name: str) -> Callable[[str], Any]:
    """An argparse type: what the setting `name` of a run accepts, refused in its words."""

    def read(text: str) -> Any:
        try:
            return getattr(Options(**{name: text}), name)
        except BadInput as error:
            raise argparse.ArgumentTypeError(str(error).removeprefix(f"{name}: ")) from None

    return read


seeds = setting("seed")  # several: 0,1,2
count = setting("report_episodes")  # at least 1


def seed(text: str) -> int:
    """One seed."""
    found = seeds(text)
    if len(found) > 1:
        raise argparse.ArgumentTypeError(f"{text} are {len(found)} seeds, give one")
    return found[0]


class Span(argparse.Action):
    """`FIRST END`: the seeds from FIRST to before END, as a range."""

    def __init__(self, option_strings: list[str], dest: str, default: range):
        words = f"default {default.start} {default.stop}"
        super().__init__(option_strings, dest, nargs=2, type=seed, default=default, metavar=("FIRST", "END"), help=words)

    def __call__(self, parser, namespace, values, option_string=None):
        first, end = values
        if first >= end:
            raise argparse.ArgumentError(self, f"none from {first} to before {end}, give a larger END")
        setattr(namespace, self.dest, range(first, end))


def output(text: str) -> Path:
    """A file that will be written, in a folder that is there: what took hours must not fail at the last line."""
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        why = "is a folder" if path.is_dir() else f"is in {path.parent}, which is no folder"
        raise argparse.ArgumentTypeError(f"{text} {why}")
    return path


def picture(text: str) -> Path:
    """A file that a figure can be drawn to."""
    from matplotlib.backend_bases import FigureCanvasBase  # here: not every script draws

    known = [kind for kind in FigureCanvasBase.get_supported_filetypes() if kind != "pgf"]  # which needs LaTeX
    path = output(text)
    if path.suffix.lower().removeprefix(".") not in known:
        raise argparse.ArgumentTypeError(f"{text} is no picture, give a name that ends in .png, or in {', '.join(known)}")
    return path


def table(*columns: str) -> Callable[[str], Path]:
    """An argparse type: a CSV file to go on with, which has these columns, or a new one."""

    def read(text: str) -> Path:
        import pandas as pd  # here: not every script has tables

        path, right = output(text), "give a file that this script wrote, or a new one"
        try:
            has = list(pd.read_csv(path)) if path.exists() else columns
        except (OSError, ValueError) as error:  # pandas' own errors are ValueErrors
            raise argparse.ArgumentTypeError(f"{text} cannot be read as a table ({str(error).strip()}), {right}") from None
        if set(has) != set(columns):
            others = textwrap.shorten(", ".join(has), 100, placeholder=" ...")
            raise argparse.ArgumentTypeError(f"{text} has other columns ({others}) than {', '.join(columns)}; {right}")
        return path

    return read
