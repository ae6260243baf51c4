"""Read the records of a run: who descends from whom, who was replaced, who won.

Records hold one row per round and member. `parent` is the member from which the row's member took its weights at the
start of that round, so a row's history continues at that parent in the round before.
"""

import numpy as np
import pandas as pd


def members_only(records: pd.DataFrame) -> pd.DataFrame:
    """The rows of real members by round and member; a fitness that is not finite becomes NaN, no parent oneself."""
    rows = records[records["member"] >= 0].sort_values(["round", "member"]).reset_index(drop=True)
    fitness = rows["fitness"].astype(float)
    return rows.assign(fitness=fitness.where(np.isfinite(fitness)), parent=rows["parent"].fillna(rows["member"]).astype(int))


def with_parent(records: pd.DataFrame) -> pd.DataFrame:
    """Each row that has a round before it, joined with its parent's row of that round (columns ending in `_before`)."""
    rows = members_only(records)
    before = rows.add_suffix("_before").assign(round=rows["round"] + 1, parent=rows["member"])
    return rows.merge(before, on=["round", "parent"])


def lineage(records: pd.DataFrame, round: int, member: int) -> pd.DataFrame:
    """The rows through which the weights of `member` at `round` passed, oldest first."""
    rows = members_only(records)
    places = {key: place for place, key in enumerate(zip(rows["round"], rows["member"], strict=True))}
    if (round, member) not in places:
        raise KeyError(f"no record of member {member} in round {round}")
    chain = []
    while (round, member) in places:
        chain.append(places[round, member])
        round, member = round - 1, rows["parent"].iloc[chain[-1]]
    return rows.iloc[chain[::-1]].reset_index(drop=True)


def replacements(records: pd.DataFrame) -> pd.DataFrame:
    """The rows in which a member started its round from another member's weights."""
    rows = members_only(records)
    return rows[rows["parent"] != rows["member"]].reset_index(drop=True)


def best_member(records: pd.DataFrame, round: int | None = None) -> int | None:
    """The member with the highest fitness in `round` (the last one by default); None if every member failed."""
    rows = members_only(records)
    rows = rows[rows["round"] == (rows["round"].max() if round is None else round)].dropna(subset="fitness")
    return None if rows.empty else int(rows.loc[rows["fitness"].idxmax(), "member"])
