"""What scripts take from a command line.

What cannot be used ends in one line before anything runs.
"""

import argparse
import sys
import textwrap
from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import Any

from bgpbt.cli import parser as command_parser
from bgpbt.config.errors import BadInput, CommandError
from bgpbt.config.options import Options

GO_ON = "give a file that this script wrote, or a new one"


def answered(main: Callable[[list[str]], int]) -> Callable[[list[str]], int]:
    """Makes a script answer what it cannot do with one line.

    Args:
      main: of the script.

    Returns:
      `main` with the exit codes of the command itself, such as 2 on bad input.
    """

    @wraps(main)
    def run(argv: list[str]) -> int:
        try:
            return main(argv)
        except CommandError as error:
            print(f"{Path(main.__code__.co_filename).name}: {error}", file=sys.stderr)
            return error.exit_code

    return run


class Parser(command_parser.Parser):
    """The flags of a script, whose docstring is its help; complaints are BadInput."""

    def __init__(self, description: str, **more: Any):
        super().__init__(
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            **more,
        )
        self.quick_values: dict[str, Any] = {}

    def add_quick(self, words: str = "small", **values: Any) -> None:
        """Adds `--quick`.

        Args:
          words: what is different, for the help.
          **values: of other flags, which cannot be given beside it.
        """
        self.quick_values = values
        self.add_argument(
            "--quick",
            action="store_true",
            help=f"{words}: shows that it works, judges nothing",
        )

    def add_names(self, flag: str, names: Iterable[str]) -> None:
        """Adds a flag that takes some of the names; default: all."""
        self.add_argument(
            flag,
            nargs="+",
            choices=names,
            default=list(names),
            metavar="NAME",
            help="default: all",
        )

    def add_seeds(self, default: str, words: str) -> None:
        """Adds `--seeds`, several ones with commas between them."""
        self.add_argument(
            "--seeds", type=seeds, default=default, metavar="0,1,2", help=words
        )

    def add_folders(self, name: str, each: str) -> None:
        """Adds `--results` and `--save_dir`, where a study's files and runs lie.

        Args:
          name: of both folders.
          each: what leaves a file of results.
        """
        self.add_argument(
            "--results",
            type=folder,
            default=f"docs/{name}",
            metavar="FOLDER",
            help=f"results of every {each}, read and added to; default docs/{name}",
        )
        self.add_argument(
            "--save_dir",
            default=f"runs/{name}",
            metavar="FOLDER",
            help=f"where the runs lie; default runs/{name}",
        )

    def add_json(self, words: str = "the figures") -> None:
        """Adds `--json`; `words`: what is written there."""
        self.add_argument(
            "--json", type=output, metavar="FILE", help=f"also write {words} there"
        )

    def add_figure(self, words: str) -> None:
        """Adds `--figure`; `words`: what is drawn."""
        self.add_argument("--figure", type=picture, metavar="FILE", help=words)

    def add_results(self, columns: tuple[str, ...], words: str) -> None:
        """Adds `--csv`, a table of these columns that is read and extended."""
        self.add_argument(
            "--csv",
            type=table(*columns),
            metavar="FILE",
            help=f"{words} so far, read and extended",
        )

    def parse_args(self, args=None, namespace=None) -> argparse.Namespace:
        """The flags. Raises BadInput."""
        values = super().parse_args(args, namespace)
        if getattr(values, "quick", False):
            empty = argparse.Namespace(**dict.fromkeys(self.quick_values))
            without_defaults = super().parse_args(args, empty)
            for name in self.quick_values:
                if getattr(without_defaults, name) is not None:
                    self.error(f"--quick has its own {name}, leave --{name} out")
            vars(values).update(self.quick_values)
        return values


def setting(name: str) -> Callable[[str], Any]:
    """An argparse type: what the setting `name` of a run accepts.

    What it refuses is refused in its words.
    """

    def read(text: str) -> Any:
        try:
            return getattr(Options(**{name: text}), name)
        except BadInput as error:
            problem = str(error).removeprefix(f"{name}: ")
            raise argparse.ArgumentTypeError(problem) from None

    return read


seeds = setting("seed")  # several: 0,1,2
count = setting("report_episodes")  # at least 1


def seed(text: str) -> int:
    """One seed."""
    values = seeds(text)
    if len(values) > 1:
        raise argparse.ArgumentTypeError(f"{text} are {len(values)} seeds, give one")
    return values[0]


class Span(argparse.Action):
    """`FIRST END`: the seeds from FIRST to before END, as a range."""

    def __init__(self, option_strings: list[str], dest: str, default: range):
        super().__init__(
            option_strings,
            dest,
            nargs=2,
            type=seed,
            default=default,
            metavar=("FIRST", "END"),
            help=f"default {default.start} {default.stop}",
        )

    def __call__(self, parser, namespace, values, option_string=None):
        first, end = values
        if first >= end:
            raise argparse.ArgumentError(
                self, f"none from {first} to before {end}, give a larger END"
            )
        setattr(namespace, self.dest, range(first, end))


def output(text: str) -> Path:
    """A file that will be written, in a folder that exists.

    What took hours must not fail at the last line.
    """
    path = Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is a folder")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(
            f"{text} is in {path.parent}, which is no folder"
        )
    return path


def folder(text: str) -> Path:
    """A folder that is there, or can be made where it is asked for."""
    path = Path(text)
    if path.exists() and not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is no folder")
    if not path.exists() and not path.parent.is_dir():
        raise argparse.ArgumentTypeError(
            f"{text} is in {path.parent}, which is no folder"
        )
    return path


def picture(text: str) -> Path:
    """A file that a figure can be drawn to."""
    # Imported here because not every script draws.
    from matplotlib.backend_bases import FigureCanvasBase

    supported = FigureCanvasBase.get_supported_filetypes()
    known = [kind for kind in supported if kind != "pgf"]  # `pgf` needs LaTeX
    path = output(text)
    if path.suffix.lower().removeprefix(".") not in known:
        raise argparse.ArgumentTypeError(
            f"{text} is no picture, give a name that ends in .png, "
            f"or in {', '.join(known)}"
        )
    return path


def table(*columns: str) -> Callable[[str], Path]:
    """An argparse type: a CSV file with these columns to go on with, or a new one."""

    def read(text: str) -> Path:
        # Imported here because not every script has tables.
        import pandas as pd

        path = output(text)
        try:
            present = list(pd.read_csv(path)) if path.exists() else columns
        except (OSError, ValueError) as error:  # pandas' own errors are ValueErrors
            raise argparse.ArgumentTypeError(
                f"{text} cannot be read as a table ({str(error).strip()}), {GO_ON}"
            ) from None
        if set(present) != set(columns):
            others = textwrap.shorten(", ".join(present), 100, placeholder=" ...")
            raise argparse.ArgumentTypeError(
                f"{text} has other columns ({others}) than {', '.join(columns)}; "
                f"{GO_ON}"
            )
        return path

    return read
