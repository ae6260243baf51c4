"""The runs below a folder: how far each is, and what it came to."""

from pathlib import Path

from bgpbt.cli.parser import SubParser
from bgpbt.config.errors import BadInput


def main(tokens: list[str]) -> int:
    """Prints a line for each."""
    parser = SubParser("runs", __doc__)
    parser.add_argument(
        "folder", metavar="FOLDER", type=Path, nargs="?", help="default: runs"
    )
    folder = parser.parse_args(tokens).folder or Path("runs")
    if not folder.is_dir():
        raise BadInput(f"{folder} is no folder, give one with runs in it")
    from bgpbt.storage.listing import listed, runs_below
    from bgpbt.viz.run_table import run_table

    found = [listed(path) for path in runs_below(folder)]
    if not found:
        raise BadInput(f"{folder} holds no runs, give a folder with runs in it")
    print("\n".join(run_table(found, folder)))
    return 0
