"""Multiple-frequencies PBT (Doulazmi et al., 2025): sub-populations that decide at their own pace, and asymmetric migration.

https://arxiv.org/abs/2506.03225; the rules are those of its authors' code, listed in `docs/strategies.md`.
"""

from typing import NamedTuple

import jax
import numpy as np

from bgpbt import space as spaces
from bgpbt.space import SearchSpace
from bgpbt.strategies.operators import perturb, survivors_draw, whole
from bgpbt.types import Source, Strategy


class Exchange(NamedTuple):
    """Who takes what from whom; one's own index: nothing."""

    weights: np.ndarray  # [P]
    config: np.ndarray  # [P]
    explores: np.ndarray  # [P] bool, the configuration is perturbed


def mfpbt(
    space: SearchSpace,
    blocks: tuple[str, ...],
    *,
    frequencies: tuple[int, ...] = (1, 10, 25, 50),
    perturb_scale: float = 0.2,
) -> Strategy:
    """As many sub-populations as frequencies, equal in size; member m belongs to number m // size.

    Args:
      space: the search space, `D` dimensions. Architectures go with the weights.
      blocks: the blocks of weights, all inherited from one parent.
      frequencies: rounds between two decisions of each sub-population, strictly rising.
      perturb_scale: values are multiplied by 1 - perturb_scale or by its inverse.
    """
    genes = ~spaces.group_mask(space, "hyperparameter")

    @jax.jit
    def explored(key, config):
        moved = jax.vmap(lambda k, c: perturb(k, space, c, 1 - perturb_scale, 1 / (1 - perturb_scale)))
        return moved(jax.random.split(key, len(config)), config)

    def step(key, finished, outcome):
        key_failed, key_explore = jax.random.split(key)
        fitness = np.asarray(outcome.fitness)
        found = exchange(fitness, frequencies, int(finished))
        # A failed member in a part that waits, or where nobody is left to copy.
        lost = np.isnan(fitness[found.weights]) | np.isnan(fitness[found.config])
        instead = np.asarray(survivors_draw(key_failed, fitness))
        weights, source = np.where(lost, instead, found.weights), np.where(lost, instead, found.config)
        explores = found.explores | lost
        config = np.where(genes, outcome.config[weights], outcome.config[source])
        config = np.where(explores[:, None], explored(key_explore, config), config).astype(np.float32)
        said = np.where(source == np.arange(len(source)), Source.previous, Source.copied)
        said = np.where(explores, Source.perturbed, said)
        return finished + 1, whole(outcome, config, weights, len(blocks), said)

    return Strategy(
        init=lambda key, outcome: np.array(0, np.int32),
        step=step,
        complaint=lambda size: _complaint(size, frequencies),
    )


def _complaint(size: int, frequencies: tuple[int, ...]) -> str:
    parts = len(frequencies)
    if size % (4 * parts) == 0:
        return ""
    right = max(round(size / (4 * parts)), 1) * 4 * parts
    return f"pop_size: {size} members are not {parts} sub-populations (frequencies) of a multiple of 4, give {right}"


def exchange(fitness: np.ndarray, frequencies: tuple[int, ...], finished: int) -> Exchange:
    """The exchange after a round; everything is read as it was before.

    In every sub-population that decides now, the last quarter copies the first one, rank by rank, and explores. The third
    quarter, best first, takes the weights of the best members of all other sub-populations as long as these are better than
    its own: with their configuration if it comes from a slower one, with that of the own best member if from a faster one.

    Args:
      fitness: larger is better, NaN = failed. Shape `[P]`.
      frequencies: rounds between decisions of each sub-population.
      finished: rounds before this one.
    """
    parts = np.arange(len(fitness)).reshape(len(frequencies), -1)
    value, quarter = np.where(np.isnan(fitness), -np.inf, fitness), parts.shape[1] // 4
    weights, config, explores = np.arange(len(fitness)), np.arange(len(fitness)), np.zeros(len(fitness), bool)
    for own, members in enumerate(parts):
        if (finished + 1) % frequencies[own]:
            continue
        order = members[np.argsort(-value[members], kind="stable")]
        first, third, last = order[:quarter], order[2 * quarter : 3 * quarter], order[3 * quarter :]
        weights[last] = config[last] = first
        explores[last] = True
        others = np.setdiff1d(np.arange(len(fitness)), members)
        candidates = iter(others[np.argsort(-value[others], kind="stable")])
        candidate = next(candidates, None)
        for slot in third:
            if candidate is not None and value[candidate] > value[slot]:
                slower = frequencies[candidate // parts.shape[1]] > frequencies[own]
                weights[slot], config[slot] = candidate, candidate if slower else order[0]
                candidate = next(candidates, None)
    return Exchange(weights, config, explores)
