"""Is bgpbt's PPO as good as Brax's own?

Both arms train agents with the same environments, networks, hyperparameters, steps and
optimizer steps, and bgpbt's evaluation judges both: 16 deterministic episodes after
every twentieth of the training, from start states that all agents of both arms share,
and in the end 128 fresh ones of the last weights. Nothing is selected. `bgpbt` is one
population of ten members that copy nothing and have the same configuration (random
search with --freeze default and --fix), a member for each seed; `brax` is a call of
Brax's own trainer for each seed. The protocol, with what the two learners do
differently, stands in docs/experiments.md. Reported: seeds 0 to 9 (the population's is
0), committed before the first reported run; development uses `inverted_pendulum` and
seeds from 9000 on.

Every cell, a population or a training of Brax's, leaves a small file in --results and
is not run again. An interrupted population goes on after its last evaluation, with the
same --save_dir; an interrupted training of Brax's, a few minutes, begins again. Two
calls may run at once, each with --tasks of its own: Brax's trainer uses one core.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import jax

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bgpbt.cli.command import prepare_jax
from scripts.benchmarks import flags
from scripts.benchmarks.figures import Result
from scripts.benchmarks.report import finish, machine, say
from scripts.studies import parity_cells
from scripts.studies.parity_cells import Cell, cells_of
from scripts.studies.parity_figures import draw, summarise
from scripts.studies.parity_settings import (
    ARMS,
    DEVELOPMENT,
    PUBLISHED,
    QUICK_SEEDS,
    REPORTED,
    SEEDS,
    options_of,
)


def parser() -> flags.Parser:
    """The flags."""
    result = flags.Parser(__doc__)
    result.add_argument(
        "--tasks",
        nargs="+",
        choices=list(PUBLISHED),
        default=list(REPORTED),
        metavar="NAME",
        help=f"default: all but {DEVELOPMENT}",
    )
    result.add_names("--arms", ARMS)
    result.add_argument("--seeds", action=flags.Span, default=SEEDS)
    result.add_folders("ppo_parity", "cell")
    result.add_json()
    result.add_figure("draw learning curves and their differences there")
    result.add_quick("small, two seeds", tasks=[DEVELOPMENT], seeds=QUICK_SEEDS)
    return result


def study(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Runs the cells that are missing. Returns the results of all."""
    return [
        _result_of(cell, args)
        for task in args.tasks
        for arm in args.arms
        for cell in cells_of(task, arm, args.seeds)
    ]


def _result_of(cell: Cell, args: argparse.Namespace) -> dict[str, Any]:
    # What is small lies in folders of its own.
    folder, save_dir = (
        Path(path) / "quick" if args.quick else Path(path)
        for path in (args.results, args.save_dir)
    )
    options = options_of(cell.task, args.seeds, str(save_dir), args.quick)
    known = parity_cells.read(folder, cell, options, args.quick)
    if known is not None:
        return known
    say(f"{cell.task}, {cell.arm}, seeds {list(cell.seeds)}")
    # Every call of Brax's trainer compiles anew; what twenty calls leave behind takes
    # more memory maps than Linux gives a process.
    jax.clear_caches()
    parity_cells.write(folder, cell, parity_cells.run(cell, options, args.quick))
    result = parity_cells.read(folder, cell, options, args.quick)
    assert result is not None
    return result


@flags.answered
def main(argv: list[str]) -> int:
    """Runs what is missing, prints the figures."""
    args = parser().parse_args(argv)
    prepare_jax(options_of(args.tasks[0], args.seeds, args.save_dir, args.quick))
    results = study(args)
    settings = {"seeds": list(args.seeds), "tasks": args.tasks, "arms": args.arms}
    figures = summarise(results, args.tasks)
    result = Result("ppo_parity", settings, figures, args.quick, machine())
    finish(result, args, draw=lambda path: draw(results, args.tasks, path))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
