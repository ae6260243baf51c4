"""What a measurement answers: figures, and the targets that they are held against."""

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field

from bgpbt.config.errors import CommandError


class CannotMeasure(CommandError):
    """This machine cannot give the answer; one line says why."""

    exit_code = 2


@dataclass(frozen=True)
class Target:
    """What a figure has to reach.

    ">=": `limit` or more. "<=": `limit` or less. "x": within a factor of `limit` from
    1.
    """

    sense: str
    limit: float

    def __str__(self) -> str:
        if self.sense == "x":
            return f"1/{self.limit:g} to {self.limit:g}"
        return f"{self.sense} {self.limit:g}"


def met(value: float, target: Target) -> bool:
    """Whether a figure meets its target; what is not finite never does."""
    if not math.isfinite(value):
        return False
    if target.sense == "x":
        return 1 / target.limit <= value <= target.limit
    return {">=": value >= target.limit, "<=": value <= target.limit}[target.sense]


@dataclass(frozen=True)
class Figure:
    """One line of a result."""

    name: str
    value: float
    unit: str  # "" for a ratio or a count
    target: Target | None = None
    note: str = ""
    repeats: tuple[float, ...] = ()  # what the value is the median of

    @property
    def met(self) -> bool | None:
        """Whether the target is met, None where there is none."""
        return None if self.target is None else met(self.value, self.target)


@dataclass(frozen=True)
class Result:
    """The figures of one measurement."""

    benchmark: str
    settings: dict
    figures: list[Figure]
    quick: bool = False  # only shows that it works: the figures mean nothing
    machine: dict = field(default_factory=dict)

    @property
    def missed(self) -> list[str]:
        """Names of the figures that miss their targets."""
        return [f.name for f in self.figures if f.met is False]


def median(
    name: str,
    unit: str,
    values: list[float],
    target: Target | None = None,
    note: str = "",
) -> Figure:
    """A figure that is the median of repeats."""
    return Figure(name, statistics.median(values), unit, target, note, tuple(values))


def ratio(
    name: str,
    above: list[float],
    below: list[float],
    target: Target | None = None,
    note: str = "",
) -> Figure:
    """The median of the repeats' own ratios.

    What else the machine does in a repeat slows both sides, and cancels.
    """
    ratios = [a / b for a, b in zip(above, below, strict=True)]
    return median(name, "x", ratios, target, note)


def interleave(
    cases: dict[str, Callable[[], float]], repeats: int, say: Callable[[str], None]
) -> dict[str, list[float]]:
    """Measures every case once per repeat.

    The order turns around after each repeat, so that a drift meets all cases alike.

    Args:
      cases: what is measured, by name.
      repeats: measurements of each.
      say: hears the figures of every repeat.

    Returns:
      The measurements of each case, in the order of the repeats.
    """
    measured = {name: [] for name in cases}
    for repeat in range(repeats):
        for name in list(cases) if repeat % 2 == 0 else list(cases)[::-1]:
            measured[name].append(cases[name]())
        last = ", ".join(f"{n} {number(v[-1])}" for n, v in measured.items())
        say(f"repeat {repeat + 1} of {repeats}: {last}")
    return measured


def number(value: float) -> str:
    """A figure with about four digits."""
    if not math.isfinite(value):
        return str(value)
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"
