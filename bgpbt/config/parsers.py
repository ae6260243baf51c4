"""From text to values: what a command line or a YAML file may hold for a setting.

Every parser raises ValueError with words that say what would be right.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from pydantic import BeforeValidator

from bgpbt.config.errors import nearest
from bgpbt.registry import ENVIRONMENT_FAMILIES, ENVIRONMENTS, STRATEGIES, TASKS

# Settings whose words name functions, of bgpbt or of a user's file.
TABLES = {"task": TASKS, "env_name": ENVIRONMENTS, "strategy": STRATEGIES}


def real_number(value: Any) -> float:
    """A finite number. YAML reads `1e6` as text, and so does a command line."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{value!r} is not a number")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise ValueError(f"{value!r} is not a number") from None
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is not a finite number")
    return number


def whole_number(value: Any) -> int:
    """A whole number that a float64 counts exactly."""
    number = real_number(value)
    if number != int(number):
        raise ValueError(f"{value!r} is not a whole number (1_000_000 and 1e6 are)")
    if abs(number) >= 2**53:
        raise ValueError(f"{value!r} is too large to be counted exactly")
    return int(number)


def at_least(least: int, problem: str, value: Any, most: int = 2**53) -> int:
    """A whole number from `least` to `most`; `problem` says what a smaller one is."""
    number = whole_number(value)
    if number < least:
        raise ValueError(f"{value!r} is {problem}, give at least {least}")
    if number > most:
        raise ValueError(f"{value!r} is more than bgpbt can serve, give at most {most}")
    return number


positive = partial(at_least, 1, "not positive")
# Of arrays and loops that would take the memory or the time of a whole machine before
# anything is trained.
members = partial(at_least, 1, "no population", most=100_000)
devices = partial(at_least, 1, "not positive", most=1024)
generations = partial(at_least, 0, "negative", most=100)
width = partial(at_least, 1, "not positive", most=65_536)
child_epochs = partial(at_least, 1, "not positive", most=100_000)
minibatch = partial(at_least, 1, "not positive", most=65_536)
exploration = partial(at_least, 1, "not positive", most=2**22)  # the replay: 4 GB
design_layers = partial(at_least, 1, "not positive", most=15)
steps = partial(at_least, 1, "not positive", most=2**30)
image_side = partial(at_least, 5, "smaller than the largest window", most=4096)


def share(value: Any, interval: str) -> float:
    """A number in an interval, written as usual, such as `(0, 1]`."""
    number = real_number(value)
    low, high = map(float, interval[1:-1].split(","))
    above = number > low or (number == low and interval[0] == "[")
    below = number < high or (number == high and interval[-1] == "]")
    if not (above and below):
        raise ValueError(f"{value!r} lies outside {interval}")
    return number


def unless(
    word: str, meaning: Any, otherwise: Callable[[Any], Any]
) -> Callable[[Any], Any]:
    """A parser that takes one word beside what `otherwise` takes.

    Args:
      word: the word.
      meaning: what the word stands for; it is taken, too.
      otherwise: the parser of everything else.
    """

    def parse(value: Any) -> Any:
        return meaning if value is meaning or value == word else otherwise(value)

    return parse


def unchanged(value: Any) -> Any:
    """The value as it is."""
    return value


def items(value: Any) -> list[Any]:
    """`0 1 2`, `0,1,2`, `{0,1,2}`, `[0, 1, 2]` or a list of such words, flat."""
    values = value if isinstance(value, list | tuple) else [value]
    separators = str.maketrans("{}[],", "     ")
    words = [
        v.translate(separators).split() if isinstance(v, str) else [v] for v in values
    ]
    return [item for group in words for item in group]


def seed(value: Any) -> int:
    """A seed."""
    number = whole_number(value)
    if not 0 <= number < 2**32:
        raise ValueError(f"{number} lies outside 0 .. {2**32 - 1}")
    return number


def seeds(value: Any) -> tuple[int, ...]:
    """Seeds, each of them once."""
    numbers = tuple(seed(item) for item in items(value))
    if not numbers:
        raise ValueError("no seed is given, write for example 0,1,2")
    if repeated := [number for number in numbers if numbers.count(number) > 1]:
        raise ValueError(f"{repeated[0]} is given twice, each seed has its own folder")
    return numbers


def layers(value: Any) -> tuple[int, ...]:
    """Widths of a network's hidden layers, all equal."""
    widths = tuple(width(item) for item in items(value))
    if not widths:
        raise ValueError("no layer is given, write for example 64,64")
    if len(widths) > 100:
        raise ValueError(f"{len(widths)} layers are too many, give at most 100")
    if len(set(widths)) > 1:
        wrong = ",".join(map(str, widths))
        right = ",".join([str(max(widths))] * len(widths))
        raise ValueError(
            f"{wrong} has unequal widths, all layers share one, as in {right}"
        )
    return widths


def frequencies(value: Any) -> tuple[int, ...]:
    """Whole numbers that rise strictly."""
    rounds = tuple(positive(item) for item in items(value))
    if not rounds:
        raise ValueError("no number is given, write for example 1,10,25,50")
    if list(rounds) != sorted(set(rounds)):
        wrong = ",".join(map(str, rounds))
        raise ValueError(
            f"{wrong} does not rise strictly, write for example 1,10,25,50"
        )
    return rounds


def folder(value: Any) -> Any:
    """A path that is not empty."""
    if value == "":
        raise ValueError("no folder is given, write for example runs")
    return value


def user_file(word: str) -> str | None:
    """The path in `path/to/file.py:function`; None for any other word."""
    path, _, function = word.rpartition(":")
    return path if path.endswith(".py") and function.isidentifier() else None


def named_function(value: Any, setting: str) -> str:
    """A name of one of `TABLES`, or `path/to/file.py:function`.

    An environment may also be one of a package, `gymnax:NAME`.
    """
    word = str(value)
    family, _, name = word.partition(":")
    in_family = setting == "env_name" and family in ENVIRONMENT_FAMILIES
    if in_family and not name:
        raise ValueError(f"{value!r} names none of its environments, see `envs`")
    if word not in TABLES[setting] and not in_family and user_file(word) is None:
        close = nearest(word, tuple(TABLES[setting]))
        families = [f"{x}:NAME" for x in ENVIRONMENT_FAMILIES if setting == "env_name"]
        others = " or ".join([*families, "path/to/file.py:function"])
        raise ValueError(f"unknown {value!r}, {close}, or {others}")
    return value


def folder_name(value: Any) -> Any:
    """The name of one folder, not a path."""
    forbidden = ("", ".", "..")
    if isinstance(value, str) and (
        value in forbidden or set(value) & set("/\\") or not value.isprintable()
    ):
        raise ValueError(f"{value!r} is not the name of one folder")
    return value


Count = Annotated[int, BeforeValidator(positive)]
Eta = Annotated[int, BeforeValidator(partial(at_least, 2, "no reduction"))]
PopSize = Annotated[int, BeforeValidator(members)]
MaybeMembers = Annotated[int | None, BeforeValidator(unless("none", None, members))]
MaybeDevices = Annotated[int | None, BeforeValidator(unless("none", None, devices))]
Generations = Annotated[int, BeforeValidator(generations)]
MaybeCount = Annotated[int | None, BeforeValidator(unless("none", None, positive))]
Width = Annotated[int, BeforeValidator(width)]
Steps = Annotated[int, BeforeValidator(steps)]
ImageSide = Annotated[int, BeforeValidator(image_side)]
ChildEpochs = Annotated[int, BeforeValidator(child_epochs)]
Minibatch = Annotated[int, BeforeValidator(minibatch)]
Exploration = Annotated[int, BeforeValidator(exploration)]
DesignLayers = Annotated[int, BeforeValidator(design_layers)]
Layers = Annotated[tuple[int, ...], BeforeValidator(layers)]
Share = Annotated[float, BeforeValidator(partial(share, interval="[0, 1]"))]
QuantileFraction = Annotated[
    float, BeforeValidator(partial(share, interval="(0, 0.5]"))
]
Weight = Annotated[float, BeforeValidator(partial(share, interval="[0, 1e6)"))]
OpenShare = Annotated[float, BeforeValidator(partial(share, interval="(0, 1)"))]
Frequencies = Annotated[tuple[int, ...], BeforeValidator(frequencies)]
Seeds = Annotated[tuple[int, ...], BeforeValidator(seeds)]
MaybeFolderName = Annotated[
    str | None, BeforeValidator(unless("none", None, folder_name))
]
Folder = Annotated[str, BeforeValidator(folder)]
MaybeText = Annotated[str | None, BeforeValidator(unless("none", None, unchanged))]
TaskName = Annotated[str, BeforeValidator(partial(named_function, setting="task"))]
EnvName = Annotated[str, BeforeValidator(partial(named_function, setting="env_name"))]
StrategyName = Annotated[
    str, BeforeValidator(partial(named_function, setting="strategy"))
]
