"""Strategies beside each other in their own regime: many rounds, the same steps.

Every arm of a profile trains a population on every task; its curve is what the saved
best returns on fresh episodes, which no selection sees, against the steps that the
whole population simulates. The score is the area under that curve, the return in the
end stands beside. Arms are paired by seed: they share first configurations and weights,
but `both`, whose networks differ, and `ipbt`, which begins with twice as many members.

A cell, an arm on a task with a block of seeds, leaves a small file in --results and is
not run again. An interrupted cell goes on where it was, with the same --save_dir; on a
machine with several cores, two calls may run at once, each with --tasks of its own.
First of all, `--screen` trains 64 constant configurations, drawn at random, on a
development seed: the table's scale, 0 is untrained and 1 the best of them, and how much
a configuration matters at all.
"""

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

import bgpbt
from bgpbt.cli.command import prepare_jax
from bgpbt.config.errors import BadInput
from scripts.benchmarks import flags
from scripts.benchmarks.figures import Figure, Result
from scripts.benchmarks.report import finish, machine
from scripts.studies.suite_cells import Cell, Results, cells_of, result_of, screens_of
from scripts.studies.suite_figures import draw
from scripts.studies.suite_profiles import ARMS, PROFILES, SCREENED, VARIANTS
from scripts.studies.suite_scores import (
    OUTCOMES,
    comparable,
    scale_of,
    scores_of,
    summarise,
)


def parser() -> flags.Parser:
    """The flags."""
    result = flags.Parser(__doc__)
    result.add_argument(
        "--profile", choices=list(PROFILES), default="cpu", help="default cpu"
    )
    result.add_argument(
        "--tasks", nargs="+", metavar="NAME", help="default: all of the profile"
    )
    result.add_argument(
        "--arms",
        nargs="+",
        choices=[*ARMS, *VARIANTS],
        default=list(ARMS),
        help="default: all but those in development, the last of these",
    )
    result.add_argument(
        "--seeds",
        type=flags.seeds,
        metavar="0,1,2",
        help="default: those that are judged, 0 and on, more where runs are short",
    )
    result.add_argument(
        "--screen", action="store_true", help=f"{SCREENED} constant configurations"
    )
    result.add_argument(
        "--table", action="store_true", help="run nothing: what is there"
    )
    result.add_argument(
        "--dry_run", action="store_true", help="run nothing: what each arm would take"
    )
    result.add_folders("suite", "cell")
    result.add_json()
    result.add_figure("draw curves and scores there")
    result.add_quick("tiny, one task, two seeds", seeds=(9000, 9001))
    return result


def problems_of(args: argparse.Namespace) -> list[str]:
    """The tasks that are asked for. Raises BadInput."""
    known = list(PROFILES[args.profile].problems)
    asked = args.tasks or (known[:1] if args.quick else known)
    for name in asked:
        if name not in known:
            raise BadInput(
                f"--tasks: {name} is not in profile {args.profile}, "
                f"give some of {', '.join(known)}"
            )
    return asked


def screen(args: argparse.Namespace) -> list[Figure]:
    """How much a configuration matters, task by task."""
    figures = []
    for cell in screens_of(args.profile, problems_of(args)):
        (own,) = _screened(cell, args).values()
        figures += [
            Figure(f"{cell.problem}: {name}", float(value), "return")
            for name, value in _spread(own).items()
        ]
    return figures


def _spread(own: dict[str, Any]) -> dict[str, float]:
    lowest, median, highest = np.nanquantile(own["members"], [0.1, 0.5, 0.9])
    return {
        "untrained": own["untrained"],
        "a tenth of the configurations is below": lowest,
        "half": median,
        "nine tenths": highest,
        "the best, on fresh episodes": own["final"],
    }


def compare(args: argparse.Namespace) -> list[Figure]:
    """Runs what is missing, or reads what is there. Draws it if asked."""
    problems = problems_of(args)
    results: dict[tuple[str, str], Results] = {}
    for cell in cells_of(args.profile, problems, args.arms, args.seeds):
        found = _results(cell, args)
        if found:
            results.setdefault((cell.problem, cell.name), {}).update(found)
    results = comparable(results)
    if not results:
        raise BadInput(f"{args.results} has nothing to compare yet, leave --table out")
    scales = {}
    for cell in screens_of(args.profile, dict.fromkeys(name for name, _ in results)):
        own = (runs for (name, _), runs in results.items() if name == cell.problem)
        runs = [run for seeds in own for run in seeds.values()]
        scales[cell.problem] = scale_of(_screened(cell, args), cell.problem, runs)
    scores = {name: scores_of(results, scales, name) for name in OUTCOMES}
    if args.figure:
        draw(results, scales, scores["area"], args.figure)
    return [figure for name in OUTCOMES for figure in summarise(scores[name], name)]


def _screened(cell: Cell, args: argparse.Namespace) -> Results:
    screened = _results(cell, args)
    if not screened:
        raise BadInput(
            f"{args.results} has no screen of {cell.problem}, run --screen first"
        )
    return screened


def _results(cell: Cell, args: argparse.Namespace) -> Results:
    run = partial(result_of, cell, Path(args.results), Path(args.save_dir))
    return run(quick=args.quick, run=not args.table)


def dry_run(args: argparse.Namespace) -> None:
    """Prints what the arms would take on each task."""
    for cell in cells_of(args.profile, problems_of(args), args.arms, (0,)):
        options = cell.options(Path(args.save_dir), quick=args.quick)
        print(bgpbt.dry_run(options), end="\n\n")


@flags.answered
def main(argv: list[str]) -> int:
    """Runs what is missing, prints the figures."""
    args = parser().parse_args(argv)
    first = cells_of(args.profile, problems_of(args), args.arms, (0,))[0]
    prepare_jax(first.options(Path(args.save_dir), quick=args.quick))
    if args.dry_run:
        dry_run(args)
        return 0
    settings = {"profile": args.profile, "tasks": problems_of(args), "arms": args.arms}
    figures = screen(args) if args.screen else compare(args)
    finish(Result("suite", settings, figures, args.quick, machine()), args)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
