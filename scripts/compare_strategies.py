"""All strategies side by side, whoever wins.

They have the same first configurations, the same steps, paired seeds. Problems: both
toys; the four functions of `bandit_regret.py`, played as there; scikit-learn's digits,
hyperparameters (`digits`) and architectures (`digits, cells`, hyperparameters at their
defaults). Populations of 8, two of them replaced in a round where a strategy takes that
setting, sub-populations of 4 that decide every round and every fourth, `firepbt` every
fourth; all else as the task's own settings have it. Of `ipbt` half of the members train
between restarts, twice as long. `pbtnas` and `mutation` draw their first architectures
themselves, as their sources do; `bgpbt` has one student more in `digits, cells`, 0.6 %
of the steps.

A score is 1 less the mean regret of a round; a toy's value of the reported member over
its optimum; the accuracy of the reported member on the test images. Problems have no
scale in common: for what is said over all of a group, 0 is the mean of random search
and 1 the best there is. The toys stand beside, by themselves: on the quadratic the
first members are given, (1, 0) or (0, 1), so that random search is a grid of two points
and `mfpbt`, which multiplies, never leaves a 0. Interquartile mean and probability of
improvement on random search have stratified bootstrap intervals (Agarwal et al., 2021;
their package does not run with pandas 3), for which random search is drawn, too; paired
differences, to random search and of `bgpbt` to the others, are of the mean over
problems, seed by seed.

The bandit's settings were chosen on these four functions, on seeds from 1000 on, and
reported on 0 to 59, after each 20 of which they could change; the other strategies were
tuned nowhere. Reported here are seeds 60 to 69, which nothing had been run on,
committed before the first reported run; development uses seeds from 1000 on. With
--csv, what stands there is not run again.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pandas as pd

from bgpbt.cli.command import prepare_jax
from bgpbt.config.options import Options
from scripts.benchmarks import flags
from scripts.benchmarks.bandit_functions import FUNCTIONS
from scripts.benchmarks.figures import Result
from scripts.benchmarks.report import finish, machine
from scripts.benchmarks.tables import read_rows, write_rows
from scripts.studies.strategy_pictures import draw
from scripts.studies.strategy_problems import (
    POPULATION,
    RUNS,
    by_engine,
    by_play,
    pairs,
    what,
)
from scripts.studies.strategy_scores import summarise, table

# Of the file of results.
COLUMNS = ("problem", "strategy", "what", "seed", "score", "steps", "curve")


def parser() -> flags.Parser:
    """The flags."""
    result = flags.Parser(__doc__)
    result.add_argument("--seeds", action=flags.Span, default=range(60, 70))
    result.add_names("--problems", [*RUNS, *FUNCTIONS])
    result.add_results(COLUMNS, "results")
    result.add_json()
    result.add_figure("draw interquartile means and regret curves there")
    result.add_quick("small, two seeds", seeds=range(1000, 1002))
    return result


def study(args: argparse.Namespace) -> pd.DataFrame:
    """Runs what is missing. One row for every problem, strategy and seed."""
    rows = read_rows(args.csv, keep_default_na=False)
    for problem, strategy in pairs(args.problems):
        same = {"problem": problem, "strategy": strategy}
        same["what"] = what(problem, args.quick)
        known = {row["seed"] for row in rows if row | same == row}
        if missing := tuple(seed for seed in args.seeds if seed not in known):
            run = by_engine if problem in RUNS else by_play
            results = run(problem, strategy, missing, args.quick)
            rows += [
                same | {"seed": seed} | result
                for seed, result in zip(missing, results, strict=True)
            ]
            write_rows(args.csv, rows)
    scores = pd.DataFrame(rows)
    whats = [what(problem, args.quick) for problem in scores["problem"]]
    asked = scores["seed"].isin(args.seeds) & scores["problem"].isin(args.problems)
    return scores[asked & (scores["what"] == whats)]


@flags.answered
def main(argv: list[str]) -> int:
    """Runs what is missing, prints the figures."""
    args = parser().parse_args(argv)
    prepare_jax(Options(pop_size=POPULATION))
    rows = study(args)
    settings = {"seeds": list(args.seeds), "problems": args.problems}
    figures = summarise(rows)
    result = Result("compare_strategies", settings, figures, args.quick, machine())
    finish(result, args, draw=lambda path: draw(rows, path))
    print(table(rows).to_string(float_format=lambda x: f"{x:.3f}", na_rep=""))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
