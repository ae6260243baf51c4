"""What a design is worth: the accuracy of its network after a short training.

A pure function of the design and the data set. The network's first weights, the order
of its minibatches and its dropout belong to the data set, so that no design is worth
another number in another run.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from bgpbt.networks import on_canvas
from bgpbt.networks.canvas import Moments, Sizes, Weights, folded
from bgpbt.types import Array, Key


class Labelled(NamedTuple):
    """Images and what is on them."""

    images: Array  # [n, S, S, channels] uint8
    labels: Array  # [n] int32


class ChildData(NamedTuple):
    """A data set as the networks of designs see it."""

    training: Labelled
    validation: Labelled  # the accuracy on it is the reward
    key: Key  # of the data set


class Training(NamedTuple):
    """How a network is trained (nas-dmrl 2019, section 4.2)."""

    epochs: int = 12
    batch_size: int = 128
    learning_rate: float = 1e-3  # of Adam
    # The learning rate is multiplied by it every five epochs, as the paper says; its
    # code leaves the learning rate as it is: 1.
    decay: float = 0.2
    dropout: float = 0.4  # share of the dense layer's units


DECAY_EPOCHS = 5
MOMENTUM = 0.99  # of running moments, as Keras
EVALUATED = 500  # images at once


def accuracy(sizes: Sizes, training: Training, data: ChildData, rows: Array) -> Array:
    """Trains the network of a design and judges it.

    Args:
      sizes: of images and layers.
      training: how.
      data: on what.
      rows: of a design that can be built, and whose layers a canvas holds, `[d, 5]`.

    Returns:
      The share of the validation images that it classifies rightly, `[]`.
    """
    first, order, dropout = jax.random.split(data.key, 3)
    weights = on_canvas.init(first, sizes, rows)
    number = len(data.training.labels)
    batches = minibatches(order, training.epochs, training.batch_size, number)
    optimizer = optax.adam(schedule(training, len(batches)), eps=1e-7)
    running = Moments(jnp.zeros_like(weights.biases), jnp.ones_like(weights.biases))
    state = weights, optimizer.init(weights), running

    def step(state: tuple, batch: tuple[Array, Array]) -> tuple[tuple, None]:
        weights, adam, running = state
        number, chosen = batch
        key = jax.random.fold_in(dropout, number)
        gradient, moments = jax.grad(_loss, has_aux=True)(
            weights, key, sizes, training, data.training, rows, chosen
        )
        updates, adam = optimizer.update(gradient, adam)
        running = jax.tree.map(
            lambda old, new: MOMENTUM * old + (1 - MOMENTUM) * new, running, moments
        )
        return (optax.apply_updates(weights, updates), adam, running), None

    numbered = jnp.arange(len(batches)), batches
    (weights, _, running), _ = lax.scan(step, state, numbered)
    if sizes.batch_norm:
        weights = folded(weights, running)
    return share_right(sizes, rows, weights, data.validation)


def minibatches(key: Key, epochs: int, size: int, number: int) -> Array:
    """Which images are in which minibatch, -1 where the last one has fewer.

    Args:
      key: of the order.
      epochs: each has an order of its own.
      size: images of a minibatch.
      number: of images.

    Returns:
      Shape `[epochs x minibatches, size]`, int32.
    """
    per_epoch = -(-number // size)
    keys = jax.random.split(key, epochs)
    orders = jax.vmap(lambda k: jax.random.permutation(k, number))(keys)
    missing = per_epoch * size - number
    orders = jnp.pad(orders, ((0, 0), (0, missing)), constant_values=-1)
    return orders.reshape(-1, size)


def schedule(training: Training, steps: int) -> optax.Schedule:
    """The learning rate by gradient step, of which there are `steps`."""
    per_epoch = steps // training.epochs
    epochs = range(DECAY_EPOCHS, training.epochs, DECAY_EPOCHS)
    drops = {epoch * per_epoch: training.decay for epoch in epochs}
    return optax.piecewise_constant_schedule(training.learning_rate, drops)


def _loss(
    weights: Weights,
    key: Key,
    sizes: Sizes,
    training: Training,
    data: Labelled,
    rows: Array,
    chosen: Array,
) -> tuple[Array, Moments]:
    """Cross-entropy, the mean over the images `[n]` that were chosen, -1 for none."""
    images = pixels(data.images[chosen])
    kept = 1 - training.dropout
    keep = jax.random.bernoulli(key, kept, (len(chosen), sizes.dense)) / kept
    counted = chosen >= 0 if sizes.batch_norm else None
    logits, moments = on_canvas.logits(sizes, rows, weights, images, keep, counted)
    each = optax.softmax_cross_entropy_with_integer_labels(logits, data.labels[chosen])
    return jnp.mean(each, where=chosen >= 0), moments


def share_right(sizes: Sizes, rows: Array, weights: Weights, data: Labelled) -> Array:
    """The share of images that are classified rightly, `[]`."""
    number = len(data.labels)
    size = min(EVALUATED, number)
    parts = -(-number // size)
    indices = np.arange(parts * size).reshape(parts, size)

    def right(chosen: Array) -> Array:
        seen = pixels(data.images[chosen % number])
        logits, _ = on_canvas.logits(sizes, rows, weights, seen)
        hits = logits.argmax(axis=-1) == data.labels[chosen % number]
        return jnp.sum(hits & (chosen < number))

    return lax.map(right, jnp.asarray(indices)).sum() / number


def pixels(images: Array) -> Array:
    """Bytes as numbers from 0 to 1."""
    return images.astype(jnp.float32) / 255
