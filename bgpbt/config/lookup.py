"""Functions by name: one of bgpbt from a table, or one in a user's file."""

import inspect
import sys
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module, util
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from bgpbt.config.errors import BadInput, nearest
from bgpbt.config.options import Options
from bgpbt.config.parsers import user_file


def resolve(setting: str, word: str, table: Mapping[str, str]) -> Callable:
    """The function that `word` names.

    Args:
      setting: whose value it is, for messages.
      word: a name in `table`, or `path/to/file.py:function`.
      table: name -> `module:function`.

    Raises:
      BadInput: no such file or function, or the file cannot be read as Python.
    """
    if word in table:
        module, name = table[word].split(":")
        return getattr(import_module(module), name)
    path, _, name = word.rpartition(":")
    module = _import_file(setting, Path(path))
    function = getattr(module, name, None)
    if not callable(function):
        names = _functions(module)
        advice = nearest(name, names) if names else "nor any other"
        raise BadInput(f"{setting}: {path} has no function {name!r}, {advice}", setting)
    return function


def _import_file(setting: str, path: Path) -> ModuleType:
    """The file as a module; its text is run."""
    if not path.is_file():
        raise BadInput(
            f"{setting}: no file {path}, give path/to/file.py:function", setting
        )
    words = path.resolve().as_posix().replace("/", "_").removesuffix(".py")
    name = f"_user_file_{words}"
    loader = SourceFileLoader(name, str(path))
    module = util.module_from_spec(ModuleSpec(name, loader, origin=str(path)))
    module.__file__ = str(path)
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise BadInput(
            f"{setting}: {path} cannot be imported: {type(error).__name__}: {error}",
            setting,
        ) from error
    return module


def _functions(module: ModuleType) -> tuple[str, ...]:
    return tuple(
        name
        for name, x in vars(module).items()
        if inspect.isfunction(x) and x.__module__ == module.__name__
    )


def arguments_of(function: Callable) -> Mapping[str, inspect.Parameter]:
    """The arguments of a function by name; none of one that does not tell them."""
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):
        return {}


def settings_of(function: Callable) -> tuple[str, ...]:
    """The settings that a strategy takes: keyword-only arguments that Options has."""
    parameters = arguments_of(function).values()
    return tuple(
        p.name
        for p in parameters
        if p.kind is p.KEYWORD_ONLY and p.name in Options.model_fields
    )


def kwargs_from(options: Options, function: Callable) -> dict[str, Any]:
    """The values of the settings that a strategy takes."""
    return {name: getattr(options, name) for name in settings_of(function)}


def build(
    setting: str, word: str, function: Callable, kind: type, *args: Any, **kwargs: Any
) -> Any:
    """What a function makes of its arguments.

    Args:
      setting: whose value it is, for messages.
      word: what names the function.
      function: what makes it.
      kind: what it must make.
      *args: arguments of the function.
      **kwargs: its keyword arguments.

    Raises:
      BadInput: it does not take them, makes something else, or a user's raises.
    """
    try:
        inspect.signature(function).bind(*args, **kwargs)
    except (TypeError, ValueError) as error:
        raise BadInput(
            f"{setting}: {word} cannot be called as one: {error}", setting
        ) from None
    call = partial(function, *args, **kwargs)
    made = call_user_code(setting, word, "the function", call)
    if not isinstance(made, kind):
        raise BadInput(
            f"{setting}: {word} gives {type(made).__name__}, not a {kind.__name__}",
            setting,
        )
    return made


def call_user_code(
    setting: str, word: str, part: str, function: Callable, *args: Any
) -> Any:
    """What `function` answers.

    What a user's function raises becomes one line with its place in their file. A
    BadInput is let through.

    Args:
      setting: whose value it is, for messages.
      word: what names the function, perhaps in a user's file.
      part: which part of it is called, for messages.
      function: what is called.
      *args: its arguments.
    """
    path = user_file(word)
    if path is None:
        return function(*args)
    try:
        return function(*args)
    except BadInput:
        raise
    except (Exception, SystemExit) as error:
        file = Path(path).resolve()
        frames = traceback.extract_tb(error.__traceback__)
        lines = [f.lineno for f in frames if Path(f.filename).resolve() == file]
        why = next(iter(str(error).strip().splitlines()), "")
        where = f", line {lines[-1]}" if lines else ""
        raise BadInput(
            f"{setting}: {word}: {part} raises {type(error).__name__}: {why}{where}",
            setting,
        ) from error


def guarded(setting: str, word: str, part: str, function: Callable) -> Callable:
    """A user's function whose errors are one line, see `call_user_code`."""
    return partial(call_user_code, setting, word, part, function)
