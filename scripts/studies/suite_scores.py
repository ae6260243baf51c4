"""What the runs of `suite.py` come to over seeds and problems.

A run is scored by the area under its curve: the saved best's mean return on fresh
episodes against the steps that the whole population simulates for training and
selection, up to as many as every run of the problem has. Of every problem 0 is the best
untrained member of the screen and 1 the best of its constant configurations. `S` seeds.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from bgpbt.config.errors import BadInput
from bgpbt.intervals import improvement, iqm, stratified_interval
from scripts.benchmarks.figures import Figure
from scripts.benchmarks.report import say
from scripts.studies.suite_cells import Results
from scripts.studies.suite_profiles import SCREEN_SEED

OUTCOMES = ("area", "final")
JUDGED = "bgpbt"


class Scale(NamedTuple):
    """Of a problem, in its own returns."""

    floor: float  # untrained
    ceiling: float  # the best of many constant configurations
    steps: int  # simulated by the whole population, as many as every run has


def scale_of(screen: Results, problem: str, runs: Iterable[dict[str, Any]]) -> Scale:
    """The scale that a screen gives a problem.

    Args:
      screen: of the problem.
      problem: its name.
      runs: all that are compared on it.

    Raises:
      BadInput: no configuration learnt anything.
    """
    own = screen[SCREEN_SEED]
    if not own["final"] > own["untrained"]:
        raise BadInput(f"{problem}: nothing is learnt there, leave it out of --tasks")
    steps = min(run["env_steps"] for run in runs)
    return Scale(own["untrained"], own["final"], steps)


def area(steps: list[int], returns: list[float], untrained: float, end: int) -> float:
    """Mean of a curve between 0 and `end` steps, linear between its points.

    Args:
      steps: ascending.
      returns: at each of them.
      untrained: at 0 steps.
      end: where the last return stays, if the curve ends before.
    """
    x = np.array([0, *steps, max(end, steps[-1])], float)
    y = np.array([untrained, *returns, returns[-1]], float)
    points = np.append(x[x < end], end)
    values = np.interp(points, x, y)
    return float(np.trapezoid(values, points) / end)


def score(run: dict[str, Any], scale: Scale, outcome: str) -> float:
    """A run's score on the scale of its problem; `outcome` is one of `OUTCOMES`."""
    value = run["final"]
    if outcome == "area":
        value = area(run["steps"], run["report"], run["untrained"], scale.steps)
    return (value - scale.floor) / (scale.ceiling - scale.floor)


Studied = dict[tuple[str, str], Results]  # by problem and arm
Scores = dict[str, dict[str, np.ndarray]]  # problem -> arm -> [S], seeds paired


def comparable(results: Studied) -> Studied:
    """The arms that every problem has, on the seeds that all of them have there.

    A study may be unfinished. What is left out is said.

    Args:
      results: of problems and arms.

    Returns:
      Those of them that can be compared.
    """
    problems = list(dict.fromkeys(problem for problem, _ in results))
    arms = list(dict.fromkeys(arm for _, arm in results))
    whole = [arm for arm in arms if all((p, arm) in results for p in problems)]
    kept = {}
    for problem in problems:
        own = {arm: results[problem, arm] for arm in whole}
        seeds = sorted(set.intersection(*map(set, own.values()))) if own else []
        for arm, runs in own.items():
            if seeds:
                kept[problem, arm] = {seed: runs[seed] for seed in seeds}
    for (problem, arm), runs in results.items():
        missing = sorted(set(runs) - set(kept.get((problem, arm), ())))
        if missing:
            say(
                f"left out: {arm} on {problem}, seeds {missing}; not all arms have them"
            )
    return kept


def scores_of(results: Studied, scales: dict[str, Scale], outcome: str) -> Scores:
    """Scores of all arms of a problem.

    Args:
      results: of every problem and arm, as `comparable` gives them.
      scales: of every problem.
      outcome: one of `OUTCOMES`.
    """
    scores: Scores = {}
    for problem, scale in scales.items():
        scores[problem] = {
            arm: np.array([score(run, scale, outcome) for run in runs.values()])
            for (name, arm), runs in results.items()
            if name == problem
        }
    return scores


def mean_of_iqms(scores: list[np.ndarray]) -> np.ndarray:
    """Interquartile mean of each problem, and their mean. From `[..., S]` each."""
    return np.mean([iqm(x) for x in scores], axis=0)


def mean_difference(ours: list[np.ndarray], theirs: list[np.ndarray]) -> np.ndarray:
    """Mean paired difference of each problem, and their mean."""
    pairs = zip(ours, theirs, strict=True)
    return np.mean([(a - b).mean(axis=-1) for a, b in pairs], axis=0)


def summarise(scores: Scores, outcome: str) -> list[Figure]:
    """Interquartile means, then how `JUDGED` compares with all other arms.

    Of each problem, and of all together where there are several.
    """
    arms = list(next(iter(scores.values())))
    groups = {problem: [problem] for problem in scores}
    if len(scores) > 1:
        groups["all"] = list(scores)
    figures = []
    for name, problems in groups.items():
        own = {arm: [scores[p][arm] for p in problems] for arm in arms}
        what = f"{name}, {outcome}"
        for arm, values in own.items():
            figures.append(_figure(f"{what}: {arm}", mean_of_iqms, values))
        for arm in arms:
            if arm == JUDGED or JUDGED not in own:
                continue
            both = own[JUDGED], own[arm]
            versus = f"{what}: {JUDGED}"
            figures += [
                _figure(f"{versus} - {arm}", mean_difference, *both),
                _figure(f"{versus} above {arm}, chance", improvement, *both),
            ]
    return figures


def _figure(name: str, statistic, *scores: list[np.ndarray]) -> Figure:
    low, high = stratified_interval(statistic, *scores)
    note = f"95 %: {low:.3f} to {high:.3f}"
    return Figure(name, float(statistic(*scores)), "", note=note)
