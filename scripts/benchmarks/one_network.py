"""Networks one after the other, as a person would train them without a population: a plain jitted function of one."""

import json
import sys
import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from bgpbt import space as spaces
from bgpbt.api import make_task
from bgpbt.options import load_options
from bgpbt.population import Purpose, member_key
from bgpbt.types import Task


class Alone:
    """Members with the first weights and minibatches that they would have in a population.

    Args:
      task: what they learn.
      config: their configurations, shape `[P, D]`.
    """

    def __init__(self, task: Task, config: np.ndarray):
        self.task, self.round, self.data = task, 0, jax.tree.map(jnp.asarray, task.data)
        self.hyperparams = [spaces.decode(task.space, jnp.asarray(c)) for c in config]
        init = jax.jit(task.init)
        self.states = [init(self.key(Purpose.initialise, i), h) for i, h in enumerate(self.hyperparams)]
        self.one = jax.jit(partial(task.train, extra=()), donate_argnames="state")

    def key(self, purpose: Purpose, member: int):
        """A member's, of seed 0, in the present round."""
        return member_key(jnp.uint32(0), purpose, jnp.int32(self.round), jnp.int32(member))

    def train(self, updates: int) -> float:
        """Seconds until every one has had so many updates."""
        self.round += 1
        began = time.monotonic()
        for i, (state, h) in enumerate(zip(self.states, self.hyperparams, strict=True)):
            state, _ = self.one(self.key(Purpose.train, i), state, h, jnp.int32(updates), data=self.data)
            self.states[i] = jax.block_until_ready(state)
        return time.monotonic() - began


def main(given: dict) -> None:
    """Trains so many members at the defaults and tests them on unseen images."""
    updates, members = given.pop("updates"), given.pop("members")
    task = make_task(load_options({"task": "classification", **given}))
    alone = Alone(task, np.tile(np.asarray(spaces.encode(task.space, spaces.defaults(task.space))), (members, 1)))
    alone.train(updates)
    data, evaluate = alone.data | jax.tree.map(jnp.asarray, task.unseen()), jax.jit(task.evaluate)
    for state, h in zip(alone.states, alone.hyperparams, strict=True):
        right, _ = evaluate(jax.random.PRNGKey(0), state, h, data=data)
        print(f"accuracy {float(right.mean()):.3f}")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
