"""Settings that hold together: the checked form of `bgpbt.config.settings`."""

import os
from typing import Any, get_args

import yaml
from pydantic import ValidationError, model_validator

from bgpbt.config import parsers
from bgpbt.config.checks import CHECKS
from bgpbt.config.errors import BadInput, nearest
from bgpbt.config.settings import Settings

# Settings that are paths of files and folders of a person.
PATHS = ("init_from", "reward_table", "database")


class Options(Settings):
    """Every setting of a run, checked.

    Frozen; saved in the run's folder, from where `-c` repeats the run.

    Raises:
      BadInput: a value is wrong, with one line that says what would be right.
    """

    def __init__(self, **values: Any):
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise _one_line(error) from None

    @model_validator(mode="after")
    def _fits_together(self) -> "Options":
        for check in CHECKS:
            check(self)
        return self

    def with_absolute_paths(self) -> "Options":
        """The same, where a user's files are known from every folder."""
        words = {name: getattr(self, name) for name in parsers.TABLES}
        absolute = {
            name: f"{os.path.abspath(path)}:{function}"
            for name, word in words.items()
            for path, _, function in [word.rpartition(":")]
            if parsers.user_file(word)
        }
        paths = {name: getattr(self, name) for name in PATHS}
        absolute |= {
            name: os.path.abspath(os.path.expanduser(path))
            for name, path in paths.items()
            if path is not None
        }
        return self.model_copy(update=absolute)

    def to_yaml(self) -> str:
        """All settings as YAML; `load_options` on that text gives equal options."""
        values = self.model_dump(mode="json")
        head = "# python main.py -c on this file repeats the run\n"
        return head + yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def choices(name: str) -> tuple[str, ...]:
    """The words that the setting `name` can take, () where it takes something else."""
    if name in parsers.TABLES:
        return tuple(parsers.TABLES[name])
    kinds = get_args(Options.model_fields[name].annotation)
    words = (word for kind in kinds for word in (get_args(kind) or [kind]))
    return tuple(word for word in words if isinstance(word, str))


def _one_line(error: ValidationError) -> BadInput:
    first = error.errors(include_url=False)[0]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, BadInput):
        return cause
    name = str(first["loc"][0])
    value = first["input"]
    if first["type"] == "extra_forbidden":
        close = nearest(name, tuple(Options.model_fields))
        return BadInput(f"unknown setting {name!r}, {close}", name)
    if first["type"] == "literal_error":
        close = nearest(str(value), choices(name))
        return BadInput(f"{name}: unknown {value!r}, {close}", name)
    if first["type"].startswith("bool_"):
        cause = f"{value!r} is neither true nor false"
    problem = cause or f"{first['msg']}, not {value!r}"
    return BadInput(f"{name}: {problem}", name)
