"""Whether `make run` learns: `configs/ant_small.yaml` on several seeds, and the bars that its learning has to meet.

The reported member's return on fresh deterministic episodes stands beside the best untrained member's. Exit code 1 where
a bar is missed.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import main as command_line
from bgpbt.options import Options, load_options
from bgpbt.records import replacements
from scripts.benchmarks import flags
from scripts.benchmarks.figures import Bar, Figure, Result, machine, show, write
from scripts.small_ant import ROOT, TINY

GENERATION = {"distill_every": 1000, "t_distillation": 1000}  # one begins in the quick form, too


def parser() -> flags.Parser:
    """The flags."""
    result = flags.Parser(__doc__)
    result.add_argument("--seeds", type=flags.seeds, default="0,1,2,3,4", metavar="0,1,2", help="default 0,1,2,3,4")
    result.add_argument("--save_dir", metavar="FOLDER", help="keep the runs there; default: a folder that is removed")
    result.add_argument("--json", type=flags.output, metavar="FILE", help="also write the figures there")
    result.add_quick()
    return result


def options_of(seeds: tuple[int, ...] | str, save_dir: str, quick: bool) -> Options:
    """The settings of `make run` with these seeds."""
    values = {"seed": seeds, "save_dir": save_dir, "existing_policy": "overwrite", "render": False}
    return load_options(values | (TINY | GENERATION if quick else {}), ROOT / "configs" / "ant_small.yaml")


def figures_of(result) -> dict[str, float]:
    """What one run came to; `seconds`: of training and evaluation."""
    found = result.report
    return {
        "untrained": found["untrained_mean"],
        "reported": found["mean"],
        "difference": found["mean"] - found["untrained_mean"],
        "replacements": len(replacements(result.records)),
        "rounds": int(result.records["round"].max()),
        "seconds": float(result.records.groupby("round")["seconds"].first().sum()),
    }


def judge(runs: dict[int, dict[str, float]]) -> list[Figure]:
    """The figures of every seed, then those with bars."""
    units = {"seconds": "s"}
    figures = [
        Figure(f"seed {seed}: {name}", value, units.get(name, ""))
        for seed, found in runs.items()
        for name, value in found.items()
    ]
    column = {name: [found[name] for found in runs.values()] for name in ("difference", "rounds", "replacements")}
    return [
        *figures,
        Figure("difference, median of the seeds", statistics.median(column["difference"]), "", Bar(">=", 1000)),
        Figure("difference, smallest", min(column["difference"]), "", Bar(">=", 300)),
        Figure("rounds, fewest", min(column["rounds"]), "", Bar(">=", 20)),
        Figure("replacements, fewest", min(column["replacements"]), "", Bar(">=", 10)),
    ]


@flags.answered
def main(argv: list[str]) -> int:
    """Runs, prints, judges."""
    args = parser().parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        options = options_of(args.seeds, args.save_dir or folder, args.quick)
        command_line.prepare_jax(options)
        import bgpbt

        print(f"training {options.env_name}, seeds {', '.join(map(str, options.seed))}, in {options.save_dir}", flush=True)
        began = time.monotonic()
        results = bgpbt.run_seeds(options)
        seconds = time.monotonic() - began
        runs = {seed: figures_of(result) for seed, result in zip(options.seed, results, strict=True)}
    figures = [*judge(runs), Figure("all seeds, with compilation and report", seconds, "s")]
    result = Result("learning_small", {"seeds": list(options.seed)}, figures, args.quick, machine())
    show(result)
    if args.json:
        write(result, args.json)
    return int(bool(result.missed) and not args.quick)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
