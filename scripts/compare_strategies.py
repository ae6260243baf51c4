"""All strategies side by side: the same first configurations, the same steps, paired seeds, whoever wins.

Problems: both toys; the four functions of `bandit_regret.py`, played as there; scikit-learn's digits, hyperparameters (`digits`)
and architectures (`digits, cells`, hyperparameters at their defaults). Populations of 8, two of them replaced in a round where
a strategy takes that setting, sub-populations of 4 that decide every round and every fourth; all else as the task's own settings
have it. `pbtnas` and `mutation` draw their first architectures themselves, as their sources do; `bgpbt` has one student more in
`digits, cells`, 0.6 % of the steps.

A score is 1 less the mean regret of a round; a toy's value of the reported member over its optimum; the accuracy of the reported
member on the test images. Problems have no scale in common: for what is said over all of a group, 0 is the mean of random search
and 1 the best there is. The toys stand beside, by themselves: on the quadratic the first members are given, (1, 0) or (0, 1), so
that random search is a grid of two points and `mfpbt`, which multiplies, never leaves a 0. Interquartile mean and probability of
improvement on random search have stratified bootstrap intervals (Agarwal et al., 2021; their package does not run with pandas 3),
for which random search is drawn, too; paired differences, to random search and of `bgpbt` to the others, are of the mean over
problems, seed by seed.

The bandit's settings were chosen on these four functions, on seeds from 1000 on, and reported on 0 to 59, after each 20 of which
they could change; the other strategies were tuned nowhere. Reported here are seeds 60 to 69, which nothing had been run on,
committed before the first reported run; development uses seeds from 1000 on. With --csv, what stands there is not run again.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Drawing
from scipy import stats

import bgpbt
import main as command_line
from bgpbt.lookup import chosen, load
from bgpbt.options import Options, load_options
from bgpbt.plots import MEMBER, WINNER
from bgpbt.strategies import STRATEGIES
from bgpbt.tasks.toy import BEST as TOY_BEST
from bgpbt.types import Task
from scripts.bandit_regret import play
from scripts.benchmarks import flags
from scripts.benchmarks.bandit_functions import FUNCTIONS, ROUNDS
from scripts.benchmarks.figures import Figure, Result, machine, show, write
from scripts.compare_small import interval, mean

POPULATION = 8
COMMON = {"pop_size": POPULATION, "n_init": POPULATION, "quantile_fraction": 0.25, "frequencies": (1, 4), "render": False}
RUNS = {  # problems that the engine runs: their settings
    "quadratic": {"task": "toy", "problem": "quadratic"},
    "deceptive": {"task": "toy", "problem": "deceptive"},
    "digits": {"task": "classification", "problem": "digits"},
    "digits, cells": {
        "task": "classification",
        "problem": "digits",
        "search_mode": "nas",
        "max_distillation": 1,  # of bgpbt: 7 rounds, then 4 of distillation, 20 in all
        "distill_every": 126,
        "t_distillation": 72,
    },
}
SEARCHERS = ("bgpbt", "pb2", "pbt", "mfpbt", "sha", "random")
GROUPS = {  # who can, and where
    "functions": (SEARCHERS, tuple(FUNCTIONS)),
    "digits": (SEARCHERS, ("digits",)),
    "digits, cells": (("bgpbt", "pbtnas", "mutation", "sha", "random"), ("digits, cells",)),
}
COLUMNS = ("problem", "strategy", "what", "seed", "score", "steps", "curve")  # of the file that is kept
TOYS = ("quadratic", "deceptive")
OWN = {"mfpbt": {"perturb_scale": 0.2}}  # what the toys' usual settings mean for pbt's noise
ROUNDS_QUICK = 4  # of a function
COLORS = {"bgpbt": WINNER, "pb2": "#c77dbb", "pbt": "#2a7f62", "mfpbt": "#d98c3f", "sha": "#4a78b5", "random": MEMBER}


def parser() -> flags.Parser:
    """The flags."""
    result = flags.Parser(__doc__)
    result.add_argument("--seeds", action=flags.Span, default=range(60, 70))
    names = [*RUNS, *FUNCTIONS]
    result.add_argument("--problems", nargs="+", choices=names, default=names, metavar="NAME", help="default: all")
    result.add_argument("--csv", type=flags.table(*COLUMNS), metavar="FILE", help="results so far, read and extended")
    result.add_argument("--json", type=flags.output, metavar="FILE", help="also write the figures there")
    result.add_argument("--figure", type=flags.picture, metavar="FILE", help="draw interquartile means and regret curves there")
    result.add_quick("small, two seeds", seeds=range(1000, 1002))
    return result


def options_of(problem: str, strategy: str, seeds: tuple[int, ...], save_dir: str, quick: bool) -> Options:
    """The settings of runs."""
    values = COMMON | RUNS[problem] | OWN.get(strategy, {}) | {"strategy": strategy, "seed": seeds, "save_dir": save_dir}
    if quick:
        values |= {"t_ready": 4, "max_timesteps": 12, "max_distillation": 0}
    return load_options(values)


def what(problem: str, quick: bool) -> str:
    """What results of a problem have in common: only such ones are put together."""
    if problem in FUNCTIONS:
        return f"{POPULATION} members, {ROUNDS_QUICK if quick else ROUNDS} rounds"
    options = options_of(problem, "random", (0,), "unused", quick)
    return f"{POPULATION} members, {options.max_timesteps} steps, rounds of {options.t_ready}"


@cache
def task_of(problem: str) -> Task:
    """One task for all strategies."""
    return bgpbt.make_task(options_of(problem, "random", (0,), "unused", False))


def by_engine(problem: str, strategy: str, seeds: tuple[int, ...], quick: bool) -> list[dict]:
    """Runs of a strategy: their scores and steps."""
    best = TOY_BEST if RUNS[problem]["task"] == "toy" else 1.0
    with tempfile.TemporaryDirectory() as folder:
        results = bgpbt.run_seeds(options_of(problem, strategy, seeds, folder, quick), task_of(problem))
        reports = [result.report for result in results]
    return [{"score": max(r["mean"] / best, 0.0), "steps": r["env_steps_total"], "curve": ""} for r in reports]


def by_play(problem: str, strategy: str, seeds: tuple[int, ...], quick: bool) -> list[dict]:
    """Plays of a function; the curve is the regret of every round."""
    function, build, rounds = FUNCTIONS[problem], load("strategy", strategy, STRATEGIES), ROUNDS_QUICK if quick else ROUNDS
    made, found = build(function.space, ("all",), **chosen(build, Options(strategy=strategy, **COMMON))), []
    for seed in seeds:
        regret = play(function, made, seed, rounds)
        curve = " ".join(f"{x:.4f}" for x in regret)
        found.append({"score": 1 - regret.mean(), "steps": POPULATION * rounds, "curve": curve})
    return found


def study(args: argparse.Namespace) -> pd.DataFrame:
    """Runs what is missing. One row for every problem, strategy and seed."""
    rows = pd.read_csv(args.csv, keep_default_na=False).to_dict("records") if args.csv and args.csv.exists() else []
    pairs = [(problem, strategy) for problem in TOYS for strategy in SEARCHERS]
    pairs += [(problem, strategy) for strategies, problems in GROUPS.values() for problem in problems for strategy in strategies]
    for problem, strategy in [pair for pair in pairs if pair[0] in args.problems]:
        this = {"problem": problem, "strategy": strategy, "what": what(problem, args.quick)}
        known = {row["seed"] for row in rows if row | this == row}
        if missing := tuple(seed for seed in args.seeds if seed not in known):
            found = (by_engine if problem in RUNS else by_play)(problem, strategy, missing, args.quick)
            rows += [this | {"seed": seed} | row for seed, row in zip(missing, found, strict=True)]
            if args.csv:
                pd.DataFrame(rows).to_csv(args.csv, index=False)
    found = pd.DataFrame(rows)
    now = found["what"] == [what(problem, args.quick) for problem in found["problem"]]
    return found[now & found["seed"].isin(args.seeds) & found["problem"].isin(args.problems)]


def scores_of(rows: pd.DataFrame, group: str) -> dict[str, np.ndarray]:
    """Scores by strategy `[seeds, problems]`, of the group's problems that were run."""
    strategies, problems = GROUPS[group]
    own = rows[rows["problem"].isin(problems) & rows["strategy"].isin(strategies)]
    wide = own.pivot(index="seed", columns=["strategy", "problem"], values="score")
    return {strategy: wide[strategy].to_numpy() for strategy in strategies if strategy in wide}


def scaled(scores: np.ndarray, rival: np.ndarray) -> np.ndarray:
    """Of every problem 0 is the rival's mean over seeds and 1 the best there is. `[..., seeds, problems]`."""
    floor = rival.mean(axis=-2, keepdims=True)
    return (scores - floor) / (1 - floor)


def iqm(scores: np.ndarray, rival: np.ndarray) -> np.ndarray:
    """Interquartile mean over seeds and problems of scaled scores. `[..., seeds, problems]`."""
    found = scaled(scores, rival)
    return stats.trim_mean(found.reshape(*found.shape[:-2], -1), 0.25, axis=-1)


def improvement(scores: np.ndarray, rival: np.ndarray) -> np.ndarray:
    """Chance that a seed of one is above a seed of the other, ties being half; mean over problems. `[..., seeds, problems]`."""
    difference = scores[..., :, None, :] - rival[..., None, :, :]
    return ((difference > 0) + (difference == 0) / 2).mean(axis=(-3, -2, -1))


def stratified(statistic: Callable, *scores: np.ndarray, draws: int = 2_000) -> tuple[float, float]:
    """95 % bootstrap interval of a statistic of scores `[seeds, problems]`: of every problem, seeds are drawn by themselves."""
    rng = np.random.default_rng(0)
    drawn = [x[rng.integers(len(x), size=(draws, *x.shape)), np.arange(x.shape[1])] for x in scores]
    return tuple(np.quantile(statistic(*drawn), [0.025, 0.975]))


def summarise(rows: pd.DataFrame) -> list[Figure]:
    """For every group: interquartile means; improvement on random search; paired differences to it, and to bgpbt."""
    figures = []
    for group in GROUPS:
        scores = scores_of(rows, group)
        rival = scores.get("random")
        for name, own in scores.items():
            low, high = stratified(lambda x: iqm(x, x), own) if name == "random" else stratified(iqm, own, rival)
            note = f"{low:.3f} to {high:.3f}"
            figures.append(Figure(f"{group}, {name}: interquartile mean", float(iqm(own, rival)), "", note=note))
        for name, own in [pair for pair in scores.items() if pair[0] != "random"]:
            low, high = stratified(improvement, own, rival)
            value, note = float(improvement(own, rival)), f"{low:.2f} to {high:.2f}"
            figures.append(Figure(f"{group}, {name}: better than random with probability", value, "", note=note))
        pairs = [(name, "random") for name in scores if name != "random"]
        pairs += [("bgpbt", name) for name in scores if name not in ("bgpbt", "random") and "bgpbt" in scores]
        for one, other in pairs:
            difference = (scaled(scores[one], rival) - scaled(scores[other], rival)).mean(axis=1)
            low, high = interval(difference, mean)
            value, note = float(difference.mean()), f"{low:+.3f} to {high:+.3f}"
            figures.append(Figure(f"{group}, {one} less {other}: mean of pairs", value, "", note=note, repeats=tuple(difference)))
    steps = rows.pivot(index=["problem", "seed"], columns="strategy", values="steps")
    ratios = steps.div(steps["random"], axis=0)
    figures.append(Figure("most steps that a strategy took, of random's", float(ratios.max().max()), "x"))
    figures.append(Figure("fewest", float(ratios.min().min()), "x"))
    return figures


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean score over seeds, by problem and strategy."""
    means = rows.pivot_table(index="problem", columns="strategy", values="score", sort=False)
    return means[[s for s in dict.fromkeys([*COLORS, "pbtnas", "mutation"]) if s in means]]


def draw(rows: pd.DataFrame, path: Path) -> None:
    """Interquartile means with their intervals, and the functions' cumulative regret."""
    groups = [group for group in GROUPS if scores_of(rows, group)]
    curves = [name for name in FUNCTIONS if name in set(rows["problem"])]
    figure = Drawing(figsize=(2.8 * max(len(groups), len(curves), 2), 6 if curves else 3), layout="constrained")
    upper, *lower = figure.subfigures(2 if curves else 1, 1, squeeze=False)[:, 0]
    found = {f.name: f for f in summarise(rows)}
    for axes, group in zip(upper.subplots(1, len(groups), squeeze=False)[0] if groups else (), groups, strict=True):
        names = list(scores_of(rows, group))
        for place, name in enumerate(names):
            bar = found[f"{group}, {name}: interquartile mean"]
            axes.plot([float(x) for x in bar.note.split(" to ")], [place, place], color=WINNER, lw=3, solid_capstyle="butt")
            axes.plot(bar.value, place, "o", color=WINNER, ms=6)
        axes.set(title=group, ylim=(len(names) - 0.5, -0.5))
        axes.set_yticks(range(len(names)), names)
        axes.spines[["top", "right"]].set_visible(False)
    if groups:
        upper.supxlabel("interquartile mean; 0: random search's mean, 1: the best there is", fontsize="medium")
    for panel, name in zip(lower[0].subplots(1, len(curves), squeeze=False)[0] if curves else (), curves, strict=True):
        for strategy, color in COLORS.items():
            own = rows[(rows["problem"] == name) & (rows["strategy"] == strategy)]
            total = np.array([[float(x) for x in curve.split()] for curve in own["curve"]]).cumsum(axis=1).mean(axis=0)
            panel.plot(np.arange(1, len(total) + 1), total, color=color, label=strategy)
        panel.set(title=name, xlabel="round", ylabel="cumulative regret, mean over seeds" if name == curves[0] else "")
        panel.spines[["top", "right"]].set_visible(False)
        if name == curves[0]:
            panel.legend(frameon=False, fontsize="small")
    figure.savefig(path, dpi=120)


@flags.answered
def main(argv: list[str]) -> int:
    """Runs what is missing, prints the figures."""
    args = parser().parse_args(argv)
    command_line.prepare_jax(Options(pop_size=POPULATION))
    rows = study(args)
    settings = {"seeds": list(args.seeds), "problems": args.problems}
    show(result := Result("compare_strategies", settings, summarise(rows), args.quick, machine()))
    print(table(rows).to_string(float_format=lambda x: f"{x:.3f}", na_rep=""))
    if args.figure:
        draw(rows, args.figure)
    if args.json:
        write(result, args.json)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
