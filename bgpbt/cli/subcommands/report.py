"""What runs did, as a page in HTML that opens without a network."""

from pathlib import Path

from bgpbt.cli.parser import SubParser
from bgpbt.cli.start import start_jax

SEVERAL = "comparison.html"


def main(tokens: list[str]) -> int:
    """Writes the page of a run, or of several that are compared; prints where."""
    parser = SubParser("report", __doc__)
    parser.add_run(several=True)
    parser.add_argument(
        "-O",
        "--output",
        metavar="FILE.html",
        type=Path,
        help=f"default: report.html in the run's folder, {SEVERAL} here for several",
    )
    args = parser.parse_args(tokens)
    start_jax()
    import bgpbt
    from bgpbt.pages.comparison_page import write_comparison_page
    from bgpbt.pages.run_page import write_run_page
    from bgpbt.storage.listing import listed
    from bgpbt.storage.places import check_file
    from bgpbt.storage.run_folder import ENVIRONMENT, PAGE
    from bgpbt.storage.store import RunStore

    folders = args.run_folder
    runs = [bgpbt.open_run(folder, run_files=args.run_files) for folder in folders]
    default = Path(SEVERAL) if len(runs) > 1 else folders[0] / PAGE
    path = args.output or default
    check_file(path)
    if len(runs) > 1:
        write_comparison_page(runs, path)
    else:
        (run,) = runs
        environment = RunStore(run.path).read_json(ENVIRONMENT)
        write_run_page(run, listed(run.path), environment, path)
    print(path)
    return 0
