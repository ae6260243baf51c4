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
from scripts.benchmarks import flags
from scripts.benchmarks.figures import Figure, Result
from scripts.benchmarks.intervals import interval
from scripts.benchmarks.report import finish, machine
from scripts.studies.diagnosis import diagnose


def parser() -> flags.Parser:
    """The flags."""
    result = flags.Parser(__doc__)
    result.add_argument("folders", nargs="+", type=Path, metavar="RUN_FOLDER")
    result.add_json()
    return result


def study(args: argparse.Namespace) -> list[Figure]:
    """Means over runs."""
    found = [diagnose(bgpbt.open_run(path).records) for path in args.folders]
    figures = []
    for name, column in pd.DataFrame(found).items():
        values = column.dropna().to_numpy()
        low, high = interval(values) if len(values) else (np.nan, np.nan)
        note = f"95 %: {low:.3f} to {high:.3f}, {len(values)} runs"
        figures.append(Figure(str(name), float(values.mean()), "", note=note))
    return figures


@flags.answered
def main(argv: list[str]) -> int:
    """Reads, prints."""
    args = parser().parse_args(argv)
    settings = {"folders": [str(path) for path in args.folders]}
    finish(Result("diagnose", settings, study(args), False, machine()), args)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
