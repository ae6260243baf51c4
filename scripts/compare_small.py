"""BG-PBT beside its rivals on ant.

Who brings the better agent for the same number of environment steps? Every arm trains a
population of ants (`small_ant.py`: 8 members, small networks) for as many timesteps as
the others, from the same eight configurations (but `defaults`), picks its member by
selection fitness, and is judged by that member's mean return on 128 fresh deterministic
episodes. Reported seeds are 0 to 7, committed before the first reported run. `both` and
`both_random` search architectures too, of 1 to 2 layers of 32 to 64, from which the
initial members are drawn, with one distillation of four rounds after eight; `both` has
one student more in its first round (1 % of the steps). The bandit was developed on the
functions of `bandit_regret.py` and on two seeds of ant itself, 1000 and 1001: there it
was decided that the context's lengthscale stands alone, and that BG-PBT begins with
eight candidates here and not with 24.

What is finished is skipped, and an interrupted run goes on: call it again with the same
--save_dir. With --csv, the results are kept there, one line for each run, and what
stands there is not run again: arms may be compared that ran on different days.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pandas as pd

from bgpbt.cli.command import prepare_jax
from bgpbt.config.loading import load_options
from bgpbt.config.options import Options
from bgpbt.storage.places import run_folder
from bgpbt.storage.store import RunStore
from bgpbt.storage.taking import check
from scripts.benchmarks import flags
from scripts.benchmarks.figures import Result
from scripts.benchmarks.report import finish, machine
from scripts.benchmarks.tables import read_rows, write_rows
from scripts.small_ant import SMALL, TINY
from scripts.studies.small_figures import draw, summarise

ROUND = 19_200
ROUNDS = 20
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
# Of the file of results.
COLUMNS = (
    "arm",
    "seed",
    "what",
    "return",
    "population",
    "env_steps",
    "rounds",
    "seconds",
)


def parser() -> flags.Parser:
    """The flags."""
    result = flags.Parser(__doc__)
    result.add_seeds("0,1,2,3,4,5,6,7", "default 0 to 7")
    result.add_names("--arms", ARMS)
    result.add_argument(
        "--env_name",
        type=flags.setting("env_name"),
        metavar="NAME",
        help="another environment, for development",
    )
    result.add_argument(
        "--save_dir",
        default="runs/compare_small",
        metavar="FOLDER",
        help="default runs/compare_small",
    )
    result.add_results(COLUMNS, "results")
    result.add_json()
    result.add_figure("draw returns and paired differences there")
    result.add_quick()
    return result


def options_of(
    arm: str,
    seeds: tuple[int, ...] | str,
    save_dir: str,
    quick: bool,
    env_name: str | None = None,
) -> Options:
    """The settings of an arm."""
    values = {
        "seed": seeds,
        "save_dir": save_dir,
        "exp_name": arm,
        "existing_policy": "resume",
        "render": False,
    }
    small = SMALL | {"t_ready": ROUND, "max_timesteps": ROUND * ROUNDS}
    values |= TINY if quick else small
    values |= {"env_name": env_name} if env_name else {}
    return load_options(values | ARMS[arm])


def results_of(options: Options) -> dict:
    """Every seed's result.

    Finished runs, perhaps of a version before this one, are only read.
    """
    import bgpbt

    folders = {seed: run_folder(options, seed) for seed in options.seed}
    finished = [s for s, path in folders.items() if (path / "report.json").exists()]
    for seed in finished:
        check(RunStore(folders[seed]), options)
    results = {seed: bgpbt.open_run(folders[seed]) for seed in finished}
    if missing := tuple(seed for seed in options.seed if seed not in results):
        runs = bgpbt.run_seeds(options.model_copy(update={"seed": missing}))
        results |= zip(missing, runs, strict=True)
    return results


def what(options: Options) -> str:
    """What an arm's runs have in common with those of others.

    Only such results are compared.
    """
    members, steps = options.pop_size, options.max_timesteps
    return f"{options.env_name}, {members} members, {steps} steps"


def row_of(arm: str, seed: int, result) -> dict:
    """What one run came to."""
    records, report = result.records, result.report
    last = records[records["round"] == records["round"].max()]
    return {
        "arm": arm,
        "seed": seed,
        "what": what(result.options),
        "return": report["mean"],
        "population": float(last["fitness"].median()),
        "env_steps": report["env_steps_total"],
        "rounds": int(last["round"].iloc[0]),
        "seconds": float(records.groupby("round")["seconds"].first().sum()),
    }


def study(args: argparse.Namespace) -> pd.DataFrame:
    """Runs what is missing. One row for every arm and seed."""
    rows = read_rows(args.csv)
    for place, arm in enumerate(args.arms):
        options = options_of(arm, args.seeds, args.save_dir, args.quick, args.env_name)
        if place == 0:
            prepare_jax(options)
        same = {"arm": arm, "what": what(options)}
        known = {row["seed"] for row in rows if row | same == row}
        if missing := tuple(seed for seed in options.seed if seed not in known):
            results = results_of(options.model_copy(update={"seed": missing}))
            rows += [row_of(arm, seed, result) for seed, result in results.items()]
        write_rows(args.csv, rows)
    runs = pd.DataFrame(rows)
    asked = runs["arm"].isin(args.arms) & runs["seed"].isin(options.seed)
    return runs[asked & (runs["what"] == what(options))]


@flags.answered
def main(argv: list[str]) -> int:
    """Runs what is missing, prints the table."""
    args = parser().parse_args(argv)
    runs = study(args)
    settings = {"seeds": sorted(set(runs["seed"].tolist())), "arms": args.arms}
    figures = summarise(runs, ARMS)
    result = Result("compare_small", settings, figures, args.quick, machine())
    finish(result, args, draw=partial(draw, runs, ARMS))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
