"""What a measurement answers with: figures, the bars they are held against, the machine they come from."""

import json
import math
import os
import platform
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table


class CannotMeasure(Exception):
    """This machine cannot give the answer; one line says why."""


@dataclass(frozen=True)
class Bar:
    """What a figure has to reach: `limit` or more (">="), `limit` or less ("<="), within a factor of it from 1 ("x")."""

    sense: str
    limit: float

    def __str__(self) -> str:
        return f"1/{self.limit:g} to {self.limit:g}" if self.sense == "x" else f"{self.sense} {self.limit:g}"


def met(value: float, bar: Bar) -> bool:
    """Whether a figure meets its bar; what is not finite never does."""
    if not math.isfinite(value):
        return False
    if bar.sense == "x":
        return 1 / bar.limit <= value <= bar.limit
    return {">=": value >= bar.limit, "<=": value <= bar.limit}[bar.sense]


@dataclass(frozen=True)
class Figure:
    """One line of a result."""

    name: str
    value: float
    unit: str  # "" for a ratio or a count
    bar: Bar | None = None
    note: str = ""
    repeats: tuple[float, ...] = ()  # what the value is the median of

    @property
    def met(self) -> bool | None:
        """Whether the bar is met, None where there is none."""
        return None if self.bar is None else met(self.value, self.bar)


@dataclass(frozen=True)
class Result:
    """The figures of one measurement."""

    benchmark: str
    settings: dict
    figures: list[Figure]
    quick: bool = False  # a smoke: the figures mean nothing
    machine: dict = field(default_factory=dict)

    @property
    def missed(self) -> list[str]:
        """Names of the figures that miss their bars."""
        return [f.name for f in self.figures if f.met is False]


def median(name: str, unit: str, values: list[float], bar: Bar | None = None, note: str = "") -> Figure:
    """A figure that is the median of repeats."""
    return Figure(name, statistics.median(values), unit, bar, note, tuple(values))


def ratio(name: str, above: list[float], below: list[float], bar: Bar | None = None, note: str = "") -> Figure:
    """The median of the repeats' own ratios: what the machine does beside them cancels."""
    return median(name, "x", [a / b for a, b in zip(above, below, strict=True)], bar, note)


def interleave(cases: dict[str, Callable[[], float]], repeats: int, say: Callable[[str], None]) -> dict[str, list[float]]:
    """Measures every case once per repeat, forwards and backwards in turn, so that a drift meets all alike."""
    found = {name: [] for name in cases}
    for repeat in range(repeats):
        for name in list(cases) if repeat % 2 == 0 else list(cases)[::-1]:
            found[name].append(cases[name]())
        say(f"repeat {repeat + 1} of {repeats}: " + ", ".join(f"{n} {number(v[-1])}" for n, v in found.items()))
    return found


def machine() -> dict:
    """Processor or accelerator, cores and versions."""
    import brax
    import jax
    import jaxlib

    from bgpbt.population import usable_cores

    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    device = jax.devices()[0]
    return {
        "cpu": cpu,
        "cores": usable_cores(),
        "accelerator": "none" if device.platform == "cpu" else device.device_kind,
        "devices": jax.device_count(),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "jax": jax.__version__,
        "jaxlib": jaxlib.__version__,
        "brax": brax.__version__,
    }


def number(value: float) -> str:
    """A figure with about four digits."""
    if not math.isfinite(value):
        return str(value)
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"


def show(result: Result) -> None:
    """Prints a result as a table."""
    title = f"{result.benchmark}{', quick: figures mean nothing' if result.quick else ''}"
    table = Table(title=title, title_justify="left", caption=sentence(result.machine), caption_justify="left")
    for name, justify in (("what", "left"), ("figure", "right"), ("unit", "left"), ("bar", "left"), ("", "left")):
        table.add_column(name, justify=justify)
    table.add_column("note", style="dim")
    words = {None: "", True: "[green]met[/]", False: "[red]missed[/]"}
    for f in result.figures:
        table.add_row(f.name, number(f.value), f.unit, str(f.bar or ""), words[f.met], f.note)
    console = Console()
    (console if console.is_terminal else Console(width=150)).print(table)


def sentence(facts: dict) -> str:
    """Facts in one line."""
    return ", ".join(f"{name} {value}" for name, value in facts.items())


def to_json(result: Result) -> dict:
    """The result as it is written: every figure with its bar and whether it is met."""
    figures = [asdict(f) | {"bar": str(f.bar) if f.bar else None, "met": f.met} for f in result.figures]
    return asdict(result) | {"figures": figures, "missed": result.missed}


def write(result: Result, path: Path) -> None:
    """Writes the result as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(to_json(result), indent=2) + "\n")
