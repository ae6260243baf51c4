"""The command line: reads argv, makes Options of it and hands them to `bgpbt`."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from bgpbt.notices import notices
from bgpbt.options import BadInput, Options, PopulationLost, available, choices, load_options, nearest

USAGE = "main.py [flags of the run]  |  main.py render RUN_FOLDER"
OWN_FLAGS = {"-h": "help", "--help": "help", "-c": "config", "--config": "config", "--dry_run": "dry_run"}


class Parser(argparse.ArgumentParser):
    """An argparse parser whose complaints are BadInput, so that every wrong word ends in the same way."""

    def error(self, message: str) -> NoReturn:
        raise BadInput(f"{message} (-h shows the flags)")


def flags(name: str) -> tuple[str, ...]:
    """The flags of a setting, short ones first; a boolean that is on by default has the flag that turns it off."""
    field = Options.model_fields[name]
    others = field.json_schema_extra["flags"]
    own = f"--no_{name}" if field.default is True else f"--{name}"
    return (*(f for f in others if f[1] != "-"), own, *(f for f in others if f[1] == "-"))


def flag_names() -> dict[str, str]:
    """Every declared flag with the setting it belongs to."""
    return {flag: name for name in Options.model_fields for flag in flags(name)} | OWN_FLAGS


def run_parser() -> Parser:
    """The parser of a run, generated from the declarations of Options."""
    parser = Parser(prog="main.py", usage=USAGE, allow_abbrev=False, argument_default=argparse.SUPPRESS)
    command = parser.add_argument_group("command line")
    command.add_argument("-c", "--config", metavar="FILE", help="YAML file of settings; flags win over it")
    command.add_argument("--dry_run", action="store_true", help="check everything, say what would happen, and stop")
    groups = {}
    for name, field in Options.model_fields.items():
        extra = field.json_schema_extra
        if extra["group"] not in groups:
            groups[extra["group"]] = parser.add_argument_group(extra["group"])
        groups[extra["group"]].add_argument(*flags(name), dest=name, help=_help(name), **_arity(field))
    return parser


def _arity(field: Any) -> dict[str, Any]:
    if isinstance(field.default, bool):
        return {"action": "store_false" if field.default else "store_true"}
    if bare := field.json_schema_extra["bare"]:
        return {"nargs": "?", "const": bare, "metavar": "X"}
    return {"metavar": "X"} | ({"nargs": "+"} if isinstance(field.default, tuple) else {})


WORDS = {"None": "none", "False": "off"}  # of defaults


def _help(name: str) -> str:
    field = Options.model_fields[name]
    default = ",".join(map(str, field.default)) if isinstance(field.default, tuple) else field.default
    if default is True:
        return f"switch off: {field.description}".replace("%", "%%")
    words = [", ".join(available(name)), f"default: {WORDS.get(str(default), default)}"]
    later = ", ".join(word for word in choices(name) if word not in available(name))
    words += [f"not available yet: {later}"] if later else []
    return f"{field.description} ({'; '.join(filter(None, words))})".replace("%", "%%")


def _is_number(token: str) -> bool:
    try:
        float(token)
    except ValueError:
        return False
    return True


def _instead(token: str, names: dict[str, str]) -> str:
    meant = [flag for flag in names if flag == f"-{token}" or (flag.startswith(token) and len(token) > 2)]
    glued = [flag for flag in names if token.startswith(flag) and flag[1] != "-"]
    if glued and not meant:
        return f"a space belongs after {max(glued, key=len)}"
    if meant:
        return f"nearest: {', '.join(meant)}"
    alike = tuple(flag for flag in names if flag.startswith("--") == token.startswith("--"))
    return nearest(token, alike, otherwise="-h shows all")


def check_tokens(tokens: list[str]) -> None:
    """Refuses what argparse would guess at: unknown and abbreviated flags, `-nfoo`, and a flag given twice."""
    names, seen = flag_names(), {}
    for token in tokens:
        if not token.startswith("-") or _is_number(token):
            continue
        flag = token.split("=")[0] if token.startswith("--") else token
        if flag not in names:
            raise BadInput(f"unknown flag {token}, {_instead(token, names)}")
        if names[flag] in seen:
            first = seen[names[flag]]
            both = f"{flag} is given twice" if first == flag else f"{first} and {flag} are the same setting"
            raise BadInput(f"{both}, give it once")
        seen[names[flag]] = flag


def parse(tokens: list[str]) -> dict[str, Any]:
    """The values on a command line by name, as text, `config` and `dry_run` among them. Raises BadInput."""
    check_tokens(tokens)
    # argparse takes `-1e6` for a flag unless a space comes first
    words = [f" {token}" if token.startswith("-") and _is_number(token) else token for token in tokens]
    values = vars(run_parser().parse_args(words))
    return {name: value.strip() if isinstance(value, str) else value for name, value in values.items()}


def prepare_jax(options: Options) -> None:
    """Gives JAX one CPU device per core to spread the population over, and its cache; the user's own choices stay."""
    if "JAX_NUM_CPU_DEVICES" not in os.environ and "device_count" not in os.environ.get("XLA_FLAGS", ""):
        import jax

        from bgpbt.population import cpu_devices

        jax.config.update("jax_num_cpu_devices", options.devices or cpu_devices(options.pop_size))
    from bgpbt import compilation

    if notice := compilation.enable(options.no_cache):
        print(f"notice: {notice}", file=sys.stderr)


def train(tokens: list[str]) -> int:
    """Runs, or with `--dry_run` only describes, what the flags ask for."""
    values = parse(tokens)
    dry_run, config = values.pop("dry_run", False), values.pop("config", None)
    options = load_options(values, config)
    prepare_jax(options)
    import bgpbt  # JAX comes with it: only now, so that bad input is answered at once

    for notice in notices(options, set(values)):
        print(f"notice: {notice}", file=sys.stderr)

    try:
        if dry_run:
            print(bgpbt.dry_run(options))
        else:
            bgpbt.run_seeds(options)
    except KeyboardInterrupt:
        return _end(130, "stopped; the same command with -exist resume goes on after the last complete round")
    return 0


def render(tokens: list[str]) -> int:
    """Writes the best policy of a finished or unfinished run as a moving GIF."""
    parser = Parser(prog="main.py render", allow_abbrev=False, description=render.__doc__)
    parser.add_argument("run_folder", metavar="RUN_FOLDER", type=Path)
    folder = parser.parse_args(tokens).run_folder
    if not folder.is_dir():
        raise BadInput(f"{folder} is no folder, give the folder of a run")
    import bgpbt

    print(bgpbt.open_run(folder).render())
    return 0


SUBCOMMANDS: dict[str, Callable[[list[str]], int]] = {"render": render}


def _end(code: int, message: object) -> int:
    print(f"main.py: {' '.join(str(message).split())}", file=sys.stderr)
    return code


def main(argv: list[str]) -> int:
    """Does what a command line says.

    Returns:
      Exit code: 0 done, 2 bad input, 3 all members lost at once, 130 stopped from the keyboard.
    """
    try:
        if not argv or argv[0].startswith("-"):
            return train(argv)
        if argv[0] not in SUBCOMMANDS:
            known = ", ".join(SUBCOMMANDS)
            raise BadInput(f"unknown command {argv[0]!r}, known: {known}; without a command, the flags of a run")
        return SUBCOMMANDS[argv[0]](argv[1:])
    except BadInput as error:
        return _end(2, error)
    except PopulationLost as error:
        return _end(3, error)
    except KeyboardInterrupt:
        return _end(130, "stopped")


if __name__ == "__main__":
    code = main(sys.argv[1:])
    if code == 130:  # compilations in other threads cannot be stopped, and an ordinary end would wait for them
        sys.stdout.flush()
        os._exit(code)
    sys.exit(code)
