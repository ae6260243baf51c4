"""Figures of `fitness_ways.py`: how each way ranks, where it errs, what it costs."""

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

from scripts.benchmarks.figures import Figure

WAYS = ("evaluation", "training", "concurrent")
STAGES = ("early", "middle", "late")
# A cheaper way may be the default where its tau is this near the evaluation's in every
# stage.
SLACK = 0.05


def tau(fitness: np.ndarray, truth: np.ndarray) -> float:
    """Kendall's tau over members; 0 where all are equal and there is no ranking.

    Args:
      fitness: NaN ranks last, as it does for a strategy. Shape `[P]`.
      truth: shape `[P]`.
    """
    ranked = np.where(np.isnan(fitness), -np.inf, fitness)
    statistic = float(kendalltau(ranked, truth).statistic)
    return 0.0 if np.isnan(statistic) else statistic


def taus(table: pd.DataFrame) -> pd.DataFrame:
    """Tau of each way in every measured round, with the stage of training."""
    rows = []
    for (seed, number), part in table.groupby(["seed", "round"]):
        rounds = int(part["rounds"].iloc[0])
        stage = STAGES[min(3 * (number - 1) // rounds, 2)]
        row = {"seed": seed, "round": number, "stage": stage}
        rows.append(row | {way: tau(part[way], part["truth"]) for way in WAYS})
    return pd.DataFrame(rows)


def acceptable(mean: pd.DataFrame, way: str) -> bool:
    """Whether a way ranks as the evaluation does.

    Its mean tau is at most `SLACK` below the evaluation's in every stage.
    """
    return bool((mean[way] >= mean["evaluation"] - SLACK).all())


def summarise(table: pd.DataFrame, episode: int) -> list[Figure]:
    """Tau by stage, bias by episode length, cost of a round.

    Args:
      table: one row for every member and measured round.
      episode: decisions of a whole one.
    """
    ranks = taus(table)
    stages = [stage for stage in STAGES if stage in set(ranks["stage"])]
    mean = ranks.groupby("stage")[list(WAYS)].mean().reindex(stages)
    figures = []
    for way in WAYS:
        for stage, value in mean[way].items():
            note = _spread(ranks, way, stage)
            figures.append(Figure(f"{way}: tau, {stage}", value, "", note=note))
        figures += _errors(table, way, episode)
        figures += _costs(table, way)
        if way != "evaluation":
            figures.append(_verdict(mean, way))
    return figures


def _spread(ranks: pd.DataFrame, way: str, stage: str) -> str:
    part = ranks.loc[ranks["stage"] == stage, way]
    return f"{len(part)} rounds, {part.min():.2f} to {part.max():.2f}"


def _errors(table: pd.DataFrame, way: str, episode: int) -> list[Figure]:
    """Bias where episodes are whole and where they are cut short."""
    error = table[way] - table["truth"]
    cut = table["length"] < 0.95 * episode
    figures = []
    for words, part in (("whole", error[~cut]), ("cut short", error[cut])):
        what = f"{way}: bias, episodes {words}"
        members = f"{len(part)} members"
        figures.append(Figure(what, float(part.mean()), "", note=members))
    value = tau(error.to_numpy(), table["length"])
    return [*figures, Figure(f"{way}: tau of error and episode length", value, "")]


def _costs(table: pd.DataFrame, way: str) -> list[Figure]:
    """What a way takes beside the training, which costs nothing by itself."""
    figures = []
    for unit in ("steps", "seconds"):
        cost = 0.0
        if way != "training":
            training = table[f"train_{unit}"].median()
            cost = table[f"{way}_{unit}"].median() / training
        what = f"{way}: cost in {unit}"
        figures.append(Figure(what, 100 * cost, "% of training"))
    return figures


def _verdict(mean: pd.DataFrame, way: str) -> Figure:
    good = acceptable(mean, way)
    words = "may be the default" if good else "ranks worse than the evaluation"
    worst = float((mean[way] - mean["evaluation"]).min())
    what = f"{way}: tau less the evaluation's, worst stage"
    return Figure(what, worst, "", note=words)
