"""Runs of several arms beside each other: means over seeds, differences, a verdict."""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bgpbt.config.errors import BadInput
from bgpbt.intervals import interval, iqm, mean
from bgpbt.pages.content import plain
from bgpbt.result import Result
from bgpbt.storage.records import best_fitness

# By luck alone, all of S differences have one sign with a chance of 2^(1 - S), and a
# bootstrapped interval then excludes 0: below 5 % from six on.
FEWEST_SEEDS = 6


class Difference(NamedTuple):
    """Of two arms: the first less the second, over the seeds that both have."""

    first: str
    second: str
    seeds: int
    mean: float
    low: float
    high: float

    @property
    def undecided(self) -> str:
        """Why neither is better, in words; "" where one is."""
        if self.seeds < FEWEST_SEEDS:
            return f"undecided: they share fewer than {FEWEST_SEEDS} seeds"
        holds_0 = self.low <= 0 <= self.high
        return "undecided: the interval holds 0" if holds_0 else ""

    def verdict(self, *, minimise: bool) -> str:
        """Which is better, in plain words."""
        if self.undecided:
            return self.undecided
        first_wins = (self.mean < 0) if minimise else (self.mean > 0)
        better, worse = (
            (self.first, self.second) if first_wins else (self.second, self.first)
        )
        return f"{better} is better than {worse}"


def arms_of(runs: Sequence[Result]) -> dict[str, dict[int, Result]]:
    """Runs by arm and seed. An arm is what lies in the same folder.

    Raises:
      BadInput: they cannot be compared.
    """
    first = runs[0]
    arms: dict[str, dict[int, Result]] = {}
    name_of = _names(runs)
    for run in runs:
        label, other = run.options.run_label, first.options.run_label
        if label != other:
            raise BadInput(
                f"{run.path} is of {label} and {first.path} of {other}, "
                "give runs of one problem"
            )
        if run.task.return_label != first.task.return_label:
            raise BadInput(
                f"{run.path} is judged by {run.task.return_label} and {first.path} by "
                f"{first.task.return_label}, give runs with one measure"
            )
        if run.report is None:
            raise BadInput(f"{run.path} has no report yet, give finished runs")
        name = name_of[run.path.parent]
        own = arms.setdefault(name, {})
        seed = run.report.get("seed", run.options.seed[0])
        if seed in own:
            raise BadInput(
                f"{run.path} and {own[seed].path} are the same seed of {name}, "
                "give one of them"
            )
        own[seed] = run
    return arms


def _names(runs: Sequence[Result]) -> dict[Path, str]:
    """What tells the folders of runs apart: the parts of their paths that differ."""
    folders = list(dict.fromkeys(run.path.parent for run in runs))
    if len(folders) == 1:
        return {folders[0]: folders[0].name}
    parts = [folder.resolve().parts for folder in folders]
    short = min(map(len, parts))
    first = next((i for i in range(short) if len({p[i] for p in parts}) > 1), short)
    last = next((i for i in range(short) if len({p[-1 - i] for p in parts}) > 1), 0)
    return {
        folder: "/".join(own[first : len(own) - last]) or str(folder)
        for folder, own in zip(folders, parts, strict=True)
    }


def differences(arms: dict[str, dict[int, Result]]) -> list[Difference]:
    """All pairs of arms."""
    return [_difference(a, b, arms[a], arms[b]) for a, b in combinations(arms, 2)]


def _difference(
    first: str, second: str, ours: dict[int, Result], theirs: dict[int, Result]
) -> Difference:
    seeds = sorted(set(ours) & set(theirs))
    values = np.array([_score(ours[s]) - _score(theirs[s]) for s in seeds])
    if len(values) < 2:
        value = float(values[0]) if len(values) else np.nan
        return Difference(first, second, len(values), value, np.nan, np.nan)
    low, high = interval(values)
    return Difference(first, second, len(values), float(mean(values)), low, high)


def _score(run: Result) -> float:
    assert run.report is not None
    return float(run.report["mean"])


def comparison_content(arms: dict[str, dict[int, Result]]) -> dict[str, Any]:
    """All that is drawn of a comparison."""
    first = next(iter(next(iter(arms.values())).values()))
    return {
        "label": first.task.return_label,
        "minimise": first.task.minimise,
        "arms": [_arm(name, own) for name, own in arms.items()],
    }


def _arm(name: str, runs: dict[int, Result]) -> dict[str, Any]:
    scores = np.array([_score(run) for run in runs.values()])
    low, high = interval(scores, iqm) if len(scores) > 1 else (np.nan, np.nan)
    return {
        "name": name,
        "seeds": list(runs),
        "scores": scores.tolist(),
        "iqm": float(iqm(scores)),
        "low": float(low) if np.isfinite(low) else None,
        "high": float(high) if np.isfinite(high) else None,
        "curves": [_curve(run) for run in runs.values()],
    }


def _curve(run: Result) -> dict[str, list]:
    """The best fitness of each round against the steps of the whole population."""
    by_round = run.records.groupby("round")
    best = best_fitness(by_round["fitness"], minimise=run.task.minimise)
    return {
        "steps": by_round["env_steps_total"].max().tolist(),
        "best": plain(best),
    }
