"""What a user asks of the search space, read from text; no task is known here.

    learning_rate=1e-5:1e-2:log       a range, and its scale
    discounting=0.9:0.999:default=0.97
    discounting=log_complement        only another scale
    activation=tanh,silu              some of the choices

In YAML a list or a mapping says the same: `[1e-5, 1e-2, log]`,
`{low: 1e-5, high: 1e-2, scale: log, default: 1e-3}`.
"""

from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator

from bgpbt.config.errors import nearest
from bgpbt.config.parsers import real_number

SCALES = ("linear", "log", "log_complement", "doubling")
_DEFAULT = "default="
_KEYS = ("low", "high", "scale", "default", "choices")
EXAMPLE = "learning_rate=1e-5:1e-2:log"


class Change(NamedTuple):
    """How a dimension is to differ from the task's; None or () where it does not."""

    low: float | None = None
    high: float | None = None
    scale: str | None = None  # one of `SCALES`
    default: str | None = None  # a number, or the name of a choice
    choices: tuple[str, ...] = ()


def parse_change(text: str) -> Change:
    """Reads `LOW:HIGH`, a scale, `default=VALUE` and `A,B`, joined by colons.

    Raises:
      ValueError: it is none of these; says what would be right.
    """
    numbers: list[float] = []
    given: dict[str, Any] = {}
    for word in map(str.strip, text.split(":")):
        if _is_number(word):
            numbers.append(real_number(word))
            continue
        field, value = _field(word)
        # A word beside a range or a scale is a misspelt one, and no choice.
        if not word or (field == "choices" and (numbers or "scale" in given)):
            close = nearest(word, (*SCALES, _DEFAULT))
            raise ValueError(
                f"{word!r} in {text!r} is no number, no scale and no default, {close}"
            )
        if field in given:
            raise ValueError(f"{text!r} has {field} twice, keep one")
        given[field] = value
    if len(numbers) not in (0, 2):
        raise ValueError(
            f"{text!r} has {len(numbers)} of the two ends of a range, "
            f"write for example {EXAMPLE}"
        )
    low, high = numbers or (None, None)
    return Change(low=low, high=high, **given)


def _field(word: str) -> tuple[str, Any]:
    """Which field of a `Change` a word that is no number belongs to, and its value."""
    if word in SCALES:
        return "scale", word
    if word.startswith(_DEFAULT):
        return "default", word.removeprefix(_DEFAULT)
    return "choices", _choices(word) if word else ()


def _choices(word: str) -> tuple[str, ...]:
    choices = tuple(choice.strip() for choice in word.split(","))
    if len(set(choices)) < len(choices) or "" in choices:
        raise ValueError(f"{word!r} has a choice that is empty or given twice")
    return choices


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def changes(value: Any) -> dict[str, str]:
    """The text of every dimension's change, by name.

    Args:
      value: a mapping as YAML has it, or one or several texts `NAME=CHANGE`.

    Raises:
      ValueError: a change cannot be read.
    """
    texts = {name: _as_text(name, x) for name, x in _pairs(value, EXAMPLE).items()}
    for name, text in texts.items():
        try:
            parse_change(text)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return texts


def values(value: Any) -> dict[str, str]:
    """The text of every fixed value, by name; see `changes`."""
    texts = {}
    for name, x in _pairs(value, "discounting=0.99").items():
        if not isinstance(x, str | int | float) or isinstance(x, bool) or x == "":
            raise ValueError(f"{name}: {x!r} is not one value")
        texts[name] = str(x).strip()
    return texts


def _pairs(value: Any, example: str) -> dict[str, Any]:
    if isinstance(value, dict):
        return {str(name): x for name, x in value.items()}
    words = value if isinstance(value, list | tuple) else [value]
    pairs: dict[str, Any] = {}
    for word in words:
        name, equals, text = str(word).partition("=")
        if not equals or not name.strip() or not text.strip():
            raise ValueError(f"{word!r} is not NAME=..., write for example {example}")
        if name.strip() in pairs:
            raise ValueError(f"{name.strip()} is given twice, keep one")
        pairs[name.strip()] = text.strip()
    return pairs


def _as_text(name: str, x: Any) -> str:
    """The text of a change that YAML may have as a list or a mapping."""
    if isinstance(x, dict):
        if unknown := [key for key in x if key not in _KEYS]:
            close = nearest(str(unknown[0]), _KEYS)
            raise ValueError(f"{name}: unknown {unknown[0]!r}, {close}")
        if ("low" in x) != ("high" in x):
            raise ValueError(f"{name}: one of low and high is missing")
        parts = [x[key] for key in ("low", "high", "scale") if key in x]
        if "choices" in x:
            parts.append(_joined(name, x["choices"]))
        if "default" in x:
            parts.append(f"{_DEFAULT}{x['default']}")
        return ":".join(map(str, parts))
    if isinstance(x, list | tuple):
        words = [str(item) for item in x]
        is_range = any(_is_number(word) or word in SCALES for word in words)
        return ":".join(words) if is_range else ",".join(words)
    if not isinstance(x, str):
        # YAML reads 2:16 as a number of minutes and seconds.
        raise ValueError(
            f'{name}: {x!r} is no range, write [LOW, HIGH] or "LOW:HIGH" in quotes'
        )
    return x.strip()


def _joined(name: str, choices: Any) -> str:
    """Choices as one text, from a text or a list."""
    if isinstance(choices, list | tuple) and choices:
        return ",".join(map(str, choices))
    if not isinstance(choices, str):
        raise ValueError(f"{name}: choices {choices!r} are no list, write [A, B]")
    return choices


Changes = Annotated[dict[str, str], BeforeValidator(changes)]
Values = Annotated[dict[str, str], BeforeValidator(values)]
