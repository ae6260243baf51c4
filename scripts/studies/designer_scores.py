"""What the runs of `designers.py` come to, with the best that there is in a table."""

import numpy as np

from bgpbt.result import Result
from bgpbt.tasks.nas import database, table
from bgpbt.tasks.nas.table import BASE, Table

LAST = 5  # rounds that stand for the end of a trial


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
    """Figures of a run, all as shares of the best in the table.

    Returns:
      `curve`, the reward of an episode after each round, of the best member; `end`, its
      mean over the last rounds; `start`, that of the first round; `report`, on fresh
      episodes of a new trial; `found`, the best design of all; `tried`, how many there
      were; `lengths`, layers of a design by round; `entropy` by round.
    """
    depth = known.settings["depth"]
    highest = best_return(known.worths, depth)
    trained = result.records[result.records["round"] > 0]
    best = trained.loc[trained.groupby("round")["fitness"].idxmax()]
    curve = best["fitness"].to_numpy() / highest
    tried = database.read(
        result.path / "experiments.csv", result.options.problem or "", depth
    )
    found = max(x.accuracy for x in tried.values())
    return {
        "curve": curve.round(4).tolist(),
        "start": float(curve[0]),
        "end": float(curve[-LAST:].mean()),
        "report": result.report["mean"] / highest if result.report else float("nan"),
        "found": found / float(np.nanmax(known.worths)),
        "tried": len(tried),
        "lengths": best["episode_length"].round(3).tolist(),
        "entropy": best["entropy"].round(3).tolist(),
    }
