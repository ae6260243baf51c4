"""The flags of a run, generated from the declarations of Options."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from bgpbt.cli.program import program
from bgpbt.cli.subcommands import SUBCOMMANDS
from bgpbt.config.errors import BadInput, nearest
from bgpbt.config.options import Options, choices
from bgpbt.config.settings import declaration

USAGE = (
    "%(prog)s [flags of the run]  |  %(prog)s {"
    + ",".join(SUBCOMMANDS)
    + "} ...  (-h behind one of these shows what it takes)"
)
COMMAND_FLAGS = {
    "-h": "help",
    "--help": "help",
    "-c": "config",
    "--config": "config",
    "--dry_run": "dry_run",
}
DEFAULT_WORDS = {"None": "none", "False": "off"}  # of defaults


class Parser(argparse.ArgumentParser):
    """An argparse parser whose complaints are BadInput, so that all end alike."""

    def error(self, message: str) -> NoReturn:
        raise BadInput(f"{message} (-h shows the flags)")


class SubParser(Parser):
    """The parser of a subcommand, whose file's docstring is its help."""

    def __init__(self, name: str, description: str | None):
        super().__init__(
            prog=f"{program()} {name}", allow_abbrev=False, description=description
        )

    def add_run(self, *, files: bool = True, several: bool = False) -> None:
        """Adds the folder of a run.

        Args:
          files: also whether the Python files that it names may be run.
          several: folders of one run or more.
        """
        folder = self.add_argument(
            "run_folder", metavar="RUN_FOLDER", type=reader(_folder)
        )
        folder.nargs = "+" if several else None
        if not files:
            return
        self.add_argument(
            "--run_files",
            action="store_true",
            help="run the Python files that the run names, too",
        )


def reader(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """A parser of settings as one of argparse, which keeps what it complains of."""

    def read(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read


def _folder(text: str) -> Path:
    if not Path(text).is_dir():
        raise ValueError(f"{text} is no folder, give the folder of a run")
    return Path(text)


def flags(name: str) -> tuple[str, ...]:
    """The flags of a setting, short ones first.

    A boolean that is on by default has the flag that turns it off.
    """
    field = Options.model_fields[name]
    others = declaration(name).flags
    own = f"--no_{name}" if field.default is True else f"--{name}"
    short = [flag for flag in others if flag[1] != "-"]
    long = [flag for flag in others if flag[1] == "-"]
    return (*short, own, *long)


def flag_names() -> dict[str, str]:
    """Every declared flag with the setting it belongs to."""
    declared = {flag: name for name in Options.model_fields for flag in flags(name)}
    return declared | COMMAND_FLAGS


def run_parser() -> Parser:
    """The parser of a run, generated from the declarations of Options."""
    parser = Parser(
        prog=program(),
        usage=USAGE,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    command = parser.add_argument_group("command line")
    command.add_argument(
        "-c",
        "--config",
        metavar="FILE",
        help="YAML file of settings; flags win over it",
    )
    command.add_argument(
        "--dry_run",
        action="store_true",
        help="check everything, say what would happen, and stop",
    )
    groups = {}
    for name in Options.model_fields:
        group = declaration(name).group
        if group not in groups:
            groups[group] = parser.add_argument_group(group)
        groups[group].add_argument(
            *flags(name), dest=name, help=_help(name), **_arity(name)
        )
    return parser


def _is_mapping(name: str) -> bool:
    """Whether a setting takes `NAME=X`, any number of times."""
    field = Options.model_fields.get(name)
    return field is not None and isinstance(field.default, dict)


def _arity(name: str) -> dict[str, Any]:
    """How many values a flag takes, in argparse's words."""
    default = Options.model_fields[name].default
    if isinstance(default, bool):
        return {"action": "store_false" if default else "store_true"}
    if bare := declaration(name).bare:
        return {"nargs": "?", "const": bare, "metavar": "X"}
    if _is_mapping(name):
        return {"nargs": "+", "action": "extend", "metavar": "NAME=X"}
    if isinstance(default, tuple):
        return {"nargs": "+", "metavar": "X"}
    return {"metavar": "X"}


def _help(name: str) -> str:
    field = Options.model_fields[name]
    default = field.default
    if default is True:
        return f"switch off: {field.description}".replace("%", "%%")
    if isinstance(default, tuple):
        default = ",".join(map(str, default))
    if isinstance(default, dict):
        default = "none"
    words = [", ".join(choices(name))]
    words.append(f"default: {DEFAULT_WORDS.get(str(default), default)}")
    text = f"{field.description} ({'; '.join(filter(None, words))})"
    return text.replace("%", "%%")


def _is_number(token: str) -> bool:
    try:
        float(token)
    except ValueError:
        return False
    return True


def _advice(token: str, names: dict[str, str]) -> str:
    """What an unknown flag may mean."""
    begins = [
        flag
        for flag in names
        if flag == f"-{token}" or (flag.startswith(token) and len(token) > 2)
    ]
    if begins:
        return f"nearest: {', '.join(begins)}"
    glued = [flag for flag in names if token.startswith(flag) and flag[1] != "-"]
    if glued:
        return f"a space belongs after {max(glued, key=len)}"
    if token.startswith("--no_"):  # of a setting that is off by default
        setting = token.removeprefix("--no_")
        if f"--{setting}" in names:
            return f"--{setting} is off unless it is given"
    is_long = token.startswith("--")
    alike = tuple(flag for flag in names if flag.startswith("--") == is_long)
    return nearest(token, alike, otherwise="-h shows all")


def check_tokens(tokens: list[str]) -> None:
    """Refuses what argparse would guess at.

    Raises:
      BadInput: a flag is unknown, abbreviated, glued to its value, or given twice.
    """
    names = flag_names()
    seen: dict[str, str] = {}
    for token in tokens:
        if not token.startswith("-") or _is_number(token):
            continue
        flag = token.split("=")[0] if token.startswith("--") else token
        if flag not in names:
            raise BadInput(f"unknown flag {token}, {_advice(token, names)}")
        if _is_mapping(names[flag]):
            continue  # each adds to the others
        first = seen.get(names[flag])
        if first == flag:
            raise BadInput(f"{flag} is given twice, give it once")
        if first is not None:
            raise BadInput(f"{first} and {flag} are the same setting, give it once")
        seen[names[flag]] = flag


def parse(tokens: list[str]) -> dict[str, Any]:
    """The values on a command line by name, as text.

    `config` and `dry_run` are among them.

    Raises:
      BadInput: a flag is not one, or lacks its value.
    """
    check_tokens(tokens)
    # argparse takes `-1e6` for a flag unless a space comes first.
    words = [
        f" {token}" if token.startswith("-") and _is_number(token) else token
        for token in tokens
    ]
    values = vars(run_parser().parse_args(words))
    return {
        name: value.strip() if isinstance(value, str) else value
        for name, value in values.items()
    }
