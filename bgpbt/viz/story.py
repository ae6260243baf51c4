"""What became of the members of a run, in words, read from its records."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bgpbt.storage.records import with_parent
from bgpbt.viz.formatting import format_value

# Where a configuration came from, behind a change of it.
HOW = {
    "random": "at random",
    "perturbed": "by perturbation",
    "resampled": "drawn anew",
    "gp": "by the bandit",
    "mixed": "mixed",
    "mutated": "by mutation",
}


def story(
    records: pd.DataFrame,
    names: Sequence[str],
    blocks: Sequence[str],
    first: int = 1,
) -> dict[int, list[str]]:
    """What happened before each round of training, and who failed in it.

    Args:
      records: one row per round and member.
      names: of the searched dimensions.
      blocks: of weights, all of them.
      first: the round to begin with.

    Returns:
      Phrases by round, such as "member 3 took member 6's weights; learning_rate
      0.00031 -> 0.00017 by the bandit".
    """
    rows = with_parent(records)
    rows = rows[rows["round"] >= first]
    told: dict[int, list[str]] = {}
    for values in rows.to_dict("records"):
        row: dict[Any, Any] = values
        phrases = told.setdefault(int(row["round"]), [])
        if row["phase"] == row["phase_before"] == "training":
            took, changed = _weights(row, blocks), _configuration(row, names)
            if took or changed:
                member = f"member {row['member']}"
                words = [f"{member} {took}" if took else "", changed]
                words = [w for w in words if w]
                phrases.append("; ".join(words) if took else f"{member}: {changed}")
        if np.isnan(row["fitness"]):
            phrases.append(f"member {row['member']} failed")
    _tell_generations(rows, told)
    return told


def _weights(row: dict[Any, Any], blocks: Sequence[str]) -> str:
    """Whose weights a member took; "" where it kept its own."""
    if row["reinitialised"]:
        return "began with fresh weights"
    parents = [
        row["parent"],
        *(row.get(f"parent_{b}", row["parent"]) for b in blocks[1:]),
    ]
    parents = [row["member"] if pd.isna(p) else int(p) for p in parents]
    if len(set(parents)) == 1:
        taken = parents[0] != row["member"]
        return f"took member {parents[0]}'s weights" if taken else ""
    parts: dict[int, list[str]] = {}
    for block, parent in zip(blocks, parents, strict=True):
        parts.setdefault(parent, []).append(block)
    of_others = [
        f"member {parent}'s {' and '.join(own)}"
        for parent, own in parts.items()
        if parent != row["member"]
    ]
    return f"took {', '.join(of_others)}"


def _configuration(row: dict[Any, Any], names: Sequence[str]) -> str:
    """What is different from the parent's configuration of the round before."""
    changes = [
        f"{name} {format_value(row[f'{name}_before'])} -> {format_value(row[name])}"
        for name in names
        if name in row
        and row[name] != row[f"{name}_before"]
        and not (pd.isna(row[name]) and pd.isna(row[f"{name}_before"]))
    ]
    if not changes:
        return ""
    how = HOW.get(row["source"], "")
    return f"{', '.join(changes)} {how}".rstrip()


def _tell_generations(rows: pd.DataFrame, told: dict[int, list[str]]) -> None:
    begun = rows[rows["generation"] != rows["generation_before"]]
    for values in begun.drop_duplicates("round").to_dict("records"):
        row: dict[Any, Any] = values
        line = f"generation {row['generation']} began ({row['why']})"
        told[row["round"]].insert(0, line)
