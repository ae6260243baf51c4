"""What the page of a run shows, as plain numbers and words.

Rows are those of the records, by round and member; `charts.js` draws them.
"""

from typing import Any

import numpy as np
import pandas as pd

from bgpbt.result import Result, axis_of
from bgpbt.space import Categorical, SearchSpace
from bgpbt.storage.records import best_fitness, tidy, with_parent
from bgpbt.viz.bandit_panels import LENGTHSCALE
from bgpbt.viz.story import HOW

DIGITS = 5  # of numbers on a page
APART = 1.5  # shares that differ by less are taken for the same
CONTEXT = "fitness before the round"  # the bandit's further dimension


def run_content(run: Result) -> dict[str, Any]:
    """All that is drawn of a run.

    `won` are the rows that the winner's weights passed through, oldest first.

    Raises:
      BadInput: its records hold no round with a fitness.
    """
    rows = tidy(run.records)
    names = [name for name in run.task.space if name in rows]
    transitions = with_parent(run.records)
    place = _places(rows)
    return {
        "minimise": run.task.minimise,
        "label": run.task.return_label,
        "dimensions": [_dimension(run.task.space, name) for name in names],
        "how": HOW,
        "rounds": _rounds(rows, minimise=run.task.minimise),
        "rows": _rows(rows, transitions, names, place),
        "won": [place[key] for key in _keys(run.lineage)],
        "others": _other_parents(rows, run.task.blocks, place),
        "blocks": run.task.blocks,
        "gains": _gains(rows, transitions),
        "bandit": importance(run.records),
    }


Places = dict[tuple[int, int], int]  # of rows, by round and member


def _keys(rows: pd.DataFrame) -> list[tuple[int, int]]:
    return list(zip(rows["round"].tolist(), rows["member"].tolist(), strict=True))


def _places(rows: pd.DataFrame) -> Places:
    return {key: i for i, key in enumerate(_keys(rows))}


def _dimension(space: SearchSpace, name: str) -> dict[str, Any]:
    dim = space[name]
    low, high, is_log, *names = axis_of(dim)
    return {
        "name": name,
        "low": low,
        "high": high,
        "log": bool(is_log) and low > 0,
        "names": names[0] if isinstance(dim, Categorical) else None,
        "group": dim.group,
    }


def _rounds(rows: pd.DataFrame, *, minimise: bool) -> dict[str, list]:
    """What is one number for each round."""
    by_round = rows.groupby("round")
    fitness = by_round["fitness"]
    columns = {
        "round": by_round["round"].first(),
        "timesteps": by_round["timesteps"].max(),
        "generation": by_round["generation"].first(),
        "phase": by_round["phase"].first(),
        "seconds": by_round["seconds"].first(),
        "best": best_fitness(fitness, minimise=minimise),
        "median": fitness.median(),
        "low": fitness.quantile(0.25),
        "high": fitness.quantile(0.75),
    }
    for name in ("report", "trust_region"):
        if name in rows:
            columns[name] = by_round[name].first()
    return {name: plain(values) for name, values in columns.items()}


def _rows(
    rows: pd.DataFrame, transitions: pd.DataFrame, names: list[str], place: Places
) -> dict[str, Any]:
    """A place in each list for every row of the records.

    `parent` is the row that the weights of the first block came from, -1 for none.
    """
    parents = [-1] * len(rows)
    kept = transitions[~transitions["reinitialised"]]
    before = kept[["round_before", "member_before"]].set_axis(
        ["round", "member"], axis=1
    )
    for key, parent in zip(_keys(kept), _keys(before), strict=True):
        parents[place[key]] = place[parent]
    return {
        "round": rows["round"].tolist(),
        "member": rows["member"].tolist(),
        "timesteps": rows["timesteps"].tolist(),
        "parent": parents,
        "source": rows["source"].tolist(),
        "fitness": plain(rows["fitness"]),
        "values": {name: plain(rows[name]) for name in names},
    }


def _other_parents(
    rows: pd.DataFrame, blocks: tuple[str, ...], place: Places
) -> list[list[int]]:
    """Row, parent's row and block, where a block has a parent of its own."""
    found = []
    for number, block in enumerate(blocks):
        column = f"parent_{block}"
        if number == 0 or column not in rows:
            continue
        differs = rows[column].notna() & (rows[column] != rows["parent"])
        for i in np.flatnonzero(differs):
            row = rows.iloc[i]
            parent = place.get((row["round"] - 1, int(row[column])))
            if parent is not None:
                found.append([int(i), parent, number])
    return found


def _gains(rows: pd.DataFrame, transitions: pd.DataFrame) -> list[float | None]:
    """What each row gained in its round, in standard deviations of the round.

    It is the change of fitness less the round's median change. None where weights were
    fresh, where a member failed, and where all gained the same.
    """
    known = transitions[~transitions["reinitialised"]]
    known = known.assign(gain=known["fitness"] - known["fitness_before"])
    by_round = known.groupby("round")["gain"]
    spread = by_round.transform("std").replace(0, np.nan)
    gain = (known["gain"] - by_round.transform("median")) / spread
    index = pd.MultiIndex.from_frame(known[["round", "member"]])
    wanted = pd.MultiIndex.from_frame(rows[["round", "member"]])
    return plain(pd.Series(gain.to_numpy(), index).reindex(wanted))


def importance(records: pd.DataFrame) -> dict[str, Any] | None:
    """How much each dimension matters to the bandit: shares of inverse lengthscales.

    A fit says how long a way through the unit cube changes the fitness; every round has
    a fit of its own, and how much they differ is how sure they are.

    Args:
      records: of a run.

    Returns:
      `names`, `share` (median of the last half of the fits), `low` and `high` (of nine
      tenths of them), and `told_apart`: whether one dimension's interval lies above
      another's by a factor of `APART` or more. None where no bandit chose.
    """
    fits = records.groupby("round").first().filter(like=LENGTHSCALE)
    fits = fits.astype(float).dropna()
    if fits.empty:
        return None
    inverse = 1 / fits.iloc[len(fits) // 2 :]
    share = inverse.div(inverse.sum(axis=1), axis=0)
    names = [str(name).removeprefix(LENGTHSCALE) for name in share]
    low, middle, high = (share.quantile(q) for q in (0.05, 0.5, 0.95))
    return {
        "names": [CONTEXT if n == "context" else n for n in names],
        "share": plain(middle),
        "low": plain(low),
        "high": plain(high),
        "fits": len(inverse),
        "told_apart": bool(low.max() >= APART * high.min()),
    }


def plain(values: pd.Series) -> list:
    """Numbers with five digits, None where there is none; words as they are."""
    if not pd.api.types.is_numeric_dtype(values):
        return values.tolist()
    if not pd.api.types.is_float_dtype(values):
        return values.tolist()
    return [
        float(f"{x:.{DIGITS}g}") if np.isfinite(x) else None for x in values.tolist()
    ]
