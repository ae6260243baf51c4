"""Does the bandit earn its place?

Whole strategies play functions whose optimum moves, on paired seeds. Every member
carries a score that grows by f(configuration, round) + noise in each round (standard
deviation 0.1, the values lie in [0, 1]); whoever is copied hands on the score. 8
members, one replacement a round, 40 rounds, the same first configurations for all.
Regret is the sum over the rounds of the function's best less the mean of f over the
members, without noise. Reported seeds are 40 to 59, committed before they were first
run (0 to 19 and 20 to 39 were reported with an earlier prior and an earlier bound,
`docs/experiments.md`); development used seeds from 1000 on.
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
from bgpbt.intervals import interval
from bgpbt.strategies.bgpbt import bgpbt
from bgpbt.strategies.pbt import pbt
from bgpbt.strategies.random_search import random_search
from bgpbt.types import Outcome, Strategy
from scripts.benchmarks import flags
from scripts.benchmarks.bandit_functions import FUNCTIONS, ROUNDS, Function
from scripts.benchmarks.report import say
from scripts.benchmarks.rows import Row, draw_rows
from scripts.benchmarks.tables import read_rows, write_rows

POPULATION = 8
SHARE = 0.125
NOISE = 0.1
SEEDS = range(40, 60)
COLUMNS = ("function", "arm", "seed", "regret")  # of the file of results
with_share = partial(bgpbt, quantile_fraction=SHARE)
ARMS: dict[str, Callable[..., Strategy]] = {
    "bgpbt": with_share,
    "bgpbt without trust region": partial(with_share, trust_region=False),
    "bgpbt without time": partial(with_share, gp_time=False),
    "pbt": partial(pbt, quantile_fraction=SHARE),
    "random": random_search,
}


def parser() -> flags.Parser:
    """The flags."""
    result = flags.Parser(__doc__)
    result.add_argument("--seeds", action=flags.Span, default=SEEDS)
    result.add_names("--functions", FUNCTIONS)
    result.add_names("--arms", ARMS)
    result.add_argument(
        "--rounds", type=flags.count, default=ROUNDS, help=f"default {ROUNDS}"
    )
    result.add_results(COLUMNS, "regrets")
    result.add_figure("draw the paired differences there")
    return result


def play(function: Function, strategy: Strategy, seed: int, rounds: int) -> np.ndarray:
    """Regret of every round of all members. Shape `[rounds]`.

    Where some idle, such a round takes several of the strategy's.

    Args:
      function: what configurations are worth.
      strategy: for the function's space.
      seed: of the first configurations, the strategy and the noise.
      rounds: how many each member trains.
    """
    space = function.space
    keys = jax.random.split(jax.random.PRNGKey(seed), POPULATION)
    config = np.asarray(jax.vmap(lambda key: spaces.sample(key, space))(keys))
    # The first rows are those of a shorter array.
    most = POPULATION * rounds
    noise = np.random.default_rng(seed).normal(0, NOISE, (most, POPULATION))
    score = np.zeros(POPULATION)
    clock = np.zeros(POPULATION, np.int32)
    active = np.ones(POPULATION, bool)
    key = jax.random.PRNGKey(seed)
    state = strategy.init(key, _outcome(config, score, clock, active))
    regret, trained = np.zeros((2, rounds))
    played = 0
    while active.any():
        now = int(clock.sum()) // POPULATION
        values = _values(function, config, now)
        regret[now] += active.sum() * (function.best(now) - values[active].mean())
        trained[now] += active.sum()
        score = score + np.where(active, values + noise[played], 0)
        clock = clock + active.astype(np.int32)
        outcome = _outcome(config, score, clock, active)
        key_step = jax.random.fold_in(key, played)
        state, decision = strategy.step(key_step, state, outcome)
        config = np.asarray(decision.config)
        parents = np.asarray(decision.parents)[:, 0]
        # Whoever starts afresh has no score.
        score = np.asarray(decision.shrink)[:, 0] * score[parents]
        active = np.asarray(decision.active) & (clock < rounds)
        played += 1
    return regret / trained


def _outcome(
    config: np.ndarray, score: np.ndarray, clock: np.ndarray, active: np.ndarray
) -> Outcome:
    fitness = score.astype(np.float32)
    return Outcome(config, fitness, fitness[:, None], clock, clock, active)


def _values(function: Function, config: np.ndarray, now: int) -> np.ndarray:
    """What the members' configurations are worth in a round. Shape `[P]`."""
    decoded = spaces.decode(function.space, config)
    natural = {name: np.asarray(x) for name, x in decoded.items()}
    members = [{name: x[i] for name, x in natural.items()} for i in range(len(config))]
    return np.array([function.value(member, now) for member in members])


def table(regrets: pd.DataFrame) -> pd.DataFrame:
    """Mean regret of every arm, and the paired difference of `bgpbt` to the others.

    Args:
      regrets: one row for each function, arm and seed.
    """
    rows = []
    for name, group in regrets.groupby("function", sort=False):
        wide = group.pivot(index="seed", columns="arm", values="regret")
        for arm in wide.columns.intersection(list(ARMS), sort=False):
            row = {
                "function": name,
                "arm": arm,
                "regret": wide[arm].mean(),
                "sd": wide[arm].std(),
                "seeds": len(wide),
            }
            if arm != "bgpbt" and "bgpbt" in wide:
                difference = (wide["bgpbt"] - wide[arm]).dropna().to_numpy()
                row["bgpbt less"] = difference.mean()
                row["low"], row["high"] = interval(difference)
            rows.append(row)
    return pd.DataFrame(rows)


def draw(regrets: pd.DataFrame, path: Path) -> None:
    """Paired differences in regret, BG-PBT less each rival.

    A point for every seed, the mean with its interval.
    """
    functions = [name for name in FUNCTIONS if name in set(regrets["function"])]
    rivals = [arm for arm in ARMS if arm != "bgpbt" and arm in set(regrets["arm"])]
    means = table(regrets).set_index(["function", "arm"])
    figure = Figure(figsize=(2.2 + 2.6 * len(functions), 2.8), layout="constrained")
    panels = figure.subplots(1, len(functions), sharey=True, squeeze=False)[0]
    for axes, name in zip(panels, functions, strict=True):
        group = regrets[regrets["function"] == name]
        wide = group.pivot(index="seed", columns="arm", values="regret")
        rows = {}
        for arm in rivals:
            mean = means.loc[(name, arm)]
            points = (wide["bgpbt"] - wide[arm]).to_numpy()
            rows[arm] = Row(mean["bgpbt less"], mean["low"], mean["high"], points)
        draw_rows(axes, rows)
        axes.axvline(0, color="#222222", lw=0.8)
        axes.set(title=name)
    figure.supxlabel(
        "difference in regret, bgpbt less rival (left of 0: bgpbt is better); "
        "grey: a seed; line: 95 % interval of the mean"
    )
    figure.savefig(path, dpi=120)


@flags.answered
def main(argv: list[str]) -> int:
    """Plays what is missing and prints the table."""
    args = parser().parse_args(argv)
    rows = read_rows(args.csv)
    done = {(row["function"], row["arm"], row["seed"]) for row in rows}
    for name in args.functions:
        function = FUNCTIONS[name]
        for arm in args.arms:
            strategy = ARMS[arm](function.space, ("all",))
            began = time.monotonic()
            missing = [s for s in args.seeds if (name, arm, s) not in done]
            for seed in missing:
                regret = play(function, strategy, seed, args.rounds).sum()
                rows.append(dict(zip(COLUMNS, (name, arm, seed, regret), strict=True)))
                write_rows(args.csv, rows)
            say(f"{name}, {arm}: {time.monotonic() - began:.0f} s")
    regrets = pd.DataFrame(rows)
    print(table(regrets).to_string(index=False, float_format=lambda x: f"{x:.2f}"))
    if args.figure:
        draw(regrets, args.figure)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
