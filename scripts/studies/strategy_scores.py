"""What the scores of `compare_strategies.py` come to over seeds and problems.

`S` seeds, `K` problems of a group.
"""

import numpy as np
import pandas as pd

from bgpbt.intervals import improvement, interval, iqm, stratified_interval
from scripts.benchmarks.figures import Figure
from scripts.benchmarks.rows import Row
from scripts.studies.strategy_problems import (
    ARCHITECTURE_SEARCHERS,
    GROUPS,
    SEARCHERS,
)

# The order of columns.
STRATEGIES = tuple(dict.fromkeys(SEARCHERS + ARCHITECTURE_SEARCHERS))


def scores_of(rows: pd.DataFrame, group: str) -> dict[str, list[np.ndarray]]:
    """Scores by strategy, `[S]` of each of the group's problems that were run."""
    strategies, problems = GROUPS[group]
    own = rows[rows["problem"].isin(problems) & rows["strategy"].isin(strategies)]
    wide = own.pivot(index="seed", columns=["strategy", "problem"], values="score")
    return {name: [*wide[name].to_numpy().T] for name in strategies if name in wide}


def scaled(scores: list[np.ndarray], rival: list[np.ndarray]) -> list[np.ndarray]:
    """Of every problem 0 is the rival's mean over seeds and 1 the best there is.

    Args:
      scores: of each problem, `[..., S]`.
      rival: its scores, as many problems.
    """
    floors = [x.mean(axis=-1, keepdims=True) for x in rival]
    pairs = zip(scores, floors, strict=True)
    return [(x - floor) / (1 - floor) for x, floor in pairs]


def pooled_iqm(scores: list[np.ndarray], rival: list[np.ndarray]) -> np.ndarray:
    """Interquartile mean over seeds and problems of scaled scores, `[...]`.

    Args:
      scores: of each problem, `[..., S]`.
      rival: its scores, as many problems.
    """
    return iqm(np.concatenate(scaled(scores, rival), axis=-1))


def means_of(rows: pd.DataFrame, group: str) -> dict[str, Row]:
    """Interquartile means of a group by strategy, with their intervals."""
    scores = scores_of(rows, group)
    rival = scores.get("random")
    means = {}
    for name, own in scores.items():
        if name == "random":
            ends = stratified_interval(lambda x: pooled_iqm(x, x), own)
        else:
            ends = stratified_interval(pooled_iqm, own, rival, paired=False)
        means[name] = Row(float(pooled_iqm(own, rival)), *ends)
    return means


def summarise(rows: pd.DataFrame) -> list[Figure]:
    """The figures of every group.

    They are interquartile means; improvement on random search; paired differences to
    it, and of `bgpbt` to the others. In the end, the steps that were taken.
    """
    figures = []
    for group in GROUPS:
        for name, mean in means_of(rows, group).items():
            note = f"{mean.low:.3f} to {mean.high:.3f}"
            what = f"{group}, {name}: interquartile mean"
            figures.append(Figure(what, mean.value, "", note=note))
        scores = scores_of(rows, group)
        figures += _improvements(group, scores)
        figures += _differences(group, scores)
    return figures + _steps(rows)


def _improvements(group: str, scores: dict[str, list[np.ndarray]]) -> list[Figure]:
    figures = []
    for name, own in scores.items():
        if name == "random":
            continue
        rival = scores["random"]
        low, high = stratified_interval(improvement, own, rival, paired=False)
        value, note = float(improvement(own, rival)), f"{low:.2f} to {high:.2f}"
        what = f"{group}, {name}: better than random with probability"
        figures.append(Figure(what, value, "", note=note))
    return figures


def _differences(group: str, scores: dict[str, list[np.ndarray]]) -> list[Figure]:
    """Paired differences to random search, and of `bgpbt` to the others."""
    pairs = [(name, "random") for name in scores if name != "random"]
    if "bgpbt" in scores:
        others = (name for name in scores if name not in ("bgpbt", "random"))
        pairs += [("bgpbt", name) for name in others]
    figures = []
    for name, other in pairs:
        rival = scores["random"]
        ours, theirs = (scaled(scores[key], rival) for key in (name, other))
        difference = np.subtract(ours, theirs).mean(axis=0)
        low, high = interval(difference)
        value, note = float(difference.mean()), f"{low:+.3f} to {high:+.3f}"
        what = f"{group}, {name} less {other}: mean of pairs"
        repeats = tuple(difference)
        figures.append(Figure(what, value, "", note=note, repeats=repeats))
    return figures


def _steps(rows: pd.DataFrame) -> list[Figure]:
    """The most and the fewest steps of a strategy."""
    steps = rows.pivot(index=["problem", "seed"], columns="strategy", values="steps")
    ratios = steps.div(steps["random"], axis=0)
    most, fewest = float(ratios.max().max()), float(ratios.min().min())
    return [
        Figure("most steps that a strategy took, of random's", most, "x"),
        Figure("fewest", fewest, "x"),
    ]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean score over seeds, by problem and strategy."""
    means = rows.pivot_table(
        index="problem", columns="strategy", values="score", sort=False
    )
    return means[[name for name in STRATEGIES if name in means]]
