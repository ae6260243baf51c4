"""The best policy of a finished or unfinished run, moving: a GIF, or a page."""

from pathlib import Path

from bgpbt.cli.parser import SubParser
from bgpbt.cli.start import start_jax
from bgpbt.config.errors import BadInput

FORMATS = ("gif", "html")


def main(tokens: list[str]) -> int:
    """Writes it, prints where."""
    parser = SubParser("render", __doc__)
    parser.add_run()
    parser.add_argument(
        "file", metavar="FILE", type=Path, nargs="?", help="none: in the run folder"
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        help="gif: a moving picture; html: an episode to play, orbit and scrub, which "
        "opens without a network; default: what FILE ends in, else gif",
    )
    args = parser.parse_args(tokens)
    kind = args.format or _ending(args.file)
    start_jax()
    import bgpbt
    from bgpbt.execution.memory import out_of_memory

    run = bgpbt.open_run(args.run_folder, run_files=args.run_files)
    with out_of_memory(lambda: "free some, or say JAX_PLATFORMS=cpu before"):
        if kind == "gif":
            print(run.render(args.file))
            return 0
        from bgpbt.pages.viewer import write_run_viewer
        from bgpbt.storage.places import check_file
        from bgpbt.storage.run_folder import VIEWER

        path = args.file or args.run_folder / VIEWER
        check_file(path)
        write_run_viewer(run, path)
    print(path)
    return 0


def _ending(file: Path | None) -> str:
    """The format that a file's name says. Raises BadInput."""
    ending = file.suffix.removeprefix(".").lower() if file else "gif"
    if ending not in FORMATS:
        raise BadInput(f"{file}: give a name that ends in .gif or .html, or --format")
    return ending
