"""What `fuzz.py` tries: command lines, files of settings, spaces, damaged runs.

A case is made from a seed alone. It answers with an exit code and what was printed.
"""

import contextlib
import io
import json
import random
from pathlib import Path
from typing import NamedTuple

import bgpbt
from bgpbt.cli import command
from bgpbt.cli.parser import flags
from bgpbt.config.errors import CommandError
from bgpbt.config.options import Options
from bgpbt.storage.checkpoints import read_rows
from bgpbt.storage.run_folder import FILES
from bgpbt.storage.store import RunStore

# Values that a person, a program or a disk may have put there.
ODD = (
    *("", " ", "0", "-1", "1", "2", "3", "8", "0.5", "1e3", "1e9", "1e400", "-0.0"),
    *("nan", "inf", "none", "null", "true", "yes", "0x10", "1_000", "９", "²", "1,2,3"),
    *("1:2", "1:2:log", "a=b", "[1, 2", "{0,1}", "a,b", "~", "/", "..", "/dev/null"),
    *("toy", "ant", "pbt", "both", "hpo", "mnist", "x.py:f", "gymnax:", "*", "!!"),
    *("\0", "\x1b[31m", "\n", "\udcff", "ä", "x" * 5000, "9" * 5000, "[" * 500),
)
SCALES = ("linear", "log", "log_complement", "doubling", "lög", "")


class Answer(NamedTuple):
    """How a case ended."""

    code: int
    out: str
    err: str


def call(words: list[str]) -> Answer:
    """The command, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = command.main(words)
        except SystemExit as done:  # of the parser's help
            code = int(done.code or 0)
    return Answer(code, out.getvalue(), err.getvalue())


def some_flags(chance: random.Random) -> list[str]:
    """A command line of a few flags."""
    words = ["-t", "toy"] if chance.random() < 0.9 else []
    for name in chance.sample(list(Options.model_fields), chance.randint(1, 4)):
        words.append(chance.choice(flags(name)))
        words += chance.choices(ODD, k=chance.choice((0, 1, 1, 1, 2)))
    return words


def a_space(chance: random.Random) -> list[str]:
    """A command line that changes the search space."""
    names = ("rate", "radius", "x", "", "learning_rate", "discounting", "ra te")
    words = ["-t", "toy", chance.choice(("--space", "--fix"))]
    for _ in range(chance.randint(1, 3)):
        parts = chance.choices((*ODD, *SCALES, "default=1"), k=chance.randint(1, 4))
        words.append(f"{chance.choice(names)}={':'.join(parts)}")
    return words


def a_file(chance: random.Random, path: Path) -> list[str]:
    """A command line with a file of settings in which something is odd."""
    lines = Options(task="toy").to_yaml().splitlines()
    lines = chance.sample(lines, chance.randint(1, 12))
    text = mutated("\n".join(lines), chance)
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
    return ["-c", str(path)]


def mutated(text: str, chance: random.Random) -> str:
    """A text in which a few parts are cut, doubled or replaced."""
    for _ in range(chance.randint(1, 4)):
        begin, end = sorted(chance.choices(range(len(text) + 1), k=2))
        end = min(end, begin + chance.choice((0, 1, 1, 3, 20, 1000)))
        part = chance.choice(("", text[begin:end] * 2, chance.choice(ODD), ": ", "\n"))
        text = text[:begin] + part + text[end:]
    return text


def mutated_json(content: object, chance: random.Random) -> object:
    """JSON in which one value is of another form."""
    odd = (None, True, -1, 1e400, "", [], {}, [[]], "x" * 2000, {"a": {}}, 2**70)
    if isinstance(content, dict) and content and chance.random() < 0.8:
        key = chance.choice(list(content))
        if chance.random() < 0.2:
            return {k: v for k, v in content.items() if k != key}
        return content | {key: mutated_json(content[key], chance)}
    if isinstance(content, list) and content and chance.random() < 0.5:
        index = chance.randrange(len(content))
        changed = mutated_json(content[index], chance)
        return [*content[:index], changed, *content[index + 1 :]]
    return chance.choice(odd)


def damage(chance: random.Random, folder: Path) -> str:
    """Damages some files of a run; says which."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    named = [path for path in files if path.name in (*FILES, "layout.json", "rows.csv")]
    told = []
    for _ in range(chance.randint(1, 3)):
        path = chance.choice(named if chance.random() < 0.9 else files)
        if not path.exists():
            continue
        text = path.read_bytes().decode("utf-8", "surrogateescape")
        if path.suffix == ".json" and chance.random() < 0.5:
            with contextlib.suppress(ValueError):
                text = json.dumps(mutated_json(json.loads(text), chance))
        elif chance.random() < 0.2:
            path.unlink()
            told.append(f"{path.name} removed")
            continue
        else:
            text = mutated(text, chance)
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
        told.append(path.name)
    return ", ".join(told)


def look_at(folder: Path, words: list[str]) -> Answer:
    """What everybody does with a run folder: dry run, open, records, go on."""
    answer = call([*words, "--dry_run"])
    err = io.StringIO()
    with contextlib.redirect_stderr(err):
        try:
            result = bgpbt.open_run(folder)
            _ = result.lineage, result.best
            store = RunStore(folder)
            restored = store.restore(lambda r: len(read_rows(store.checkpoint(r))))
            store.go_on_after(restored.round)
        except CommandError as error:
            print(error, file=err)
    return answer._replace(err=answer.err + err.getvalue())
