"""The mutation-based search that PBT-NAS was compared with (Chebykin et al., 2023, its authors' code, after SEARL's).

Its loop and selection are those of `bgpbt.strategies.pbtnas`, but a child has one parent, and then its weights or one
dimension of its architecture change, or nothing does.
"""

import jax
import jax.numpy as jnp
import numpy as np

from bgpbt import space as spaces
from bgpbt.space import SearchSpace
from bgpbt.strategies.operators import whole
from bgpbt.strategies.pbtnas import breeding, couples, too_few
from bgpbt.types import Source, Strategy

WEIGHTS, GENE = 1, 2  # kinds of mutation; 0: none


def mutation(space: SearchSpace, blocks: tuple[str, ...], *, quantile_fraction: float = 0.25) -> Strategy:
    """The worst share is replaced by mutated copies of the fitter of two members of the best share.

    A third of the children are exact copies, a third have mutated weights (`bgpbt.mutation`), a third another value of one
    dimension of the architecture, whose block starts afresh.

    Args:
      space: the search space, `D` dimensions.
      blocks: the blocks of weights.
      quantile_fraction: share of the population replaced in a round, and of that it descends from, in (0, 0.5].
    """
    genes = [i for i, dim in enumerate(space.values()) if dim.group != "hyperparameter"]
    values = [spaces.bin_centres(list(space.values())[i]) for i in genes]
    changeable = [(i, v) for i, v in zip(genes, values, strict=True) if len(v) > 1]
    owners = jnp.array([spaces.group_mask(space, block) for block in blocks])  # [B, D]
    columns = np.array([i for i, _ in changeable], int)

    @jax.jit
    def step(key, state, outcome):
        key_parents, key_kind, key_gene, key_value = jax.random.split(key, 4)
        number = len(outcome.fitness)
        removed, parent, _ = couples(key_parents, outcome.fitness, quantile_fraction)
        kind = jnp.where(removed, jax.random.randint(key_kind, (number,), 0, 3), 0)
        lead = jnp.where(removed, parent, jnp.arange(number))
        config = outcome.config[lead]
        chosen = jax.random.randint(key_gene, (number,), 0, len(columns))
        for place, (column, centres) in enumerate(changeable):
            dim, unit = list(space.values())[column], config[:, column]
            ahead = jax.random.randint(jax.random.fold_in(key_value, place), (number,), 1, len(centres))
            other = jnp.asarray(centres, config.dtype)[(spaces.bin_index(dim, unit) + ahead) % len(centres)]
            config = config.at[:, column].set(jnp.where((kind == GENE) & (chosen == place), other, unit))
        fresh = (kind == GENE)[:, None] & owners.T[jnp.asarray(columns)[chosen]]  # [P, B]
        source = jnp.where(removed, jnp.where(kind == 0, Source.copied, Source.mutated), Source.previous)
        decision = whole(outcome, config, lead, len(blocks), source)
        return state, decision._replace(
            shrink=jnp.where(fresh, 0.0, 1.0), perturb=jnp.where(fresh, 1.0, 0.0), mutate=kind == WEIGHTS
        )

    def complaint(size: int) -> str:
        no_choice = "" if changeable else "strategy: mutation needs an architecture dimension with two values"
        return no_choice or too_few(size, quantile_fraction)

    return breeding(step, space, quantile_fraction)._replace(mutates=True, complaint=complaint)
