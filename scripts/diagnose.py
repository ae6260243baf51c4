"""Did the decisions of runs help? Read from their records, nothing is trained.

Give run folders of one arm, one for each seed, such as those that `suite.py` leaves.
Whoever is replaced trains beside its donor, from the same weights: so a new
configuration is held against keeping the old one, pair by pair. Of a Gaussian-process
bandit it also shows how well predicted and realised gains agree within a round, and
how the region changed.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd

import bgpbt
from bgpbt.config.errors import BadInput
from bgpbt.intervals import interval
from scripts.benchmarks import flags
from scripts.benchmarks.figures import Figure, Result
from scripts.benchmarks.report import finish, machine
from scripts.studies.diagnosis import diagnose

# They move members between slots, or decide in some rounds only.
UNFIT = ("ipbt", "firepbt")


def parser() -> flags.Parser:
    """The flags."""
    result = flags.Parser(__doc__)
    result.add_argument("folders", nargs="+", type=Path, metavar="RUN_FOLDER")
    result.add_json()
    return result


def study(args: argparse.Namespace) -> list[Figure]:
    """Means over runs."""
    found = pd.DataFrame([_of_run(path) for path in args.folders])
    columns = {str(name): x.dropna().to_numpy() for name, x in found.items()}
    return [_figure(name, values) for name, values in columns.items() if len(values)]


def _of_run(path: Path) -> dict[str, float]:
    run = bgpbt.open_run(path)
    if run.options.strategy in UNFIT:
        raise BadInput(
            f"{path}: members of {run.options.strategy} do not stay with one decision "
            "a round, give runs of another strategy"
        )
    return diagnose(run.records, minimise=run.task.minimise)


def _figure(name: str, values: np.ndarray) -> Figure:
    note = f"{len(values)} runs"
    if len(values) > 1:
        low, high = interval(values)
        note = f"95 %: {low:.3f} to {high:.3f}, {note}"
    return Figure(name, float(values.mean()), "", note=note)


@flags.answered
def main(argv: list[str]) -> int:
    """Reads, prints."""
    args = parser().parse_args(argv)
    settings = {"folders": [str(path) for path in args.folders]}
    finish(Result("diagnose", settings, study(args), False, machine()), args)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
