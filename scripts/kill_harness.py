"""Is a run that is killed again and again the run that was never killed?

Each row is a command. It runs once to its end, and once in processes that are killed
with SIGKILL one after the other; the last one may end. Compared are the records without
their seconds, the report, and every byte of the arrays in the checkpoints. Kills come
some time after a round, while a checkpoint is written, right after it was renamed, and
in the start of a process. The figures count them by what they left behind.

Exit code 1 where anything differs.
"""

import argparse
import random
import sys
import tempfile
from collections import Counter
from itertools import cycle, islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts.benchmarks import flags
from scripts.benchmarks.figures import Figure, Result, Target
from scripts.benchmarks.report import finish, machine, say
from scripts.studies.killed_runs import MOMENTS, Run, differences, kill

ROWS = {
    "toy": "-t toy -ps 4 -qf 0.25 -tr 2 -mt 120 --devices 1",
    "digits": (
        "-t classification --problem digits -a sgd -o pbt -qf 0.25 -sm both -ps 4 "
        "-tr 20 -mt 800 -de 200 -td 80 -md 1 --arch_policy random --devices 1"
    ),
    "agents": (
        "-e inverted_pendulum --num_envs 32 --policy_layers 32 --value_layers 32 "
        "-ps 4 -qf 0.25 -tr 480 -mt 19_200 --episode_length 50 --report_episodes 4 "
        "--no_render --devices 1"
    ),
    "designers": (
        "-t nas --image_side 8 --filters 2 --dense_units 8 --epochs 1 --max_images 300 "
        "-tr 100 -mt 4_000 --report_episodes 8 --devices 1"
    ),
}
KILLS = 12


def parser() -> flags.Parser:
    """The flags."""
    result = flags.Parser(__doc__)
    result.add_names("--rows", ROWS)
    result.add_argument(
        "--kills", type=flags.count, default=KILLS, help=f"of each row, default {KILLS}"
    )
    result.add_argument("--seed", type=flags.seed, default=0, help="of the moments")
    result.add_json()
    result.add_quick("the toy, three kills", rows=["toy"], kills=3)
    return result


def figures_of(row: str, args: argparse.Namespace) -> list[Figure]:
    """Plays a row twice, and says in what the two runs differ."""
    chance = random.Random(f"{row} {args.seed}")
    with tempfile.TemporaryDirectory() as folder:
        unbroken, broken = (Run(ROWS[row], Path(folder, name)) for name in "ab")
        unbroken.end()
        came = [
            kill(broken, moment, chance)
            for moment in islice(cycle(MOMENTS), args.kills)
        ]
        broken.end()
        differ = differences(unbroken.store, broken.store)
    places = Counter(place for place in came if place)
    say(f"{row}: {dict(places)}, differ: {differ or 'nothing'}")
    return [
        # Where a run has ended before its last kill, fewer are shown.
        Figure(f"{row}: kills", places.total(), "", Target(">=", args.kills)),
        *(Figure(f"{row}: {place}", n, "") for place, n in sorted(places.items())),
        Figure(
            f"{row}: files that differ",
            len(differ),
            "",
            Target("<=", 0),
            note=", ".join(differ),
        ),
    ]


@flags.answered
def main(argv: list[str]) -> int:
    """Kills, compares, prints."""
    args = parser().parse_args(argv)
    figures = [figure for row in args.rows for figure in figures_of(row, args)]
    settings = {"rows": args.rows, "kills": args.kills, "seed": args.seed}
    result = Result("kill_harness", settings, figures, args.quick, machine())
    finish(result, args)
    return int(bool(result.missed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
