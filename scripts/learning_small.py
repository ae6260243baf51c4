"""Whether `make run` learns: `configs/ant_small.yaml` on several seeds.

The reported member's return on fresh deterministic episodes stands beside the best
untrained member's, and beside the targets that the learning has to meet. Exit code 1
where a target is missed.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bgpbt.cli.command import prepare_jax
from bgpbt.config.loading import load_options
from bgpbt.config.options import Options
from bgpbt.storage.records import replacements
from scripts.benchmarks import flags
from scripts.benchmarks.figures import Figure, Result, Target
from scripts.benchmarks.report import finish, machine
from scripts.small_ant import ROOT, TINY

# A generation begins in the quick form, too.
GENERATION = {"distill_every": 1000, "t_distillation": 1000}


def parser() -> flags.Parser:
    """The flags."""
    result = flags.Parser(__doc__)
    result.add_seeds("0,1,2,3,4", "default 0,1,2,3,4")
    result.add_argument(
        "--save_dir",
        metavar="FOLDER",
        help="keep the runs there; default: a folder that is removed",
    )
    result.add_json()
    result.add_quick()
    return result


def options_of(seeds: tuple[int, ...] | str, save_dir: str, quick: bool) -> Options:
    """The settings of `make run` with these seeds."""
    values = {
        "seed": seeds,
        "save_dir": save_dir,
        "existing_policy": "overwrite",
        "render": False,
    }
    tiny = TINY | GENERATION if quick else {}
    return load_options(values | tiny, ROOT / "configs" / "ant_small.yaml")


def figures_of(result) -> dict[str, float]:
    """What one run came to; `seconds`: of training and evaluation."""
    report, records = result.report, result.records
    return {
        "untrained": report["untrained_mean"],
        "reported": report["mean"],
        "difference": report["mean"] - report["untrained_mean"],
        "replacements": len(replacements(records)),
        "rounds": int(records["round"].max()),
        "seconds": float(records.groupby("round")["seconds"].first().sum()),
    }


def judge(runs: dict[int, dict[str, float]]) -> list[Figure]:
    """The figures of every seed, then those with targets."""
    units = {"seconds": "s"}
    figures = [
        Figure(f"seed {seed}: {name}", value, units.get(name, ""))
        for seed, values in runs.items()
        for name, value in values.items()
    ]
    differences, rounds, replaced = (
        [values[name] for values in runs.values()]
        for name in ("difference", "rounds", "replacements")
    )
    median = statistics.median(differences)
    least = min(differences)
    return [
        *figures,
        Figure("difference, median of the seeds", median, "", Target(">=", 1000)),
        Figure("difference, smallest", least, "", Target(">=", 300)),
        Figure("rounds, fewest", min(rounds), "", Target(">=", 20)),
        Figure("replacements, fewest", min(replaced), "", Target(">=", 10)),
    ]


@flags.answered
def main(argv: list[str]) -> int:
    """Runs, prints, judges."""
    args = parser().parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        options = options_of(args.seeds, args.save_dir or folder, args.quick)
        prepare_jax(options)
        import bgpbt

        seeds = ", ".join(map(str, options.seed))
        print(
            f"training {options.env_name}, seeds {seeds}, in {options.save_dir}",
            flush=True,
        )
        began = time.monotonic()
        results = bgpbt.run_seeds(options)
        seconds = time.monotonic() - began
        pairs = zip(options.seed, results, strict=True)
        runs = {seed: figures_of(result) for seed, result in pairs}
    total = Figure("all seeds, with compilation and report", seconds, "s")
    settings = {"seeds": list(options.seed)}
    figures = [*judge(runs), total]
    result = Result("learning_small", settings, figures, args.quick, machine())
    finish(result, args)
    return int(bool(result.missed) and not args.quick)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
