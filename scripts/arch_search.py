"""Does the search for architectures find what its data favour? Its proposals on four tables over the real space.

A table gives every architecture a score. The search sees 24 random ones, each with noise of half the scores' standard
deviation, and proposes 12, as at the start of a generation; as many random ones stand beside them. What counts is the mean
true rank of the proposals among all architectures: 1 is the best, 0 the worst. Seeds are 0 to 19; the tables were committed
before the Gaussian process was first run on them.
"""

import sys
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import jax
import numpy as np
import pandas as pd
from scipy import stats

from bgpbt import space as spaces
from bgpbt.tasks.ppo import architecture_space
from scripts.bandit_regret import interval
from scripts.benchmarks import flags

SPACE = architecture_space()
SEEN, PROPOSED, NOISE, SEEDS = 24, 12, 0.5, range(20)
# Every architecture, as natural values and as 0 .. 1 in each dimension (width by its doublings).
NATURAL = np.array(list(product(*([1, 2, 3, 4, 5], [32, 64, 128, 256], [0, 1]) * 2)))
LEVEL = (np.where(np.isin(np.arange(6), (1, 4)), np.log2(np.maximum(NATURAL, 1)) - 5, NATURAL - (1, 0, 0, 1, 0, 0))) / (
    4,
    3,
    1,
    4,
    3,
    1,
)


def _interior() -> np.ndarray:
    depth, width = LEVEL[:, [0, 3]], LEVEL[:, [1, 4]]
    return -((depth - 0.5) ** 2).sum(axis=1) - ((width - 1 / 3) ** 2).sum(axis=1)


TABLES = {
    "monotone in size": LEVEL[:, [0, 1, 3, 4]].sum(axis=1),
    "best in the interior": _interior(),
    "spectral norm and value depth": LEVEL[:, 2] + LEVEL[:, 5] + LEVEL[:, 3],
    "pure noise": np.random.default_rng(2022).normal(size=len(NATURAL)),
}


def ranks(scores: np.ndarray) -> np.ndarray:
    """True rank of every architecture, from 0 (worst) to 1 (best), ties by their mean."""
    return (stats.rankdata(scores) - 1) / (len(scores) - 1)


def encoded() -> np.ndarray:
    """Every architecture in the unit cube, in the order of the tables."""
    return np.array([spaces.encode(SPACE, dict(zip(SPACE, values, strict=True))) for values in NATURAL.tolist()])


def play(table: str, seed: int, propose, config: np.ndarray) -> tuple[float, float]:
    """Mean true rank of the proposals, and of as many random architectures."""
    scores = TABLES[table]
    rng = np.random.default_rng(seed)
    seen = rng.choice(len(scores), SEEN, replace=False)
    noisy = scores[seen] + rng.normal(0, NOISE * scores.std(), SEEN)
    proposals = propose(jax.random.PRNGKey(seed), config[seen].astype(np.float32), noisy, PROPOSED)
    found = np.abs(proposals[:, None] - config).max(axis=2).argmin(axis=1)
    by_chance = rng.choice(len(scores), PROPOSED)
    true = ranks(scores)
    return float(true[found].mean()), float(true[by_chance].mean())


def parser() -> flags.Parser:
    """The flags."""
    result = flags.Parser(__doc__)
    result.add_argument("--seeds", action=flags.Span, default=SEEDS)
    result.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES), metavar="NAME", help="default: all")
    return result


@flags.answered
def main(argv: list[str]) -> int:
    """Plays all tables and prints the mean ranks with the interval of their paired differences."""
    from bgpbt.strategies.architectures import searched

    args, rows, config = parser().parse_args(argv), [], encoded()
    propose = searched(SPACE)
    for table in args.tables:
        found = np.array([play(table, seed, propose, config) for seed in args.seeds])
        low, high = interval(found[:, 0] - found[:, 1])
        rows.append((table, *found.mean(axis=0), (found[:, 0] - found[:, 1]).mean(), low, high, len(found)))
    columns = ["table", "search", "random", "difference", "low", "high", "seeds"]
    print(pd.DataFrame(rows, columns=columns).to_string(index=False, float_format=lambda x: f"{x:.3f}"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
