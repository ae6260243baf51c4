"""Do agents that design networks learn to, and does what they learn carry over?

On a table of rewards (`reward_table.py`), so that every share of the best is exact. A
cell is an arm on a data set, all seeds; it leaves a small file in --results and is not
made again. Agents are trained on three data sets one after the other, and judged,
frozen, on two that they have not seen. docs/experiments.md has the protocol.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import bgpbt
from bgpbt.cli.command import prepare_jax
from bgpbt.config.errors import BadInput
from bgpbt.config.options import Options
from bgpbt.files import write_json
from bgpbt.intervals import interval
from bgpbt.tasks.nas import table
from scripts.benchmarks import flags
from scripts.benchmarks.figures import Figure, Result
from scripts.benchmarks.report import finish, machine, say
from scripts.studies.designer_arms import (
    ARMS,
    TRIALS,
    UNSEEN,
    Cell,
    cells,
    options_of,
    settings_of,
)
from scripts.studies.designer_figures import draw
from scripts.studies.designer_scores import SCORES, contrasts, scores_of

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
    result.add_figure("draw curves and reports there")
    result.add_quick("small: the first two trials, short", seeds=(9000, 9001))
    return result


def lengths(args: argparse.Namespace) -> tuple[tuple, tuple]:
    """Data sets and decisions of the trials, and of the frozen evaluations."""
    if not args.quick:
        return TRIALS, UNSEEN
    names = table.names(Path(args.table))
    return ((names[0], 40), (names[-1], 40)), ((names[-1], 40),)


def chosen(args: argparse.Namespace) -> list[Cell]:
    """The cells that are asked for."""
    return [cell for cell in cells(*lengths(args)) if cell.arm in args.arms]


def digest(path: Path) -> str:
    """SHA-256 of what a table says: results of another one are others."""
    worths = [table.read(path, name).worths for name in table.names(path)]
    return hashlib.sha256(np.concatenate(worths).tobytes()).hexdigest()


def play(cell: Cell, args: argparse.Namespace) -> dict:
    """Runs a cell. Returns the scores of each seed."""
    origin = None
    if cell.before is not None:
        above = Path(_options(cell, args).save_dir) / cell.before.name
        found = list(above.glob("*/"))
        if len(found) != 1:
            raise BadInput(
                f"{above} holds no runs, with which those of {cell.name} begin; "
                "remove its file from --results, so that they are made again"
            )
        origin = str(found[0])
    known = table.read(Path(args.table), cell.data_set)
    jax.clear_caches()  # Linux gives a process so many memory maps and no more
    results = bgpbt.run_seeds(_options(cell, args, origin))
    return {
        str(seed): scores_of(result, known)
        for seed, result in zip(args.seeds, results, strict=True)
    }


def _options(
    cell: Cell, args: argparse.Namespace, origin: str | None = None
) -> Options:
    place = Path(args.save_dir) / ("quick" if args.quick else "all")
    runs = str(place / digest(Path(args.table))[:8])
    places = args.seeds, args.table, runs, origin
    return options_of(cell, *places, quick=args.quick)


def result_of(cell: Cell, args: argparse.Namespace) -> dict:
    """A cell's scores, from its file or made now."""
    folder = Path(args.results) / ("quick" if args.quick else "")
    file = folder / f"{cell.name}.json"
    asked: dict[str, Any] = cell._asdict() | {
        "seeds": list(args.seeds),
        "settings": settings_of(cell, quick=args.quick),
        "table": digest(Path(args.table)),
    }
    if file.exists():
        try:
            there = json.loads(file.read_text())
            made, scores = there["cell"], there["scores"]
        except (OSError, ValueError, TypeError, KeyError):
            raise BadInput(f"{file} holds no such result, {flags.GO_ON}") from None
        if made != asked:
            raise BadInput(
                f"{file} is of another cell or table, give another --results"
            )
        return scores
    say(f"{cell.arm} on {cell.problem}")
    scores = play(cell, args)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(file, {"cell": asked, "scores": scores, "machine": machine()})
    return scores


def judge(results: dict[Cell, dict], args: argparse.Namespace) -> list[Figure]:
    """Means over seeds of every arm, and the protocol's paired differences."""
    values = {
        (cell.problem, score, cell.arm): np.array([x[score] for x in runs.values()])
        for cell, runs in results.items()
        for score in SCORES
    }
    figures = [
        _figure(f"{problem}, {score}: {arm}", x)
        for (problem, score, arm), x in values.items()
    ]
    trials, unseen = (tuple(name for name, _ in x) for x in lengths(args))
    for score, one, other, problems in contrasts(trials, unseen):
        for problem in problems:
            pair = [(problem, score, arm) for arm in (one, other)]
            if all(key in values for key in pair):
                name = f"{problem}, {score}: {one} - {other}"
                figures.append(_figure(name, values[pair[0]] - values[pair[1]]))
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
    prepare_jax(Options(devices=1))  # before the table is read, which uses it
    results = {cell: result_of(cell, args) for cell in asked}
    settings = {"arms": args.arms, "seeds": list(args.seeds), "table": args.table}
    figures = judge(results, args)
    if args.figure:
        draw(results, args.figure)
    finish(Result("designers", settings, figures, args.quick, machine()), args)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
