"""Networks one after the other, as a person trains them without a population: Flax's layers, a jitted step of a minibatch."""

import json
import sys
import time

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from bgpbt import space as spaces
from bgpbt.api import make_task
from bgpbt.options import load_options
from bgpbt.population import Purpose, member_key
from bgpbt.tasks.classification import BATCH
from bgpbt.types import Task


class Network(nn.Module):
    """`bgpbt.networks.convolutional.Plain`, with Flax's own convolutions."""

    kernel: int

    @nn.compact
    def __call__(self, x, train: bool):
        padding = "VALID" if self.kernel == 5 else "SAME"
        x = nn.Conv(10, (self.kernel, self.kernel), padding=padding, name="conv1")(x)
        x = nn.relu(nn.max_pool(x, (2, 2), strides=(2, 2)))
        x = nn.Conv(20, (self.kernel, self.kernel), padding=padding, name="conv2")(x)
        x = nn.Dropout(0.5, broadcast_dims=(1, 2), deterministic=not train)(x)
        x = nn.relu(nn.max_pool(x, (2, 2), strides=(2, 2)))
        x = nn.relu(nn.Dense(50, name="dense1")(x.reshape(len(x), -1)))
        x = nn.Dropout(0.5, deterministic=not train)(x)
        return nn.Dense(10, name="dense2")(x)


class Alone:
    """Members with the first weights, hyperparameters and minibatches that they would have in a population.

    Args:
      task: classification of images by `Plain`, by SGD with momentum.
      config: their configurations, shape `[P, D]`.
    """

    def __init__(self, task: Task, config: np.ndarray):
        self.data, self.round = jax.tree.map(jnp.asarray, task.data), 0
        self.hyperparams = [spaces.decode(task.space, jnp.asarray(c)) for c in config]
        init = jax.jit(task.init)
        self.params = [init(self.key(Purpose.initialise, i), h).params for i, h in enumerate(self.hyperparams)]
        self.moments = [jax.tree.map(jnp.zeros_like, p) for p in self.params]
        self.network = Network(5 if self.data["images"].shape[1] >= 28 else 3)
        pixels = task.data["images"]
        self.mean, self.sd = float(pixels.mean() / 255), float(pixels.std() / 255)
        self.step = jax.jit(self._step, donate_argnums=(0, 1))

    def key(self, purpose: Purpose, member: int):
        """A member's, of seed 0, in the present round."""
        return member_key(jnp.uint32(0), purpose, jnp.int32(self.round), jnp.int32(member))

    def logits(self, params, pixels, key=None):
        """`[N, 10]`, with dropout where there is a key."""
        rngs = {} if key is None else {"dropout": key}
        return self.network.apply({"params": params}, (pixels / 255.0 - self.mean) / self.sd, train=key is not None, rngs=rngs)

    def _step(self, params, moments, data, h, key, first, k):
        per_epoch = len(data["labels"]) // BATCH
        place = ((first + k) // per_epoch, (first + k) % per_epoch * BATCH)
        rows = jax.lax.dynamic_slice(data["orders"], place, (1, BATCH))[0]

        def objective(params):
            found = self.logits(params, data["images"][rows], jax.random.fold_in(key, k))
            return optax.softmax_cross_entropy_with_integer_labels(found, data["labels"][rows]).mean()

        moments = jax.tree.map(lambda m, g: h["momentum"] * m + g, moments, jax.grad(objective)(params))
        return jax.tree.map(lambda p, m: p - h["learning_rate"] * m, params, moments), moments

    def train(self, updates: int) -> float:
        """Seconds until every one has had so many more updates."""
        first, self.round = self.round * updates, self.round + 1
        began = time.monotonic()
        for i, h in enumerate(self.hyperparams):
            params, moments, key = self.params[i], self.moments[i], self.key(Purpose.train, i)
            for k in range(updates):
                params, moments = self.step(params, moments, self.data, h, key, first, k)
            self.params[i], self.moments[i] = jax.block_until_ready((params, moments))
        return time.monotonic() - began


def main(given: dict) -> None:
    """Trains so many members at the defaults and tests them on unseen images."""
    updates, members = given.pop("updates"), given.pop("members")
    task = make_task(load_options({"task": "classification", **given}))
    alone = Alone(task, np.tile(np.asarray(spaces.encode(task.space, spaces.defaults(task.space))), (members, 1)))
    alone.train(updates)
    unseen, logits = task.unseen(), jax.jit(alone.logits)
    for params in alone.params:
        print(f"accuracy {np.mean(logits(params, unseen['judged']).argmax(axis=1) == unseen['answers']):.3f}")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
