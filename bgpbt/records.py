"""Read the records of a run: who descends from whom, who was replaced, who won.

Records hold one row per round and member; in a tournament (`phase` candidates or distillation) its candidates are the
members. `parent` is the member from which the row's member took its weights at the start of that round, or its number
before candidates were sorted out, or its teacher: a row's history continues at that parent in the round before.
"""

import numpy as np
import pandas as pd


def tidy(records: pd.DataFrame) -> pd.DataFrame:
    """The rows by round and member; a fitness that is not finite becomes NaN, no parent oneself."""
    rows = records.sort_values(["round", "member"]).reset_index(drop=True)
    fitness = rows["fitness"].astype(float)
    return rows.assign(fitness=fitness.where(np.isfinite(fitness)), parent=rows["parent"].fillna(rows["member"]).astype(int))


def with_parent(records: pd.DataFrame) -> pd.DataFrame:
    """Each row that has a round before it, joined with its parent's row of that round (columns ending in `_before`).

    `afresh`: the member began the round with fresh weights, for it is no older than the round, and its parent is. A student's
    age begins anew, but its history does not.
    """
    rows = tidy(records)
    before = rows.add_suffix("_before").assign(round=rows["round"] + 1, parent=rows["member"])
    steps = rows.merge(before, on=["round", "parent"])
    if "age" not in steps:
        return steps.assign(afresh=False)
    slots = pd.MultiIndex.from_arrays([steps["round"] - 1, steps["member"]])
    began = rows.set_index(["round", "member"])["timesteps"].reindex(slots).to_numpy()
    ordinary = (steps["phase"] == "training") & (steps["phase_before"] == "training")
    return steps.assign(afresh=ordinary & (steps["age_before"] > 0) & (steps["age"] == steps["timesteps"] - began))


def lineage(records: pd.DataFrame, round: int, member: int) -> pd.DataFrame:
    """The rows through which the weights of `member` at `round` passed, oldest first; they end where weights began afresh."""
    rows = tidy(records)
    places = {key: place for place, key in enumerate(zip(rows["round"], rows["member"], strict=True))}
    if (round, member) not in places:
        raise KeyError(f"no record of member {member} in round {round}")
    steps, chain = with_parent(records), []
    fresh = set(steps.loc[steps["afresh"], ["round", "member"]].itertuples(index=False, name=None))
    while (round, member) in places:
        chain.append(places[round, member])
        if (round, member) in fresh:
            break
        round, member = round - 1, rows["parent"].iloc[chain[-1]]
    return rows.iloc[chain[::-1]].reset_index(drop=True)


def replacements(records: pd.DataFrame) -> pd.DataFrame:
    """The rows in which a member started its round from another member's weights.

    A student, whose weights are new, and a survivor of a tournament, which has another number since, are none.
    """
    steps = with_parent(records)
    ordinary = (steps["phase"] == "training") & (steps["phase_before"] == "training")
    return steps.loc[ordinary & (steps["parent"] != steps["member"]), list(records)].reset_index(drop=True)


def best_member(records: pd.DataFrame, round: int | None = None) -> int | None:
    """The member with the highest fitness in `round` (the last one by default); None if every member failed."""
    rows = tidy(records)
    rows = rows[rows["round"] == (rows["round"].max() if round is None else round)].dropna(subset="fitness")
    return None if rows.empty else int(rows.loc[rows["fitness"].idxmax(), "member"])
