"""The reported policy of a run as a file that needs neither bgpbt nor JAX."""

from pathlib import Path

from bgpbt.cli.parser import SubParser
from bgpbt.cli.start import start_jax
from bgpbt.config.errors import BadInput

ENDINGS = (".npz", ".onnx")


def main(tokens: list[str]) -> int:
    """Writes it, prints where."""
    parser = SubParser("export", __doc__)
    parser.add_run()
    parser.add_argument(
        "-O",
        "--output",
        metavar="FILE",
        type=Path,
        required=True,
        help=".npz: arrays, which bgpbt/numpy_policy.py reads; .onnx: a graph",
    )
    args = parser.parse_args(tokens)
    path = args.output
    if path.suffix not in ENDINGS:
        raise BadInput(f"{path}: give a name that ends in {' or '.join(ENDINGS)}")
    start_jax()
    import bgpbt
    from bgpbt.onnx_policy import check_onnx
    from bgpbt.storage.places import check_file

    check_file(path)
    if path.suffix == ".onnx":
        check_onnx()
    bgpbt.open_run(args.run_folder, run_files=args.run_files).export(path)
    print(path)
    return 0
