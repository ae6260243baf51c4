"""Does the search for architectures find what its data favour?

Its proposals on four tables over the real space. A table gives every architecture a
score. The search sees 24 random ones, each with noise of half the scores' standard
deviation, and proposes 12, as at the start of a generation; as many random ones stand
beside them. What counts is the mean true rank of the proposals among all architectures:
1 is the best, 0 the worst. Seeds are 0 to 19; the tables were committed before the
Gaussian process was first run on them.
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
from bgpbt.gp.architectures import Propose, make_architecture_search
from bgpbt.intervals import interval
from bgpbt.tasks.ppo.spaces import architecture_space
from scripts.benchmarks import flags

SPACE = architecture_space()
SEEN = 24
PROPOSED = 12
NOISE = 0.5  # of the standard deviation of the scores
SEEDS = range(20)
# Every architecture in natural values: depth, width and spectral norm of both networks.
NATURAL = np.array(list(product(*([1, 2, 3, 4, 5], [32, 64, 128, 256], [0, 1]) * 2)))


def _levels() -> np.ndarray:
    """Every architecture, each dimension from 0 to 1, widths by their doublings."""
    is_width = np.isin(np.arange(6), (1, 4))
    doublings = np.log2(np.maximum(NATURAL, 1)) - 5
    levels = np.where(is_width, doublings, NATURAL - (1, 0, 0, 1, 0, 0))
    return levels / (4, 3, 1, 4, 3, 1)


LEVEL = _levels()


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
    """True rank of every architecture, 0 the worst, 1 the best, ties by their mean."""
    return (stats.rankdata(scores) - 1) / (len(scores) - 1)


def encoded() -> np.ndarray:
    """Every architecture in the unit cube, in the order of the tables. `[A, D]`."""
    return np.array(
        [
            spaces.encode(SPACE, dict(zip(SPACE, values, strict=True)))
            for values in NATURAL.tolist()
        ]
    )


def play(
    table: str, seed: int, propose: Propose, config: np.ndarray
) -> tuple[float, float]:
    """Mean true rank of the proposals, and of as many random architectures.

    Args:
      table: name of the scores.
      seed: of what is seen, its noise, the proposals and the random architectures.
      propose: the search.
      config: every architecture, from `encoded`.
    """
    scores = TABLES[table]
    rng = np.random.default_rng(seed)
    seen = rng.choice(len(scores), SEEN, replace=False)
    noisy = scores[seen] + rng.normal(0, NOISE * scores.std(), SEEN)
    key = jax.random.PRNGKey(seed)
    proposals = propose(key, config[seen].astype(np.float32), noisy, PROPOSED)
    proposed = np.abs(proposals[:, None] - config).max(axis=2).argmin(axis=1)
    random = rng.choice(len(scores), PROPOSED)
    true = ranks(scores)
    return float(true[proposed].mean()), float(true[random].mean())


def parser() -> flags.Parser:
    """The flags."""
    result = flags.Parser(__doc__)
    result.add_argument("--seeds", action=flags.Span, default=SEEDS)
    result.add_names("--tables", TABLES)
    return result


@flags.answered
def main(argv: list[str]) -> int:
    """Plays all tables and prints the mean ranks.

    Beside them stands the interval of their paired differences.
    """
    args = parser().parse_args(argv)
    config = encoded()
    propose = make_architecture_search(SPACE)
    rows = []
    for table in args.tables:
        pairs = [play(table, seed, propose, config) for seed in args.seeds]
        search, random = np.array(pairs).T
        low, high = interval(search - random)
        row = {
            "table": table,
            "search": search.mean(),
            "random": random.mean(),
            "difference": (search - random).mean(),
            "low": low,
            "high": high,
            "seeds": len(pairs),
        }
        rows.append(row)
    table = pd.DataFrame(rows)
    print(table.to_string(index=False, float_format=lambda x: f"{x:.3f}"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
