"""BG-PBT beside its rivals on ant: who brings the better agent for the same number of environment steps?

Every arm trains a population of ants (`small_ant.py`: 8 members, small networks) for as many timesteps as the
others, from the same eight configurations (but `defaults`), picks its member by selection fitness, and is judged by that
member's mean return on 128 fresh deterministic episodes. Reported seeds are 0 to 7, committed before the first reported run.
`both` and `both_random` search architectures too, of 1 to 2 layers of 32 to 64, from which the initial members are drawn, with
one distillation of four rounds after eight; `both` has one student more in its first round (1 % of the steps).
The bandit was developed on the functions of `bandit_regret.py` and on two seeds of ant itself, 1000 and 1001: there it was
decided that the context's lengthscale stands alone, and that BG-PBT begins with eight candidates here and not with 24.

What is finished is skipped, and an interrupted run goes on: call it again with the same --save_dir. With --csv, the results are
kept there, one line for each run, and what stands there is not run again: arms may be compared that ran on different days.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Drawing
from scipy import stats

import main as command_line
from bgpbt.options import Options, load_options
from bgpbt.plots import MEMBER, WINNER
from bgpbt.store import RunStore, folder
from scripts.benchmarks import flags
from scripts.benchmarks.figures import Figure, Result, machine, show, write
from scripts.small_ant import SMALL, TINY

ROUND, ROUNDS = 19_200, 20
GENERATIONS = {
    "strategy": "bgpbt",
    "search_mode": "both",
    "arch_space": "small",
    "max_distillation": 1,
    "distill_every": 8 * ROUND,
    "t_distillation": 4 * ROUND,
}
ARMS = {
    "both": GENERATIONS,
    "both_random": GENERATIONS | {"arch_policy": "random"},
    "bgpbt": {"strategy": "bgpbt"},
    "pbt": {"strategy": "pbt"},
    "random": {"strategy": "random"},
    "frozen": {"strategy": "pbt", "freeze": "sampled"},
    "defaults": {"strategy": "random", "freeze": "default"},
}
COLUMNS = ("arm", "seed", "what", "return", "population", "env_steps", "rounds", "seconds")  # of the file that is kept
PAIRS = {"bgpbt": ("pbt", "random", "frozen", "defaults"), "both": ("bgpbt", "both_random", "pbt")}


def parser() -> flags.Parser:
    """The flags."""
    result = flags.Parser(__doc__)
    result.add_argument("--seeds", type=flags.seeds, default="0,1,2,3,4,5,6,7", metavar="0,1,2", help="default 0 to 7")
    result.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS), metavar="NAME", help="default: all")
    result.add_argument("--env_name", type=flags.setting("env_name"), metavar="NAME", help="another environment, for development")
    result.add_argument("--save_dir", default="runs/compare_small", metavar="FOLDER", help="default runs/compare_small")
    result.add_argument("--csv", type=flags.table(*COLUMNS), metavar="FILE", help="results so far, read and extended")
    result.add_argument("--json", type=flags.output, metavar="FILE", help="also write the figures there")
    result.add_argument("--figure", type=flags.picture, metavar="FILE", help="draw returns and paired differences there")
    result.add_quick()
    return result


def options_of(arm: str, seeds: tuple[int, ...] | str, save_dir: str, quick: bool, env_name: str | None = None) -> Options:
    """The settings of an arm."""
    values = {"seed": seeds, "save_dir": save_dir, "exp_name": arm, "existing_policy": "resume", "render": False}
    values |= TINY if quick else SMALL | {"t_ready": ROUND, "max_timesteps": ROUND * ROUNDS}
    values |= {"env_name": env_name} if env_name else {}
    return load_options(values | ARMS[arm])


def results_of(options: Options) -> dict:
    """Every seed's result. Finished runs, perhaps of a version before this one, are only read."""
    import bgpbt

    finished = [seed for seed in options.seed if (folder(options, seed) / "report.json").exists()]
    for seed in finished:
        RunStore(folder(options, seed)).check(options)
    found = {seed: bgpbt.open_run(folder(options, seed)) for seed in finished}
    if missing := tuple(seed for seed in options.seed if seed not in found):
        found |= zip(missing, bgpbt.run_seeds(options.model_copy(update={"seed": missing})), strict=True)
    return found


def what(options: Options) -> str:
    """What an arm's runs have in common with those of others: only such results are compared."""
    return f"{options.env_name}, {options.pop_size} members, {options.max_timesteps} steps"


def row_of(arm: str, seed: int, result) -> dict:
    """What one run came to."""
    last = result.records[result.records["round"] == result.records["round"].max()]
    return {
        "arm": arm,
        "seed": seed,
        "what": what(result.options),
        "return": result.report["mean"],
        "population": float(last["fitness"].median()),
        "env_steps": result.report["env_steps_total"],
        "rounds": int(last["round"].iloc[0]),
        "seconds": float(result.records.groupby("round")["seconds"].first().sum()),
    }


def iqm(values: np.ndarray) -> float:
    """Interquartile mean (Agarwal et al., 2021), along the last axis."""
    return stats.trim_mean(values, 0.25, axis=-1)


def mean(values: np.ndarray) -> float:
    """Along the last axis."""
    return values.mean(axis=-1)


def differences(runs: pd.DataFrame) -> dict[str, np.ndarray]:
    """The returns of `PAIRS`, one less the other, seed by seed."""
    wide = runs.pivot(index="seed", columns="arm", values="return")
    pairs = [(arm, rival) for arm, rivals in PAIRS.items() for rival in rivals if arm in wide and rival in wide]
    return {f"{arm} less {rival}": (wide[arm] - wide[rival]).dropna().to_numpy() for arm, rival in pairs}


def interval(values: np.ndarray, statistic=iqm, draws: int = 10_000) -> tuple[float, float]:
    """95 % bootstrap interval over seeds; with one task there is one stratum."""
    drawn = np.random.default_rng(0).choice(values, (draws, len(values)))
    return tuple(np.quantile(statistic(drawn), [0.025, 0.975]))


def summarise(runs: pd.DataFrame) -> list[Figure]:
    """Every arm's figures, then BG-PBT's paired differences to the others."""
    wide, figures = runs.pivot(index="seed", columns="arm", values="return"), []
    for arm in [a for a in ARMS if a in wide]:
        own, values = runs[runs["arm"] == arm], wide[arm].to_numpy()
        low, high = interval(values)
        figures += [
            Figure(
                f"{arm}: return, interquartile mean",
                float(iqm(values)),
                "",
                note=f"{low:,.0f} to {high:,.0f}",
                repeats=tuple(values),
            ),
            Figure(f"{arm}: population's median", float(own["population"].median()), ""),
            Figure(f"{arm}: environment steps", float(own["env_steps"].mean()), "", note=f"{own['rounds'].iloc[0]} rounds"),
            Figure(f"{arm}: training and evaluation", float(own["seconds"].sum()), "s", note="all seeds"),
        ]
    for name, difference in differences(runs).items():
        low, high = interval(difference, mean)
        figures.append(Figure(f"{name}, mean of pairs", float(mean(difference)), "", note=f"{low:,.0f} to {high:,.0f}"))
    return figures


def draw(runs: pd.DataFrame, path: Path) -> None:
    """Every arm's returns and the paired differences: a tick for every seed, the statistic with its 95 % interval."""
    wide = runs.pivot(index="seed", columns="arm", values="return")
    returns = {arm: wide[arm].to_numpy() for arm in ARMS if arm in wide}
    figure = Drawing(figsize=(9.6, 1.2 + 0.36 * len(returns)), layout="constrained")
    left = ("return on 128 fresh episodes; interquartile mean", returns, iqm)
    right = ("difference of a seed's returns; mean", differences(runs), mean)
    panels = [panel for panel in (left, right) if panel[1]]
    for axes, (label, rows, statistic) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for place, values in enumerate(rows.values()):
            axes.plot(values, np.full(len(values), place), "|", color=MEMBER, ms=9)
            axes.plot(interval(values, statistic), [place, place], color=WINNER, lw=3, solid_capstyle="butt")
            axes.plot(statistic(values), place, "o", color=WINNER, ms=6)
        axes.set(xlabel=label, ylim=(len(rows) - 0.5, -0.5), yticks=range(len(rows)), yticklabels=rows)
        axes.spines[["top", "right"]].set_visible(False)
        if rows is right[1]:
            axes.axvline(0, color="#222222", lw=0.8)
    figure.savefig(path, dpi=120)


@flags.answered
def main(argv: list[str]) -> int:
    """Runs what is missing, prints the table."""
    args = parser().parse_args(argv)
    rows = pd.read_csv(args.csv).to_dict("records") if args.csv and args.csv.exists() else []
    for place, arm in enumerate(args.arms):
        options = options_of(arm, args.seeds, args.save_dir, args.quick, args.env_name)
        if place == 0:
            command_line.prepare_jax(options)
        known = {row["seed"] for row in rows if (row["arm"], row["what"]) == (arm, what(options))}
        if missing := tuple(seed for seed in options.seed if seed not in known):
            found = results_of(options.model_copy(update={"seed": missing}))
            rows += [row_of(arm, seed, result) for seed, result in found.items()]
        if args.csv:
            pd.DataFrame(rows).to_csv(args.csv, index=False)
    runs = pd.DataFrame(rows)
    runs = runs[runs["arm"].isin(args.arms) & runs["seed"].isin(options.seed) & (runs["what"] == what(options))]
    settings = {"seeds": sorted(set(runs["seed"].tolist())), "arms": args.arms}
    result = Result("compare_small", settings, summarise(runs), args.quick, machine())
    show(result)
    if args.figure:
        draw(runs, args.figure)
    if args.json:
        write(result, args.json)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
