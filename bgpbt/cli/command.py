"""The command line: reads argv, makes Options of it and hands them to `bgpbt.api`."""

import contextlib
import errno
import io
import sys
import warnings
from collections.abc import Generator
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn, TextIO

from bgpbt.cli.notices import notices
from bgpbt.cli.parser import parse
from bgpbt.cli.program import program
from bgpbt.cli.signals import STOP, end
from bgpbt.cli.start import prepare_jax
from bgpbt.cli.subcommands import SUBCOMMANDS
from bgpbt.config import versions
from bgpbt.config.errors import (
    BadInput,
    CommandError,
    NotSaved,
    OutOfMemory,
    one_line,
)
from bgpbt.config.loading import load_options

_BGPBT = str(Path(__file__).resolve().parents[1])
READER_GONE = 141  # as a shell says of a program that SIGPIPE ended


def train(tokens: list[str]) -> int:
    """Runs, or with `--dry_run` only describes, what the flags ask for."""
    values = parse(tokens)
    dry_run = values.pop("dry_run", False)
    options = load_options(values, values.pop("config", None))
    versions.check()
    # A dry run makes no folder, not even of a cache.
    prepare_jax(options.model_copy(update={"no_cache": True}) if dry_run else options)
    from bgpbt import api  # it brings JAX: only now, so that bad input is answered soon

    prepared = api.prepare(options)
    for notice in notices(options, set(values), api.own_lengths(prepared)):
        print(f"notice: {notice}", file=sys.stderr)
    if dry_run:
        print(api.describe_prepared(prepared))
    else:
        STOP.advice = (
            "; the same command with -exist resume goes on after the last checkpoint, "
            "or begins anew where there is none"
        )
        api.run_prepared(prepared, STOP)
    return 0


def _end(code: int, message: object) -> int:
    with contextlib.suppress(OSError):  # the terminal may have gone
        print(f"{program()}: {' '.join(str(message).split())}", file=sys.stderr)
    return code


def _described(error: OSError) -> str:
    """What went wrong, and where.

    Files of a run are written elsewhere, with messages of their own.
    """
    in_writing = error.errno in (errno.ENOSPC, errno.EIO, errno.EFBIG, errno.EBADF)
    where = error.filename or ("standard output" if in_writing else "")
    said = error.strerror or str(error)
    return f"{where}: {said}" if where else said


@contextlib.contextmanager
def _told_warnings() -> Generator[None]:
    """Prints warnings as a line each; of a line of another package, only the first.

    JAX warns of every entry of a damaged cache of programs, and goes on without.
    """
    told: set[object] = set()

    def tell(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        del category, file, line
        words = one_line(str(message))
        which: object = words
        if not filename.startswith(_BGPBT):
            if "site-packages" in filename:
                which = filename, lineno
            else:  # a file of the user's
                which = words = f"{filename}:{lineno}: {words}"
        if which not in told:
            told.add(which)
            print(f"notice: {words}{_advice(words)}", file=sys.stderr)

    with warnings.catch_warnings():
        if not sys.warnoptions:
            warnings.simplefilter("default", UserWarning)
        warnings.showwarning = tell
        yield


def _advice(warning: str) -> str:
    """What to do about a warning of JAX's, "" where nothing is known of it.

    JAX neither names nor replaces a damaged entry, and warns of it at every start.
    """
    if "persistent compilation cache entry" not in warning:
        return ""
    from jax import config

    folder = getattr(config, "jax_compilation_cache_dir", "its folder")
    return f"; remove {folder}, so that it is made anew"


def _command(argv: list[str]) -> int:
    if not argv or argv[0].startswith("-"):
        return train(argv)
    if argv[0] not in SUBCOMMANDS:
        raise BadInput(
            f"unknown command {argv[0]!r}, known: {', '.join(SUBCOMMANDS)}; "
            "without a command, the flags of a run"
        )
    return import_module(SUBCOMMANDS[argv[0]]).main(argv[1:])


def main(argv: list[str]) -> int:
    """Does what a command line says.

    Returns:
      Exit code: 0 done, 2 bad input, 3 all members lost at once, 4 something could not
      be written, 5 too little memory, 129, 130 or 143 stopped by SIGHUP, Ctrl-C or
      SIGTERM, 141 whoever read the output has gone.
    """
    try:
        with _told_warnings():
            return _command(argv)
    except CommandError as error:
        return _end(error.exit_code, error)
    except MemoryError:
        return _end(OutOfMemory.exit_code, "out of memory: the command needs some 2 GB")
    except BrokenPipeError:
        return READER_GONE
    except OSError as error:
        return _end(NotSaved.exit_code, _described(error))


def run_command() -> NoReturn:
    """Does what argv says, and ends the process."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names need not be UTF-8
            stream.reconfigure(errors="backslashreplace")
    try:
        code: Any = main(sys.argv[1:])
    except SystemExit as done:  # of the parser, after its help
        code = done.code
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        end(READER_GONE)
    except OSError as error:
        end(_end(NotSaved.exit_code, _described(error)))
    if STOP.exit_code is not None:
        end(int(code or 0))
    sys.exit(code)
