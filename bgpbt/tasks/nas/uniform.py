"""Random search over designs: every action is as likely as any other.

How likely it is to end a design can be another number (a weight of its own), because
that decides how many layers designs have.
"""

import jax
import jax.numpy as jnp

from bgpbt.space import Float, SearchSpace
from bgpbt.tasks.nas.designer import (
    Acting,
    Designer,
    Learner,
    Step,
    World,
    only_decide,
)
from bgpbt.types import Hyperparams, Key, PyTree

SPACE: SearchSpace = {"terminal_weight": Float(0.01, 10.0, 1.0, log=True, least=0)}


def uniform(world: World, terminal: int) -> Designer:
    """The designer.

    Args:
      world: what it acts in.
      terminal: the action that ends a design.
    """

    def begin(key: Key) -> Acting:
        return Acting(world.begin(key))

    def init(key: Key) -> Learner:
        # What is inherited must not be empty.
        return Learner({"nothing": jnp.zeros(())}, (), begin(key))

    def decide(
        hyperparams: Hyperparams, params: PyTree, acting: Acting, key: Key
    ) -> tuple[Acting, Step]:
        chosen, moved = jax.random.split(key)
        weights = jnp.ones(world.actions)
        weights = weights.at[terminal].set(hyperparams["terminal_weight"])
        log_probs = jnp.log(weights / weights.sum())
        action = jax.random.categorical(chosen, log_probs).astype(jnp.int32)
        place, happened = world.decide(moved, acting.place, action)
        entropy = jax.scipy.special.entr(weights / weights.sum()).sum()
        nothing = jnp.zeros(())  # is seen, or expected
        step = Step(nothing, action, nothing, entropy, happened)
        return Acting(place), step

    return Designer(SPACE, init, begin, only_decide(decide), decide)
