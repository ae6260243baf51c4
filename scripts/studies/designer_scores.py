"""What the runs of `designers.py` come to, with the best that there is in a table."""

from typing import NamedTuple

import numpy as np

from bgpbt.result import Result
from bgpbt.tasks.nas import database, table
from bgpbt.tasks.nas.table import BASE, Table

# Rounds that stand for the beginning and the end of a trial: 1 and 5 of about 60
# episodes, or, of an agent that learns nothing, 5 and 10 of about 6.
FIRST, LAST = 1, 5
FIRST_FROZEN, LAST_FROZEN = 5, 10
TRIED = 200  # designs, the best of which a search is judged by
SCORES = ("start", "end", "gain", "report", "found")
OTHERS = ("meta, from scratch", "dqn", "uniform")
POPULATIONS = ("meta, pbt", "meta, bgpbt")


class Contrast(NamedTuple):
    """A question of the protocol: is `one` better than `other`?"""

    score: str
    one: str
    other: str
    problems: tuple[str, ...]


def contrasts(trials: tuple[str, ...], unseen: tuple[str, ...]) -> list[Contrast]:
    """The questions of the protocol, in its order.

    Args:
      trials: data sets on which agents learn, in their order.
      unseen: those on which frozen agents are judged.
    """
    first, later = trials[:1], trials[1:]
    frozen = tuple(f"{name}, frozen" for name in unseen)
    asked = [
        *(("start", "meta", other, later) for other in OTHERS),
        *(("end", "meta", other, first) for other in ("dqn", "uniform")),
        *((score, "meta", "uniform", frozen) for score in ("report", "start", "gain")),
        *(
            (score, "meta", other, problems)
            for other in ("meta, forgetful", "meta, as coded")
            for score, problems in (("end", trials), ("report", frozen))
        ),
        *(("report", name, "meta", (*trials, *frozen)) for name in POPULATIONS),
        *(("found", name, "uniform", trials) for name in ("meta", "dqn")),
    ]
    return [Contrast(*question) for question in asked]


def best_return(worths: np.ndarray, depth: int) -> float:
    """The highest reward that an episode can gather.

    Every decision is rewarded, so it is the best sum over a path of designs. A terminal
    decision gives the worth of the design once more, and ends the episode, as the last
    layer does.

    Args:
      worths: by number of the chain, NaN where it cannot be built.
      depth: layers at most.
    """
    values = np.zeros_like(worths)  # what can still be gathered after a chain
    for layers in reversed(range(depth)):
        numbers = np.arange(table.chains(layers - 1), table.chains(layers))
        children = BASE * numbers[:, None] + 1 + np.arange(BASE)
        further = np.nan_to_num(worths[children] + values[children])  # else nothing
        values[numbers] = np.fmax(worths[numbers], further.max(axis=1))
    return float(values[0])


def scores_of(result: Result, known: Table) -> dict[str, float | list[float]]:
    """What a run came to.

    Rewards are means over members, as shares of the highest that an episode can gather.

    Returns:
      `curve`, the reward of an episode in each round, of which the last 50 count;
      `start` and `end`, its means over the first and the last rounds; `gain`, how much
      more the end is; `report`, the mean of an episode in one trial of its own, in
      which nothing is learnt, of the reported member; `found`, the best of the first
      designs that were tried, as a share of the best in the table; `tried`, how many
      there were in all; `lengths` of episodes and `entropy` by round.
    """
    depth = known.settings["depth"]
    highest = best_return(known.worths, depth)
    trained = result.records[result.records["round"] > 0]
    by_round = trained.groupby("round")
    curve = by_round["fitness"].mean().to_numpy() / highest
    frozen = result.options.evaluate_only is not None
    first, last = (FIRST_FROZEN, LAST_FROZEN) if frozen else (FIRST, LAST)
    start, end = float(curve[:first].mean()), float(curve[-last:].mean())
    form = database.Form(depth)
    tried = database.read(
        result.path / "experiments.csv", result.options.problem or "", form
    )
    found = [x.accuracy for x in tried.values()]
    return {
        "curve": curve.round(4).tolist(),
        "start": start,
        "end": end,
        "gain": end - start,
        "report": result.report["mean"] / highest if result.report else float("nan"),
        "found": max(found[:TRIED]) / float(np.nanmax(known.worths)),
        "tried": len(found),
        "lengths": by_round["episode_length"].mean().round(3).tolist(),
        "entropy": by_round["entropy"].mean().round(3).tolist(),
    }
