"""Trains every chain of layers once, so that designers can be studied in seconds.

`python scripts/reward_table.py --data_dir FOLDER --table FILE.npz` trains all chains of
at most four layers on five data sets, at 16 x 16 pixels. A cell is some hundred chains
of one data set. It leaves a database of experiments in --results, and is not trained
again. The table is written once all cells are there.

Several processes may train different data sets at once.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import jax
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bgpbt.cli.command import prepare_jax
from bgpbt.config.errors import BadInput
from bgpbt.files import write_json
from bgpbt.networks.structure import digest
from bgpbt.tasks.nas import children, database, table
from bgpbt.tasks.nas.database import Experiment
from bgpbt.tasks.nas.experiments import BEFORE, aligned, experiment_of
from bgpbt.tasks.nas.profile import Profile
from scripts.benchmarks import flags
from scripts.benchmarks.cases import small_options
from scripts.benchmarks.report import say

SETS = ("omniglot", "quickdraw", "fashion_mnist", "mnist", "cifar10")
PROFILE = Profile(
    side=16,
    depth=4,
    filters=8,
    dense=64,
    max_images=3000,
    epochs=8,
    batch_size=64,
    learning_rate=2e-3,
)
QUICK = Profile(
    side=8, depth=2, filters=2, dense=4, max_images=200, epochs=1, batch_size=64
)
CELL = 300  # chains


def parser() -> flags.Parser:
    """The flags."""
    result = flags.Parser(__doc__)
    result.add_names("--sets", SETS)
    result.add_argument(
        "--data_dir", metavar="FOLDER", help="of the data sets, as --data_dir of a run"
    )
    result.add_argument(
        "--results",
        type=flags.folder,
        default="docs/nas_table",
        metavar="FOLDER",
        help="databases of the cells; default docs/nas_table",
    )
    result.add_argument(
        "--table", type=flags.output, metavar="FILE.npz", help="the table"
    )
    result.add_quick("small, on scikit-learn's digits", sets=["digits"])
    return result


def buildable(profile: Profile) -> list[int]:
    """The numbers of all chains that can be built."""
    return np.flatnonzero(table.buildable(profile.side, profile.depth)).tolist()


def rows_of(profile: Profile, number: int) -> np.ndarray:
    """A chain's design in the order of its layers, `[d, 5]`."""
    rows = np.zeros((profile.depth, 5), np.int32)
    for i, (kind, kernel) in enumerate(table.layers_of(number)):
        rows[i] = i + 1, kind, kernel, i, 0
    return rows


def cells(profile: Profile, results: Path, name: str) -> dict[Path, list[int]]:
    """The chains of each cell of a data set, by the file that it leaves."""
    numbers = buildable(profile)
    starts = range(0, len(numbers), CELL)
    return {
        results / f"{name}_{i}.csv": numbers[start : start + CELL]
        for i, start in enumerate(starts)
    }


def experiments(
    profile: Profile, name: str, data_dir: str | None, numbers: list[int]
) -> Iterator[Experiment]:
    """Trains chains of a data set, one after the other."""
    data = profile.load(name, data_dir)
    sizes, child_data = profile.sizes(data), profile.child_data(data)

    @jax.jit
    def accuracy(data, rows):
        return children.accuracy(sizes, profile.training, data, rows)

    for number in numbers:
        rows = rows_of(profile, number)
        began = time.monotonic()
        found = float(accuracy(child_data, rows))
        now = datetime.now().replace(microsecond=0)
        yield experiment_of(rows, found, now, round(time.monotonic() - began))


def write_table(
    profile: Profile, results: Path, names: list[str], path: Path
) -> str | None:
    """Writes the table, or says what is missing for it."""
    arrays = {}
    for name in names:
        worths = np.full(table.chains(profile.depth), np.nan, np.float32)
        for file, numbers in cells(profile, results, name).items():
            if not file.exists():
                return f"no table yet: {file} is missing"
            known = database.read(file, name, profile.form)
            for number in numbers:
                key = digest(aligned(rows_of(profile, number)))
                if key not in known:
                    raise BadInput(f"{file} lacks chain {number}, remove it")
                worths[number] = known[key].accuracy
        arrays[name] = worths
    table.write_all(path, arrays, profile._asdict())
    return None


def _check_profile(profile: Profile, results: Path) -> None:
    """Refuses cells of another profile."""
    file = results / "profile.json"
    if not file.exists():
        results.mkdir(exist_ok=True)
        write_json(file, profile._asdict())
    elif BEFORE | json.loads(file.read_text()) != profile._asdict():
        raise BadInput(f"{results} has cells of other settings, give another --results")


def train_missing(args: argparse.Namespace, profile: Profile) -> None:
    """Trains the cells that are not there yet."""
    for name in args.sets:
        for file, numbers in cells(profile, args.results, name).items():
            if not file.exists():
                found = list(experiments(profile, name, args.data_dir, numbers))
                database.write_all(file, name, found)
                say(f"{file}: {sum(e.running_time for e in found)} s")


@flags.answered
def main(argv: list[str]) -> int:
    """Trains what is missing, and writes the table."""
    args = parser().parse_args(argv)
    prepare_jax(small_options(True))
    profile = QUICK if args.quick else PROFILE
    _check_profile(profile, args.results)
    train_missing(args, profile)
    if args.table:
        missing = write_table(profile, args.results, args.sets, args.table)
        print(missing or f"{args.table} written")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
