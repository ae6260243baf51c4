"""Networks one after the other, as a person trains them without a population.

Flax's layers, a jitted step of a minibatch.
"""

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
from bgpbt.config.loading import load_options
from bgpbt.execution.streams import Stream, member_key
from bgpbt.tasks.vision.learner import BATCH_SIZE
from bgpbt.types import Array, Key, PyTree, Task


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
    """Members that train by themselves, one after the other.

    They have the first weights, hyperparameters and minibatches that they would have in
    a population.
    """

    def __init__(self, task: Task, config: np.ndarray):
        """Draws the first weights.

        Args:
          task: classification of images by `Plain`, by SGD with momentum.
          config: of the members. Shape `[P, D]`.
        """
        self.data = jax.tree.map(jnp.asarray, task.data)
        self.round = 0
        self.hyperparams = [spaces.decode(task.space, jnp.asarray(c)) for c in config]
        init = jax.jit(task.init)
        self.params = [
            init(self.key(Stream.initialise, i), h).params
            for i, h in enumerate(self.hyperparams)
        ]
        self.momentum = [jax.tree.map(jnp.zeros_like, p) for p in self.params]
        self.network = Network(5 if self.data["images"].shape[1] >= 28 else 3)
        pixels = task.data["images"]
        self.mean = float(pixels.mean() / 255)
        self.std = float(pixels.std() / 255)
        self.step = jax.jit(self._step, donate_argnums=(0, 1))

    def key(self, stream: Stream, member: int) -> Key:
        """A member's, of seed 0, in the present round."""
        return member_key(
            jnp.uint32(0), stream, jnp.int32(self.round), jnp.int32(member)
        )

    def logits(self, params: PyTree, pixels: Array, key: Key | None = None) -> Array:
        """Logits `[N, 10]`, with dropout where there is a key."""
        rngs = {} if key is None else {"dropout": key}
        return self.network.apply(
            {"params": params},
            (pixels / 255.0 - self.mean) / self.std,
            train=key is not None,
            rngs=rngs,
        )

    def _step(self, params, momentum, data, hyperparams, key, first, k):
        per_epoch = len(data["labels"]) // BATCH_SIZE
        step = first + k
        place = (step // per_epoch, step % per_epoch * BATCH_SIZE)
        rows = jax.lax.dynamic_slice(data["orders"], place, (1, BATCH_SIZE))[0]

        def objective(params):
            key_dropout = jax.random.fold_in(key, k)
            logits = self.logits(params, data["images"][rows], key_dropout)
            return optax.softmax_cross_entropy_with_integer_labels(
                logits, data["labels"][rows]
            ).mean()

        grads = jax.grad(objective)(params)
        momentum = jax.tree.map(
            lambda m, g: hyperparams["momentum"] * m + g, momentum, grads
        )
        params = jax.tree.map(
            lambda p, m: p - hyperparams["learning_rate"] * m, params, momentum
        )
        return params, momentum

    def train(self, updates: int) -> float:
        """Seconds until every member has had so many more updates."""
        first = self.round * updates
        self.round += 1
        began = time.monotonic()
        for i, hyperparams in enumerate(self.hyperparams):
            params, momentum = self.params[i], self.momentum[i]
            key = self.key(Stream.train, i)
            for k in range(updates):
                params, momentum = self.step(
                    params, momentum, self.data, hyperparams, key, first, k
                )
            jax.block_until_ready((params, momentum))
            self.params[i], self.momentum[i] = params, momentum
        return time.monotonic() - began


def main(call: dict) -> None:
    """Trains so many members at the defaults and tests them on unseen images."""
    updates, members = call.pop("updates"), call.pop("members")
    task = make_task(load_options({"task": "classification", **call}))
    default = np.asarray(spaces.encode(task.space, spaces.defaults(task.space)))
    alone = Alone(task, np.tile(default, (members, 1)))
    alone.train(updates)
    test = task.test_data()
    logits = jax.jit(alone.logits)
    for params in alone.params:
        predicted = logits(params, test["validation_images"]).argmax(axis=1)
        print(f"accuracy {np.mean(predicted == test['validation_labels']):.3f}")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
