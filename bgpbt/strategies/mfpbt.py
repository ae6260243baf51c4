"""Multiple-frequencies PBT (Doulazmi et al., 2025). https://arxiv.org/abs/2506.03225

Sub-populations decide at their own pace and exchange members by asymmetric migration.
The rules are those of its authors' code, listed in `docs/strategies.md`. `P` members.
"""

from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from bgpbt import space as spaces
from bgpbt.space import SearchSpace
from bgpbt.strategies.explore import perturb
from bgpbt.strategies.operators import inherit_all, sample_valid
from bgpbt.types import Array, Key, Source, Strategy


class Donors(NamedTuple):
    """Which members' weights and configurations each member goes on with."""

    weights: np.ndarray  # [P] indices; its own: it keeps them
    config: np.ndarray  # [P] indices
    explores: np.ndarray  # [P] bool, the configuration is perturbed


def mfpbt(
    space: SearchSpace,
    blocks: tuple[str, ...],
    *,
    frequencies: tuple[int, ...] = (1, 10, 25, 50),
    perturb_scale: float = 0.2,
) -> Strategy:
    """As many sub-populations as frequencies, equal in size.

    Member m belongs to number m // size.

    Args:
      space: the search space, `D` dimensions. Architectures go with the weights.
      blocks: the blocks of weights, all inherited from one parent.
      frequencies: rounds between two decisions of each sub-population, strictly rising.
      perturb_scale: values are multiplied by 1 - perturb_scale or by its inverse.
    """
    arch_mask = ~spaces.group_mask(space, "hyperparameter")
    perturb_all = jax.jit(partial(_perturb_all, space=space, scale=perturb_scale))

    def step(key, state, outcome):
        key_failed, key_explore = jax.random.split(key)
        fitness = np.asarray(outcome.fitness)
        selected = select_donors(fitness, frequencies, int(state))
        # A member of a waiting sub-population that failed, or one that would copy a
        # failed member, takes all from a valid one.
        failed = np.isnan(fitness[selected.weights])
        failed = failed | np.isnan(fitness[selected.config])
        valid = np.asarray(sample_valid(key_failed, fitness))
        parents = np.where(failed, valid, selected.weights)
        donors = np.where(failed, valid, selected.config)
        explores = selected.explores | failed
        config = np.where(arch_mask, outcome.config[parents], outcome.config[donors])
        config = np.where(
            explores[:, None], perturb_all(key_explore, config), config
        ).astype(np.float32)
        source = np.where(
            donors == np.arange(len(donors)), Source.previous, Source.copied
        )
        source = np.where(explores, Source.perturbed, source)
        return state + 1, inherit_all(outcome, config, parents, len(blocks), source)

    return Strategy(
        init=lambda key, outcome: np.array(0, np.int32),
        step=step,
        validate=partial(_validate_size, frequencies=frequencies),
    )


def _perturb_all(key: Key, config: Array, space: SearchSpace, scale: float) -> Array:
    """Perturbs every member's configuration with a key of its own. Shape `[P, D]`."""
    perturb_one = jax.vmap(
        lambda k, c: perturb(k, space, c, 1 - scale, 1 / (1 - scale))
    )
    return perturb_one(jax.random.split(key, len(config)), config)


def _validate_size(pop_size: int, frequencies: tuple[int, ...]) -> str:
    """What is wrong with a population's size; "" where nothing is."""
    parts = len(frequencies)
    if pop_size % (4 * parts) == 0:
        return ""
    right = max(round(pop_size / (4 * parts)), 1) * 4 * parts
    return (
        f"pop_size: {pop_size} members are not {parts} sub-populations (frequencies) of"
        f" a multiple of 4, give {right}"
    )


def select_donors(
    fitness: np.ndarray, frequencies: tuple[int, ...], finished: int
) -> Donors:
    """Selects donors after a round; everything is read as it was before.

    In every sub-population that decides now, the last quarter copies the first one,
    rank by rank, and explores. The third quarter, best first, takes the weights of the
    best members of all other sub-populations as long as these are better than its own:
    with their configuration if it comes from a slower one, with that of the own best
    member if from a faster one.

    Args:
      fitness: larger is better, NaN = failed. Shape `[P]`.
      frequencies: rounds between decisions of each sub-population.
      finished: rounds before this one.
    """
    members = np.arange(len(fitness))
    parts = members.reshape(len(frequencies), -1)
    value = np.where(np.isnan(fitness), -np.inf, fitness)
    # The sub-populations enter their decisions in place, each into its own rows.
    donors = Donors(members.copy(), members.copy(), np.zeros(len(fitness), bool))
    for part in range(len(parts)):
        if (finished + 1) % frequencies[part] == 0:
            _exploit(donors, value, parts[part])
            _migrate(donors, value, parts, part, frequencies)
    return donors


def _ranked(value: np.ndarray, members: np.ndarray) -> np.ndarray:
    """The members, best first."""
    return members[np.argsort(-value[members], kind="stable")]


def _exploit(donors: Donors, value: np.ndarray, members: np.ndarray) -> None:
    """The last quarter copies the first one. Changes `donors` in place."""
    order = _ranked(value, members)
    quarter = len(members) // 4
    last = order[3 * quarter :]
    donors.weights[last] = order[:quarter]
    donors.config[last] = order[:quarter]
    donors.explores[last] = True


def _migrate(
    donors: Donors,
    value: np.ndarray,
    parts: np.ndarray,
    part: int,
    frequencies: tuple[int, ...],
) -> None:
    """The third quarter takes better members of others. Changes `donors` in place."""
    order = _ranked(value, parts[part])
    quarter = parts.shape[1] // 4
    candidates = iter(_ranked(value, np.setdiff1d(parts, parts[part])))
    candidate = next(candidates, None)
    for slot in order[2 * quarter : 3 * quarter]:
        # A candidate that is refused stays available for the next slot.
        if candidate is not None and value[candidate] > value[slot]:
            slower = frequencies[candidate // parts.shape[1]] > frequencies[part]
            donors.weights[slot] = candidate
            donors.config[slot] = candidate if slower else order[0]
            candidate = next(candidates, None)
