"""Which environment runs on which of Brax's engines, as a table.

`python scripts/backends.py FILE.json [--envs NAME ...] [--backends NAME ...]`

Each cell builds the environment, and eight of it play 100 random actions each, as the
check of a user's own environment does: everything must stay finite, the same key must
give the same states, and a saved state must go on as the one in memory. A cell that
stands in the file is not played again.
"""

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bgpbt.assembly.environment_contract import check_environment
from bgpbt.cli.command import prepare_jax
from bgpbt.config.errors import BadInput
from bgpbt.files import write_json
from bgpbt.registry import ENVIRONMENTS
from bgpbt.tasks.ppo.environments import load_environment_file, make_environment
from scripts.benchmarks import flags
from scripts.benchmarks.cases import small_options

BACKENDS = load_environment_file("brax").BACKENDS
ON_BRAX = tuple(name for name, file in ENVIRONMENTS.items() if file == "brax:make")
RUNS = "runs"


def parser() -> flags.Parser:
    """The flags."""
    result = flags.Parser(__doc__)
    result.add_argument(
        "file", type=flags.output, metavar="FILE.json", help="of the cells"
    )
    result.add_argument(
        "--envs", nargs="+", choices=ON_BRAX, default=ON_BRAX, metavar="NAME"
    )
    result.add_argument(
        "--backends", nargs="+", choices=BACKENDS, default=BACKENDS, metavar="NAME"
    )
    return result


def cell(name: str, backend: str) -> dict:
    """What became of an environment on an engine.

    Returns:
      `answer`, `RUNS` or a line that says what is wrong, and `seconds`, most of them
      compilation.
    """
    began = time.monotonic()
    try:
        check_environment(name, make_environment(name, backend=backend))
        answer = RUNS
    except BadInput as error:
        answer = str(error)
    except Exception as error:  # whatever an engine raises is an answer
        answer = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return {"answer": answer, "seconds": round(time.monotonic() - began, 1)}


def known_cells(file: Path) -> dict[str, dict]:
    """The cells that stand in a file; none where there is no file.

    Raises:
      BadInput: the file holds something else.
    """
    if not file.exists():
        return {}
    try:
        cells = json.loads(file.read_text())
        is_table = all("answer" in cell for cell in cells.values())
    except (OSError, ValueError, AttributeError, TypeError):
        is_table = False
    if not is_table:
        raise BadInput(f"{file} holds no such table, {flags.GO_ON}")
    return cells


def table(cells: dict[str, dict]) -> str:
    """The cells as a table in Markdown, and what is wrong under it."""
    lines = [
        f"| environment | {' | '.join(BACKENDS)} |",
        "|---" * (1 + len(BACKENDS)) + "|",
    ]
    reasons = []
    for name in ON_BRAX:
        words = []
        for backend in BACKENDS:
            answer = cells.get(f"{name} {backend}", {"answer": "not tried"})["answer"]
            known = answer in (RUNS, "not tried")
            words.append(answer if known else f"no ({len(reasons) + 1})")
            if not known:
                reasons.append(f"{len(reasons) + 1}. {name} on {backend}: {answer}")
        lines.append(f"| {name} | {' | '.join(words)} |")
    return "\n".join([*lines, "", *reasons])


@flags.answered
def main(argv: list[str]) -> int:
    """Plays the cells that are not there yet, and prints the table."""
    args = parser().parse_args(argv)
    cells = known_cells(args.file)
    prepare_jax(small_options(True))
    for name in args.envs:
        for backend in args.backends:
            key = f"{name} {backend}"
            if key not in cells:
                cells[key] = cell(name, backend)
                print(f"{key}: {cells[key]}", file=sys.stderr, flush=True)
                write_json(args.file, cells)
    print(table(cells))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
