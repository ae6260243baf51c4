"""How a script ends: the result is printed and written, with the machine it is from."""

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from scripts.benchmarks.figures import Result, number

if TYPE_CHECKING:
    import pandas as pd

VERDICTS = {None: "", True: "[green]met[/]", False: "[red]missed[/]"}
COLUMNS = (
    ("what", "left"),
    ("figure", "right"),
    ("unit", "left"),
    ("target", "left"),
    ("", "left"),
)


def say(text: str) -> None:
    """Tells how far a script is, beside what it prints in the end."""
    print(text, file=sys.stderr, flush=True)


def finish(
    result: Result,
    args: argparse.Namespace,
    *,
    table: "pd.DataFrame | None" = None,
    draw: Callable[[Path], None] | None = None,
) -> None:
    """Prints a result, and writes what the flags ask for.

    Args:
      result: goes to `--json`.
      args: the flags of the script.
      table: goes to `--csv`.
      draw: draws the figure to a file, that of `--figure`.
    """
    show(result)
    if table is not None and args.csv:
        table.to_csv(args.csv, index=False)
    if draw is not None and args.figure:
        draw(args.figure)
    if args.json:
        write(result, args.json)


def machine() -> dict:
    """Processor or accelerator, cores and versions."""
    import brax
    import jax
    import jaxlib

    from bgpbt.execution.devices import usable_cores

    device = jax.devices()[0]
    return {
        "cpu": _processor(),
        "cores": usable_cores(),
        "accelerator": "none" if device.platform == "cpu" else device.device_kind,
        "devices": jax.device_count(),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "jax": jax.__version__,
        "jaxlib": jaxlib.__version__,
        "brax": brax.__version__,
    }


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    for line in path.read_text().splitlines() if path.exists() else []:
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def sentence(facts: dict) -> str:
    """Facts in one line."""
    return ", ".join(f"{name} {value}" for name, value in facts.items())


def show(result: Result) -> None:
    """Prints a result as a table."""
    warning = ", quick: figures mean nothing" if result.quick else ""
    table = Table(
        title=f"{result.benchmark}{warning}",
        title_justify="left",
        caption=sentence(result.machine),
        caption_justify="left",
    )
    for name, justify in COLUMNS:
        table.add_column(name, justify=justify)
    table.add_column("note", style="dim")
    for f in result.figures:
        target = str(f.target or "")
        table.add_row(f.name, number(f.value), f.unit, target, VERDICTS[f.met], f.note)
    console = Console()
    (console if console.is_terminal else Console(width=150)).print(table)


def to_json(result: Result) -> dict:
    """The result as it is written: every figure, its target, whether it is met."""
    figures = [
        asdict(f) | {"target": str(f.target) if f.target else None, "met": f.met}
        for f in result.figures
    ]
    return asdict(result) | {"figures": figures, "missed": result.missed}


def write(result: Result, path: Path) -> None:
    """Writes the result as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(to_json(result), indent=2) + "\n")
