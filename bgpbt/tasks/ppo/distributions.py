"""Which distribution a policy has over an environment's actions, chosen statically.

`A` is the size of an action: its numbers, or its choices.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax

from bgpbt.environment import Env
from bgpbt.tasks.ppo.categorical import Categorical
from bgpbt.tasks.ppo.tanh_normal import tanh_normal
from bgpbt.types import Array, Distribution, Key


class DistributionKind(NamedTuple):
    """A kind of distribution, and what it needs of a network."""

    outputs_per_action: int
    # (key, shape [..., A]) -> what `sample` and `entropy` take
    noise: Callable[[Key, tuple[int, ...]], Array]
    # outputs of the policy network -> the distribution
    from_outputs: Callable[[Array], Distribution]


NUMBERS = DistributionKind(2, jax.random.normal, tanh_normal)
CHOICES = DistributionKind(1, jax.random.gumbel, Categorical)


def distribution_of(env: Env) -> DistributionKind:
    """The kind that an environment's actions ask for."""
    return CHOICES if env.discrete else NUMBERS
