"""Speed and size of bgpbt, one measurement a call.

`python scripts/benchmark.py NAME [--json FILE]`

Repeats are interleaved, figures are medians, and each target stands beside the figure
that has to meet it.
"""

import dataclasses
import importlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bgpbt.cli.command import prepare_jax
from scripts.benchmarks import flags
from scripts.benchmarks.cases import small_options
from scripts.benchmarks.report import finish, machine, say, sentence

NAMES = {
    "population": "training speed beside Brax's own PPO and bare environments",
    "end_to_end": "command to finished result beside eight Brax runs, everything cold",
    "padding": "mixed architectures beside equal ones",
    "startup": "command to first finished round, cold and warm; peak memory",
    "control": "everything outside training and evaluation as a share of a round",
    "compile": "the original settings as one program, compiled without running",
    "bandit": "a suggestion of the Gaussian process, its growth with the population, "
    "its share of a round",
    "generations": "distilling beside training, what grouping by size saves, where the "
    "time of a whole run goes",
    "classification": "fifteen networks in one program beside one after the other",
    "strategies": "seconds of each strategy's decision, and Ray Tune's where it is "
    "installed",
    "envs": "every environment: bare steps beside those of a training",
    "designs": "designed networks in one program beside a process each; decisions on a "
    "table",
    "memory": "whether resident memory grows from round 300 to round 3,000",
    "size": "an accelerator: latency of an optimizer step, 1 to 64 members",
}


def parser() -> flags.Parser:
    """The flags."""
    words = "\n".join(f"  {name:14} {what}" for name, what in NAMES.items())
    result = flags.Parser(__doc__, epilog=words)
    result.add_argument("name", choices=NAMES, metavar="NAME", help=", ".join(NAMES))
    result.add_json()
    result.add_argument(
        "--repeats",
        type=flags.count,
        help="measurements of each figure, default 5, 3 where they are long",
    )
    result.add_argument(
        "--members",
        type=flags.count,
        nargs="+",
        metavar="P",
        help="size: only these populations",
    )
    result.add_quick(members=None)
    return result


@flags.answered
def main(argv: list[str]) -> int:
    """Measures, prints, writes. Exit code 2 where the machine cannot answer."""
    args = parser().parse_args(argv)
    # What is measured has to be compiled in this process.
    prepare_jax(small_options(args.quick, no_cache=True))
    module = importlib.import_module(f"scripts.benchmarks.{args.name}")
    facts = machine()
    print(f"{args.name}: {NAMES[args.name]}\n{sentence(facts)}", flush=True)
    members = {"members": args.members} if args.name == "size" and args.members else {}
    repeats = args.repeats or (1 if args.quick else getattr(module, "REPEATS", 5))
    result = module.run(args.quick, repeats, say, **members)
    finish(dataclasses.replace(result, machine=facts), args)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
