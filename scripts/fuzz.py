"""Odd command lines, files of settings, search spaces and damaged run folders.

All in one process, each from a seed of its own. Whatever is given, there must be an
answer: exit code 0, 2, 3 or 4, on errors exactly one line, within 20 s, and no file
made where nothing may be. `--kind KIND --first N --cases 1` repeats one case.
"""

import os
import random
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts.benchmarks import flags
from scripts.benchmarks.figures import Figure, Result, Target
from scripts.benchmarks.report import finish, machine, say
from scripts.studies.fuzz_cases import (
    Answer,
    a_file,
    a_space,
    call,
    damage,
    look_at,
    some_flags,
)

KINDS = ("flags", "files", "spaces", "runs")
CASES = 2500
LONGEST = 20.0  # seconds
RUN = "-t toy -ps 2 -qf 0.5 -tr 2 -mt 8 --devices 1".split()


def parser() -> flags.Parser:
    """The flags."""
    result = flags.Parser(__doc__)
    result.add_names("--kind", KINDS)
    result.add_argument(
        "--cases", type=flags.count, default=CASES, help=f"of a kind, default {CASES}"
    )
    result.add_argument("--first", type=flags.seed, default=0, help="seed, default 0")
    result.add_json()
    result.add_quick("few cases", cases=60)
    return result


class Fuzzer:
    """Plays cases in a folder of its own."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.place = ["--save_dir", str(folder / "none")]
        answer = call([*RUN, "--save_dir", str(folder / "run")])
        assert answer.code == 0, answer.err
        (self.run,) = (folder / "run").rglob("seed_0")

    def play(self, kind: str, seed: int) -> str:
        """A case; what is wrong with the answer, "" where nothing is."""
        chance = random.Random(f"{kind} {seed}")
        words = []
        before = self.files()
        began = time.monotonic()
        try:
            if kind == "runs":
                words = [damage(chance, self.damaged())]
                place = ["--save_dir", str(self.folder / "run")]
                answer = look_at(self.run, [*RUN, *place])
            else:
                if kind == "files":
                    words = a_file(chance, self.folder / "settings.yaml")
                    before = self.files()
                else:
                    words = (some_flags if kind == "flags" else a_space)(chance)
                answer = call([*self.place, *words, "--dry_run"])
        except BaseException as error:  # a case must not end the others
            where = traceback.extract_tb(error.__traceback__)[-1]
            line = f"{type(error).__name__}: {str(error)[:100]!r}"
            return f"{words}: {line} in {Path(where.filename).name}:{where.lineno}"
        seconds = time.monotonic() - began
        problems = [
            *_of_answer(answer, one_line=kind != "runs"),
            *([f"{seconds:.0f} s"] if seconds > LONGEST else []),
            *(["files were made"] if kind != "runs" and self.files() != before else []),
        ]
        return f"{words}: {', '.join(problems)}" if problems else ""

    def damaged(self) -> Path:
        """A fresh copy of the run, in its place."""
        kept = self.folder / "kept"
        if not kept.exists():
            shutil.copytree(self.run, kept)
        shutil.rmtree(self.run)
        shutil.copytree(kept, self.run)
        return self.run

    def files(self) -> set[Path]:
        """What lies in the folder and in the working directory."""
        return {*self.folder.rglob("*"), *Path.cwd().glob("*")}


def _of_answer(answer: Answer, one_line: bool) -> list[str]:
    problems = []
    if answer.code not in (0, 2, 3, 4):
        problems.append(f"exit code {answer.code}")
    if "Traceback" in answer.err + answer.out:
        problems.append("a traceback")
    lines = [x for x in answer.err.splitlines() if not x.startswith("notice: ")]
    if one_line and answer.code and len(lines) != 1:
        problems.append(f"{len(lines)} lines: {answer.err[:200]!r}")
    if any(len(line) > 2000 for line in lines):
        problems.append("a line of more than 2,000 characters")
    return problems


@flags.answered
def main(argv: list[str]) -> int:
    """Plays, prints what went wrong. Exit code 1 where anything did."""
    args = parser().parse_args(argv)
    warnings.simplefilter("ignore")
    wrong: Counter[str] = Counter()
    # JAX begins once; another number of devices would be refused, whatever is asked.
    one_device = mock.patch.dict(os.environ, {"JAX_NUM_CPU_DEVICES": "1"})
    with one_device, tempfile.TemporaryDirectory() as folder:
        fuzzer = Fuzzer(Path(folder))
        for kind in args.kind:
            for seed in range(args.first, args.first + args.cases):
                if problem := fuzzer.play(kind, seed):
                    wrong[kind] += 1
                    say(f"{kind} {seed}: {problem}")
    figures = [
        Figure(f"{kind}: wrong answers", wrong[kind], "", Target("<=", 0))
        for kind in args.kind
    ]
    settings = {"cases": args.cases, "first": args.first}
    result = Result("fuzz", settings, figures, args.quick, machine())
    finish(result, args)
    return int(bool(result.missed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
