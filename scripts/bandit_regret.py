"""Does the bandit earn its place? Whole strategies play functions whose optimum moves, on paired seeds.

Every member carries a score that grows by f(configuration, round) + noise in each round (standard deviation 0.1, the
values lie in [0, 1]); whoever is copied hands on the score. 8 members, one replacement a round, 40 rounds, the same first
configurations for all. Regret is the sum over the rounds of the function's best less the mean of f over the members,
without noise. Reported seeds are 40 to 59, committed before they were first run (0 to 19 and 20 to 39 were reported with an
earlier prior and an earlier bound, `docs/experiments.md`); development used seeds from 1000 on.
"""

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import jax
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bgpbt import space as spaces
from bgpbt.plots import MEMBER, WINNER
from bgpbt.strategies.bgpbt import bgpbt
from bgpbt.strategies.pbt import pbt
from bgpbt.strategies.random_search import random_search
from bgpbt.types import Outcome, Strategy
from scripts.benchmarks import flags
from scripts.benchmarks.bandit_functions import FUNCTIONS, ROUNDS, Function

POPULATION, SHARE, NOISE, SEEDS = 8, 0.125, 0.1, range(40, 60)
COLUMNS = ("function", "arm", "seed", "regret")  # of the file that is kept
ARMS: dict[str, Callable[..., Strategy]] = {
    "bgpbt": partial(bgpbt, quantile_fraction=SHARE),
    "bgpbt without trust region": partial(bgpbt, quantile_fraction=SHARE, trust_region=False),
    "bgpbt without time": partial(bgpbt, quantile_fraction=SHARE, gp_time=False),
    "pbt": partial(pbt, quantile_fraction=SHARE),
    "random": random_search,
}


def parser() -> flags.Parser:
    """The flags."""
    result = flags.Parser(__doc__)
    result.add_argument("--seeds", action=flags.Span, default=SEEDS)
    result.add_argument("--functions", nargs="+", choices=FUNCTIONS, default=list(FUNCTIONS), metavar="NAME", help="default: all")
    result.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS), metavar="NAME", help="default: all")
    result.add_argument("--rounds", type=flags.count, default=ROUNDS, help=f"default {ROUNDS}")
    result.add_argument("--csv", type=flags.table(*COLUMNS), metavar="FILE", help="regrets so far, read and extended")
    result.add_argument("--figure", type=flags.picture, metavar="FILE", help="draw the paired differences there")
    return result


def play(function: Function, strategy: Strategy, seed: int, rounds: int) -> np.ndarray:
    """Regret of every round. Shape `[rounds]`."""
    space = function.space
    keys = jax.random.split(jax.random.PRNGKey(seed), POPULATION)
    config = np.asarray(jax.vmap(lambda key: spaces.sample(key, space))(keys))
    noise = np.random.default_rng(seed).normal(0, NOISE, (rounds, POPULATION))
    score, number = np.zeros(POPULATION), np.arange(POPULATION)

    def outcome(steps: int) -> Outcome:
        fitness, clock = score.astype(np.float32), np.full(POPULATION, steps, np.int32)
        return Outcome(config, fitness, fitness[:, None], clock, clock, np.ones(POPULATION, bool))

    state, regret = strategy.init(jax.random.PRNGKey(seed), outcome(0)), np.zeros(rounds)
    for now in range(rounds):
        natural = {name: np.asarray(x) for name, x in spaces.decode(space, config).items()}
        values = np.array([function.value({name: x[i] for name, x in natural.items()}, now) for i in number])
        regret[now] = function.best(now) - values.mean()
        score = score + values + noise[now]
        state, decision = strategy.step(jax.random.fold_in(jax.random.PRNGKey(seed), now), state, outcome(now + 1))
        kept = np.asarray(decision.shrink)[:, 0]  # a fresh start has no score
        config, score = np.asarray(decision.config), kept * score[np.asarray(decision.parents)[:, 0]]
    return regret


def interval(differences: np.ndarray, draws: int = 10_000) -> tuple[float, float]:
    """95 % bootstrap interval of the mean of paired differences."""
    rng = np.random.default_rng(0)
    means = rng.choice(differences, (draws, len(differences))).mean(axis=1)
    return tuple(np.quantile(means, [0.025, 0.975]))


def table(found: pd.DataFrame) -> pd.DataFrame:
    """Mean regret of every arm, and the paired difference of the first arm to the others."""
    rows = []
    for name, group in found.groupby("function", sort=False):
        regrets = group.pivot(index="seed", columns="arm", values="regret")
        for arm in regrets.columns.intersection(list(ARMS), sort=False):
            row = {"function": name, "arm": arm, "regret": regrets[arm].mean(), "sd": regrets[arm].std(), "seeds": len(regrets)}
            if arm != "bgpbt" and "bgpbt" in regrets:
                difference = (regrets["bgpbt"] - regrets[arm]).dropna().to_numpy()
                row["bgpbt less"] = difference.mean()
                row["low"], row["high"] = interval(difference)
            rows.append(row)
    return pd.DataFrame(rows)


def draw(found: pd.DataFrame, path: Path) -> None:
    """Paired differences in regret, BG-PBT less each rival: a point for every seed, the mean with its interval."""
    functions = [name for name in FUNCTIONS if name in set(found["function"])]
    rivals = [arm for arm in ARMS if arm != "bgpbt" and arm in set(found["arm"])]
    figure = Figure(figsize=(2.2 + 2.6 * len(functions), 2.8), layout="constrained")
    rows = table(found).set_index(["function", "arm"])
    for axes, name in zip(figure.subplots(1, len(functions), sharey=True, squeeze=False)[0], functions, strict=True):
        regrets = found[found["function"] == name].pivot(index="seed", columns="arm", values="regret")
        for place, arm in enumerate(rivals):
            points, row = regrets["bgpbt"] - regrets[arm], rows.loc[(name, arm)]
            axes.plot(points, np.full(len(points), place), "|", color=MEMBER, ms=9)
            axes.plot([row["low"], row["high"]], [place, place], color=WINNER, lw=3, solid_capstyle="butt")
            axes.plot(row["bgpbt less"], place, "o", color=WINNER, ms=6)
        axes.axvline(0, color="#222222", lw=0.8)
        axes.set(title=name, ylim=(len(rivals) - 0.5, -0.5), yticks=range(len(rivals)), yticklabels=rivals)
        axes.spines[["top", "right"]].set_visible(False)
    figure.supxlabel(
        "difference in regret, bgpbt less rival (left of 0: bgpbt is better); grey: a seed; line: 95 % interval of the mean"
    )
    figure.savefig(path, dpi=120)


@flags.answered
def main(argv: list[str]) -> int:
    """Plays what is missing and prints the table."""
    args = parser().parse_args(argv)
    found = pd.read_csv(args.csv) if args.csv and args.csv.exists() else pd.DataFrame(columns=COLUMNS)
    done = set(zip(found["function"], found["arm"], found["seed"], strict=True))
    for name in args.functions:
        function = FUNCTIONS[name]
        for arm in args.arms:
            strategy, began = ARMS[arm](function.space, ("all",)), time.monotonic()
            for seed in args.seeds:
                if (name, arm, seed) not in done:
                    regret = play(function, strategy, seed, args.rounds).sum()
                    row = pd.DataFrame([[name, arm, seed, regret]], columns=COLUMNS)
                    found = row if found.empty else pd.concat([found, row], ignore_index=True)
                    if args.csv:
                        found.to_csv(args.csv, index=False)
            print(f"{name}, {arm}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    print(table(found).to_string(index=False, float_format=lambda x: f"{x:.2f}"))
    if args.figure:
        draw(found, args.figure)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
