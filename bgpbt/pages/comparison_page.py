"""The page of several runs."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np

from bgpbt.files import write
from bgpbt.pages.comparison import (
    Difference,
    arms_of,
    comparison_content,
    differences,
)
from bgpbt.pages.html import page, place, section, table
from bgpbt.result import Result
from bgpbt.viz.formatting import counted, format_count, format_number


def write_comparison_page(runs: Sequence[Result], path: Path) -> None:
    """Writes the page of runs of one problem.

    Args:
      runs: finished ones.
      path: of the file.

    Raises:
      BadInput: the runs cannot be compared.
      NotSaved: the file cannot be written.
    """
    arms = arms_of(runs)
    content = comparison_content(arms)
    found = differences(arms)
    minimise = content["minimise"]
    problem = runs[0].options.run_label
    title = f"{problem}: {counted(len(arms), 'arm')}, {counted(len(runs), 'run')}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        *(f'<p class="lead">{escape(line)}</p>' for line in verdicts(found, minimise)),
        section(
            "What the reported members get",
            f"Mean {content['label']} on fresh episodes that no selection has seen: a "
            "mark for each seed, the interquartile mean (Agarwal et al., 2021) and its "
            "95 % interval, bootstrapped over seeds.",
            place("scores") + _arm_table(content),
        ),
        section(
            "Differences",
            "Paired by seed, with 95 % intervals, bootstrapped over seeds. An arm is "
            "called better only where the interval excludes 0, and of six seeds or "
            "more: with fewer, luck alone does that too often.",
            table(
                [_row(d, minimise) for d in found],
                ["arms", "seeds", "mean difference", "95 %", "verdict"],
            ),
        )
        if found
        else "",
        section(
            "Learning curves",
            "The best fitness of each round, against the environment steps of the "
            "whole population. Selection has seen it, so it flatters; it is no score.",
            place("curves"),
        ),
        section("Runs", "", _run_table(runs)),
    ]
    scripts = ["charts.js", "comparison_page.js"]
    write(path, page(title, "\n".join(parts), content, scripts))


def verdicts(found: Sequence[Difference], minimise: bool) -> list[str]:
    """What the differences say, in plain words."""
    if not found:
        return ["There is one arm: nothing to compare it with."]
    decided = [d for d in found if not d.undecided]
    lines = [f"{d.verdict(minimise=minimise)}." for d in decided]
    left = len(found) - len(decided)
    if not decided:
        return ["Undecided: these seeds do not tell the arms apart."]
    return [*lines, f"{counted(left, 'pair')} undecided."] if left else lines


def _row(difference: Difference, minimise: bool) -> list[str]:
    low, high = difference.low, difference.high
    known = np.isfinite(low)
    return [
        f"{difference.first} less {difference.second}",
        str(difference.seeds),
        format_number(difference.mean),
        f"{format_number(low)} to {format_number(high)}" if known else "-",
        difference.verdict(minimise=minimise),
    ]


def _arm_table(content: dict) -> str:
    rows = []
    for arm in content["arms"]:
        known = arm["low"] is not None
        ends = f"{format_number(arm['low'])} to {format_number(arm['high'])}"
        rows.append(
            [
                arm["name"],
                str(len(arm["seeds"])),
                format_number(arm["iqm"]),
                ends if known else "one seed has no interval",
            ]
        )
    return table(rows, ["arm", "seeds", "interquartile mean", "95 %"])


def _run_table(runs: Sequence[Result]) -> str:
    rows = []
    for run in runs:
        assert run.report is not None
        rows.append(
            [
                str(run.path),
                format_count(run.report["timesteps"]),
                format_count(run.report.get("env_steps_total")),
                format_number(run.report["mean"]),
            ]
        )
    head = ["folder", "timesteps per member", "environment steps in all", "report"]
    return table(rows, head)
