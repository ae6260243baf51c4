"""The best policy of a finished or unfinished run as a moving GIF."""

from pathlib import Path

from bgpbt.cli.parser import SubParser
from bgpbt.cli.start import start_jax


def main(tokens: list[str]) -> int:
    """Writes it, prints where."""
    parser = SubParser("render", __doc__)
    parser.add_run()
    parser.add_argument(
        "gif", metavar="FILE.gif", type=Path, nargs="?", help="none: in the run folder"
    )
    args = parser.parse_args(tokens)
    start_jax()
    import bgpbt
    from bgpbt.execution.memory import out_of_memory

    run = bgpbt.open_run(args.run_folder, run_files=args.run_files)
    with out_of_memory(lambda: "free some, or say JAX_PLATFORMS=cpu before"):
        print(run.render(args.gif))
    return 0
