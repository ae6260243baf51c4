"""Read the records of a run: who descends from whom, who was replaced, who won.

Records hold one row per round and member. During a successive halving (`phase`
candidates or distillation), the candidates are the members. `parent` says where the
row's member had been in the round before. This is the member whose weights it took, its
own number before candidates were sorted out, or its teacher. The history of a row goes
on with that parent, one round earlier.
"""

from typing import Any

import numpy as np
import pandas as pd


def tidy(records: pd.DataFrame) -> pd.DataFrame:
    """Sorts and cleans the rows.

    Args:
      records: one row per round and member, in any order.

    Returns:
      A copy, by round and member. A fitness that is not finite is NaN. A member without
      a parent is its own parent.
    """
    rows = records.sort_values(["round", "member"]).reset_index(drop=True)
    fitness = rows["fitness"].astype(float)
    return rows.assign(
        fitness=fitness.where(np.isfinite(fitness)),
        parent=rows["parent"].fillna(rows["member"]).astype(int),
    )


def with_parent(records: pd.DataFrame) -> pd.DataFrame:
    """Joins each row with its parent's row of the round before.

    Args:
      records: one row per round and member.

    Returns:
      The rows that have a round before them. Columns of the parent's row end in
      `_before`. The column `reinitialised` says that the member began the round with
      fresh weights: it is no older than the round, and its parent is.
    """
    rows = tidy(records)
    before = rows.add_suffix("_before").assign(
        round=rows["round"] + 1, parent=rows["member"]
    )
    transitions = rows.merge(before, on=["round", "parent"])
    if "age" not in transitions:
        return transitions.assign(reinitialised=False)
    slots = pd.MultiIndex.from_arrays([transitions["round"] - 1, transitions["member"]])
    began = rows.set_index(["round", "member"])["timesteps"].reindex(slots).to_numpy()
    # A student's age begins anew, too, but its history goes on with its teacher.
    return transitions.assign(
        reinitialised=_between_training_rounds(transitions)
        & (transitions["age_before"] > 0)
        & (transitions["age"] == transitions["timesteps"] - began)
    )


def _between_training_rounds(transitions: pd.DataFrame) -> pd.Series:
    return (transitions["phase"] == "training") & (
        transitions["phase_before"] == "training"
    )


def lineage(records: pd.DataFrame, round: int, member: int) -> pd.DataFrame:
    """Follows the weights of a member back to where they were fresh.

    Args:
      records: one row per round and member.
      round: the round that the lineage ends with.
      member: the member of that round.

    Returns:
      The rows that the weights passed through, oldest first.

    Raises:
      KeyError: the records have no such row.
    """
    rows = tidy(records)
    keys = zip(rows["round"], rows["member"], strict=True)
    index = {key: row for row, key in enumerate(keys)}
    if (round, member) not in index:
        raise KeyError(f"no record of member {member} in round {round}")
    transitions = with_parent(records)
    starts = transitions.loc[transitions["reinitialised"], ["round", "member"]]
    starts = set(starts.itertuples(index=False, name=None))
    path = []
    while (round, member) in index:
        path.append(index[round, member])
        if (round, member) in starts:
            break
        round, member = round - 1, rows["parent"].iloc[path[-1]]
    return rows.iloc[path[::-1]].reset_index(drop=True)


def winner_lineage(
    records: pd.DataFrame,
    winner: tuple[int, int] | None = None,
    *,
    minimise: bool = False,
) -> pd.DataFrame:
    """Follows the weights of the winner back to where they were fresh.

    Args:
      records: one row per round and member.
      winner: round and member; None: the best member of the last round.
      minimise: smaller fitness is better.

    Returns:
      The rows that the weights passed through, oldest first. No rows if every member of
      the last round failed.
    """
    if winner is None:
        member = best_member(records, minimise=minimise)
        if member is None:
            return tidy(records).iloc[:0]
        winner = (int(records["round"].max()), member)
    return lineage(records, *winner)


def replacements(records: pd.DataFrame) -> pd.DataFrame:
    """Selects the rows whose member began the round with another member's weights.

    A student is none of them, for its weights are new. Neither is a candidate that
    survived: only its number has changed.

    Args:
      records: one row per round and member.

    Returns:
      Those rows, with the columns of `records`.
    """
    transitions = with_parent(records)
    replaced = _between_training_rounds(transitions) & (
        transitions["parent"] != transitions["member"]
    )
    return transitions.loc[replaced, list(records)].reset_index(drop=True)


def best_member(
    records: pd.DataFrame, round: int | None = None, *, minimise: bool = False
) -> int | None:
    """Finds the member with the best fitness of a round.

    Args:
      records: one row per round and member.
      round: which round; None: the last one.
      minimise: smaller fitness is better.

    Returns:
      The member's number; None if every member failed.
    """
    rows = tidy(records)
    round = rows["round"].max() if round is None else round
    rows = rows[rows["round"] == round].dropna(subset="fitness")
    if rows.empty:
        return None
    return int(best_row(rows, minimise=minimise)["member"])


def best_row(rows: pd.DataFrame, *, minimise: bool = False) -> pd.Series:
    """The row with the best fitness, the first of equal ones.

    Args:
      rows: records, one of them with a fitness.
      minimise: smaller fitness is better.
    """
    arg = np.nanargmin if minimise else np.nanargmax
    return rows.iloc[int(arg(rows["fitness"]))]


def best_fitness(fitness: Any, *, minimise: bool = False) -> Any:
    """The best fitness; NaN = failed does not count.

    Args:
      fitness: a column of the records, or that column grouped, such as by round.
      minimise: smaller fitness is better.
    """
    return fitness.min() if minimise else fitness.max()
