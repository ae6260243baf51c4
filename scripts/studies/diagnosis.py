"""What the records of a run say of the decisions that were made in it.

Whoever is replaced trains beside its donor, from the same weights. Where the donor
keeps its configuration, that is a paired control: did the new configuration do better
than keeping the old one? A *gain* is a member's change of fitness in a round.
"""

import numpy as np
import pandas as pd
from scipy import stats

from bgpbt.storage.records import with_parent

# In fitness, or in its units.
_VALUES = ("fitness", "gp_fitness", "report")


def gains(records: pd.DataFrame) -> pd.DataFrame:
    """Rows of training with `gain`, and where it was predicted, `predicted`.

    Args:
      records: larger is better.
    """
    rows = with_parent(records)
    rows = rows[(rows["phase"] == "training") & ~rows["reinitialised"]]
    rows = rows.assign(gain=rows["fitness"] - rows["fitness_before"])
    if "gp_fitness" in rows:
        rows = rows.assign(predicted=rows["gp_fitness"] - rows["fitness_before"])
    return rows


def against_donor(rows: pd.DataFrame) -> pd.DataFrame:
    """Each replacement beside its donor, which has kept its configuration.

    Args:
      rows: of `gains`.

    Returns:
      Columns `round`, `source`, and `difference`: its gain less the donor's, in
      standard deviations of the gains of the round.
    """
    replaced = rows[rows["parent"] != rows["member"]]
    kept = rows[(rows["parent"] == rows["member"]) & (rows["source"] == "previous")]
    donors = kept[["round", "member", "gain"]].rename(
        columns={"member": "parent", "gain": "donor_gain"}
    )
    pairs = replaced.merge(donors, on=["round", "parent"])
    spread = rows.groupby("round")["gain"].std().rename("spread")
    pairs = pairs.join(spread, on="round")
    difference = (pairs["gain"] - pairs["donor_gain"]) / pairs["spread"]
    pairs = pairs.assign(difference=difference)
    return pairs[["round", "source", "difference"]].dropna()


def rank_correlation(rows: pd.DataFrame) -> float:
    """Mean over rounds of the rank correlation of predicted and realised gains."""
    known = rows.dropna(subset=["predicted", "gain"])
    found = [
        stats.spearmanr(own["predicted"], own["gain"]).statistic
        for _, own in known.groupby("round")
        if own["predicted"].nunique() > 1 and own["gain"].nunique() > 1
    ]
    return float(np.mean(found)) if found else float("nan")


def diagnose(records: pd.DataFrame, *, minimise: bool = False) -> dict[str, float]:
    """Figures of one run.

    Args:
      records: of a strategy whose members stay in their slots and decide every round.
      minimise: smaller fitness is better.

    Returns:
      For each source of a replacement, `SOURCE: better than keeping`, the share of
      replacements that gained more than their donor, and `SOURCE: gain less the
      donor's`, the mean in standard deviations of a round; `predicted against realised
      gain`, a rank correlation within rounds; `edge of the region`, first, median and
      last; `optimism`, how much higher the saved best's fitness was, in the round in
      which it was saved, than on fresh episodes, in standard deviations of a round.
    """
    if minimise:
        values = [name for name in _VALUES if name in records]
        records = records.assign(**{name: -records[name] for name in values})
    rows = gains(records)
    pairs = against_donor(rows)
    figures: dict[str, float] = {}
    for source, own in pairs.groupby("source"):
        better = (own["difference"] > 0) + (own["difference"] == 0) / 2
        figures[f"{source}: replacements"] = len(own)
        figures[f"{source}: better than keeping"] = float(better.mean())
        figures[f"{source}: gain less the donor's"] = float(own["difference"].mean())
    if "predicted" in rows:
        figures["predicted against realised gain"] = rank_correlation(rows)
        edge = records.groupby("round")["trust_region"].first()
        figures |= {
            "edge of the region, first": float(edge.iloc[0]),
            "edge of the region, median": float(edge.median()),
            "edge of the region, last": float(edge.iloc[-1]),
        }
    if "report" in records:
        figures["optimism"] = _optimism(records)
    return figures


def _optimism(records: pd.DataFrame) -> float:
    by_round = records.groupby("round")
    best = by_round["fitness"].max()
    is_new = best > best.cummax().shift(fill_value=-np.inf)
    excess = (best - by_round["report"].first()) / by_round["fitness"].std()
    excess = excess[is_new & np.isfinite(excess)]
    return float(excess.mean()) if len(excess) else float("nan")
