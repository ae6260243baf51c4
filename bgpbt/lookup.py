"""Strategies and tasks by name: the product's own, from a table that imports nothing, or a function in a person's file."""

import inspect
import sys
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module, util
from pathlib import Path
from typing import Any

from bgpbt.options import BadInput, Options, nearest


def load(setting: str, word: str, table: Mapping[str, str]) -> Callable:
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
    found = getattr(_imported(setting, Path(path)), name, None)
    if not callable(found):
        functions = _functions(sys.modules[_module_name(Path(path))])
        said = nearest(name, functions) if functions else "it has none"
        raise BadInput(f"{setting}: {path} has no function {name!r}, {said}", setting)
    return found


def _module_name(path: Path) -> str:
    return f"_own_{path.resolve().as_posix().replace('/', '_').removesuffix('.py')}"


def _imported(setting: str, path: Path):
    """The file as a module; its text is run."""
    if not path.is_file():
        raise BadInput(f"{setting}: no file {path}, give path/to/file.py:function", setting)
    name = _module_name(path)
    spec = util.spec_from_file_location(name, path)
    module = sys.modules[name] = util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise BadInput(f"{setting}: {path} cannot be imported: {type(error).__name__}: {error}", setting) from error
    return module


def _functions(module) -> tuple[str, ...]:
    return tuple(name for name, x in vars(module).items() if inspect.isfunction(x) and x.__module__ == module.__name__)


def settings_of(function: Callable) -> tuple[str, ...]:
    """The settings that a strategy takes: its keyword-only arguments that `Options` has."""
    found = inspect.signature(function).parameters.values()
    return tuple(p.name for p in found if p.kind is p.KEYWORD_ONLY and p.name in Options.model_fields)


def chosen(function: Callable, options: Options) -> dict[str, Any]:
    """Their values in `options`."""
    return {name: getattr(options, name) for name in settings_of(function)}


def made(setting: str, word: str, function: Callable, kind: type, *given: Any, **settings: Any) -> Any:
    """What a function makes of its arguments.

    Raises:
      BadInput: it does not take them, makes something else, or a person's own raises.
    """
    try:
        inspect.signature(function).bind(*given, **settings)
    except TypeError as error:
        raise BadInput(f"{setting}: {word} cannot be called as one: {error}", setting) from None
    found = attempt(setting, word, "the function", partial(function, *given, **settings))
    if not isinstance(found, kind):
        raise BadInput(f"{setting}: {word} gives {type(found).__name__}, not a {kind.__name__}", setting)
    return found


def attempt(setting: str, word: str, part: str, function: Callable, *args: Any) -> Any:
    """What `function` answers. What it raises becomes one line, with the place in a person's file if `word` names one.

    The product's own are let through: their errors are ours.
    """
    if ":" not in word:
        return function(*args)
    try:
        return function(*args)
    except BadInput:
        raise
    except (Exception, SystemExit) as error:
        file = Path(word.rpartition(":")[0]).resolve()
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).resolve() == file]
        why = next(iter(str(error).strip().splitlines()), "")
        where = f", line {lines[-1]}" if lines else ""
        raise BadInput(f"{setting}: {word}: {part} raises {type(error).__name__}: {why}{where}", setting) from error
