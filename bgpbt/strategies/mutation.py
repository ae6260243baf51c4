"""The mutation-based search that PBT-NAS was compared with.

Chebykin et al., 2023, their code, after SEARL's. Its loop and selection are those of
`bgpbt.strategies.pbtnas`, but a child has one parent, and then its weights or one
dimension of its architecture change, or nothing does. `P` members, `B` blocks.
"""

import jax
import jax.numpy as jnp
import numpy as np

from bgpbt import space as spaces
from bgpbt.space import SearchSpace
from bgpbt.strategies.operators import inherit_all
from bgpbt.strategies.pbtnas import pbtnas_strategy, select_parents, validate_parents
from bgpbt.types import Array, Key, Source, Strategy

# Kinds of mutation; 0: none.
WEIGHTS = 1
ARCHITECTURE = 2


def mutation(
    space: SearchSpace, blocks: tuple[str, ...], *, quantile_fraction: float = 0.25
) -> Strategy:
    """The worst share is replaced by mutated copies of members of the best share.

    The parent is the fitter of two. A third of the children are exact copies, a third
    have mutated weights (`bgpbt.execution.mutation`), a third another value of one
    dimension of the architecture, whose block starts afresh.

    Args:
      space: the search space, `D` dimensions.
      blocks: the blocks of weights.
      quantile_fraction: share of the population replaced in a round, and of that it
        descends from, in (0, 0.5].
    """
    columns = _changeable(space)
    owners = jnp.array([spaces.group_mask(space, block) for block in blocks])  # [B, D]

    @jax.jit
    def step(key, state, outcome):
        key_parents, key_kind, key_column, key_value = jax.random.split(key, 4)
        number = len(outcome.fitness)
        removed, parent, _ = select_parents(
            key_parents, outcome.fitness, quantile_fraction
        )
        kind = jnp.where(removed, jax.random.randint(key_kind, (number,), 0, 3), 0)
        lead = jnp.where(removed, parent, jnp.arange(number))
        chosen = jax.random.randint(key_column, (number,), 0, len(columns))
        new_architecture = kind == ARCHITECTURE
        config = _change_one(
            key_value, space, columns, outcome.config[lead], chosen, new_architecture
        )
        fresh = (
            new_architecture[:, None] & owners.T[jnp.asarray(columns)[chosen]]
        )  # [P, B]
        source = jnp.where(
            removed,
            jnp.where(kind == 0, Source.copied, Source.mutated),
            Source.previous,
        )
        decision = inherit_all(outcome, config, lead, len(blocks), source)
        return state, decision._replace(
            shrink=jnp.where(fresh, 0.0, 1.0),
            perturb=jnp.where(fresh, 1.0, 0.0),
            mutate=kind == WEIGHTS,
        )

    def validate(pop_size: int) -> str:
        if not len(columns):
            return "strategy: mutation needs an architecture dimension with two values"
        return validate_parents(pop_size, quantile_fraction)

    return pbtnas_strategy(step, space, quantile_fraction)._replace(
        mutates=True, validate=validate
    )


def _changeable(space: SearchSpace) -> np.ndarray:
    """Indices of the architecture dimensions that have several values."""
    return np.array(
        [
            i
            for i, dim in enumerate(space.values())
            if dim.group != "hyperparameter" and len(spaces.bin_centres(dim)) > 1
        ],
        int,
    )


def _change_one(
    key: Key,
    space: SearchSpace,
    columns: np.ndarray,
    config: Array,
    chosen: Array,
    changes: Array,
) -> Array:
    """Gives one architecture dimension another value, drawn uniformly.

    Args:
      key: PRNG key, consumed.
      space: the search space.
      columns: the dimensions that can change.
      config: shape `[P, D]`.
      chosen: which of `columns` changes, for every member. Shape `[P]`.
      changes: whether the member changes at all. Shape `[P]`, bool.

    Returns:
      Shape `[P, D]`.
    """
    dims = list(space.values())
    for place, column in enumerate(columns):
        centres = spaces.bin_centres(dims[column])
        unit = config[:, column]
        offset = jax.random.randint(
            jax.random.fold_in(key, place), (len(config),), 1, len(centres)
        )
        index = spaces.bin_index(dims[column], unit)
        other = jnp.asarray(centres, config.dtype)[(index + offset) % len(centres)]
        config = config.at[:, column].set(
            jnp.where(changes & (chosen == place), other, unit)
        )
    return config
