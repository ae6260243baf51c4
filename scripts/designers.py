"""Do agents that design networks learn to, and does what they learn carry over?

On a table of rewards (`reward_table.py`), so that every share of the best is exact. A
cell is an arm on a data set, all seeds; it leaves a small file in --results and is not
made again. Agents are trained on three data sets one after the other, and judged,
frozen, on two that they have not seen. docs/experiments.md has the protocol.
"""

import argparse
import json
import sys
from itertools import combinations
from pathlib import Path

import jax
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import bgpbt
from bgpbt.cli.command import prepare_jax
from bgpbt.config.errors import BadInput
from bgpbt.config.options import Options
from bgpbt.files import write_json
from bgpbt.tasks.nas import table
from scripts.benchmarks import flags
from scripts.benchmarks.figures import Figure, Result
from scripts.benchmarks.intervals import interval
from scripts.benchmarks.report import finish, machine, say
from scripts.studies.designer_arms import ARMS, ROUND, Cell, cells, options_of
from scripts.studies.designer_scores import scores_of

SCORES = ("start", "end", "report", "found")
TABLE = "configs/nas/rewards.npz"


def parser() -> flags.Parser:
    """The flags."""
    result = flags.Parser(__doc__)
    result.add_names("--arms", ARMS)
    result.add_seeds("0,1,2,3,4,5,6,7,8,9", "default 0 to 9")
    result.add_argument(
        "--table", default=TABLE, metavar="FILE.npz", help=f"default {TABLE}"
    )
    result.add_folders("designers", "cell")
    result.add_json()
    result.add_quick("small: the first two trials, short", seeds=(9000, 9001))
    return result


def chosen(args: argparse.Namespace) -> list[Cell]:
    """The cells that are asked for."""
    found = cells()
    if args.quick:
        names = table.names(Path(args.table))
        found = cells(((names[0], 40), (names[-1], 40)), ((names[-1], 20),))
    return [cell for cell in found if cell.arm in args.arms]


def _options(cell: Cell, args: argparse.Namespace) -> Options:
    save_dir = str(Path(args.save_dir) / ("quick" if args.quick else "all"))
    round_ = 20 if args.quick else ROUND
    return options_of(cell, args.seeds, args.table, save_dir, round_)


def play(cell: Cell, args: argparse.Namespace) -> dict:
    """Runs a cell. Returns the scores of each seed."""
    options = _options(cell, args)
    if cell.before is not None:
        (folder,) = (Path(options.save_dir) / cell.before.name).iterdir()
        origin = {"init_from": str(folder), "init_moments": True}
        options = options.model_copy(update=origin)
    known = table.read(Path(args.table), cell.data_set)
    jax.clear_caches()  # Linux gives a process so many memory maps and no more
    results = bgpbt.run_seeds(options)
    return {
        str(seed): scores_of(result, known)
        for seed, result in zip(args.seeds, results, strict=True)
    }


def result_of(cell: Cell, args: argparse.Namespace) -> dict:
    """A cell's scores, from its file or made now."""
    folder = Path(args.results) / ("quick" if args.quick else "")
    file = folder / f"{cell.name}.json"
    asked = cell._asdict() | {"seeds": list(args.seeds)}
    if file.exists():
        try:
            there = json.loads(file.read_text())
            made, scores = there["cell"], there["scores"]
        except (OSError, ValueError, TypeError, KeyError):
            raise BadInput(f"{file} holds no such result, {flags.GO_ON}") from None
        if made != asked:
            raise BadInput(f"{file} is of another cell, give another --results")
        return scores
    say(f"{cell.arm} on {cell.data_set}")
    scores = play(cell, args)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(file, {"cell": asked, "scores": scores, "machine": machine()})
    return scores


def judge(results: dict[Cell, dict]) -> list[Figure]:
    """Means over seeds, and paired differences of all arms on a data set."""
    figures = []
    for name in dict.fromkeys(cell.problem for cell in results):
        own = {c.arm: r for c, r in results.items() if c.problem == name}
        for score in SCORES:
            values = {
                arm: np.array([seed[score] for seed in scores.values()])
                for arm, scores in own.items()
            }
            for one, other in combinations(dict(values), 2):
                values[f"{one} - {other}"] = values[one] - values[other]
            figures += [
                _figure(f"{name}, {score}: {words}", x) for words, x in values.items()
            ]
    return figures


def _figure(name: str, values: np.ndarray) -> Figure:
    low, high = interval(values)
    note = f"95 %: {low:.3f} to {high:.3f}"
    return Figure(name, float(values.mean()), "", note=note, repeats=tuple(values))


@flags.answered
def main(argv: list[str]) -> int:
    """Runs what is missing, prints, judges."""
    args = parser().parse_args(argv)
    asked = chosen(args)
    prepare_jax(_options(asked[0], args))
    results = {cell: result_of(cell, args) for cell in asked}
    settings = {"arms": args.arms, "seeds": list(args.seeds), "table": args.table}
    finish(Result("designers", settings, judge(results), args.quick, machine()), args)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
