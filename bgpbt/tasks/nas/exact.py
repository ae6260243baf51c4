"""Trains one network of Flax's layers, epoch by epoch."""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from bgpbt.tasks.nas.children import Labelled, minibatches, pixels
from bgpbt.types import Array, Key


def accuracies(
    network: nn.Module,
    training: Labelled,
    test: Labelled,
    key: Key,
    epochs: int,
    batch_size: int,
    schedule: optax.Schedule,
) -> list[float]:
    """Trains a network with Adam, and judges it after every epoch.

    Args:
      network: called as `DesignedNetwork`.
      training: the images that it learns from.
      test: those that it is judged by.
      key: of first weights, order and dropout.
      epochs: how often it sees the images.
      batch_size: images of a gradient step.
      schedule: the learning rate by gradient step.

    Returns:
      Its shares of right answers.
    """
    first, order, dropout = jax.random.split(key, 3)
    variables = network.init(first, pixels(training.images[:1]), training=False)
    params = variables["params"]
    other = {name: x for name, x in variables.items() if name != "params"}
    optimizer = optax.adam(schedule, eps=1e-7)
    number = len(training.labels)
    size = min(batch_size, number)
    batches = minibatches(order, epochs, size, number).reshape(epochs, -1, size)

    def loss(params, other, key, chosen):
        logits, changed = network.apply(
            {"params": params, **other},
            pixels(training.images[chosen]),
            training=True,
            rngs={"dropout": key},
            counted=chosen >= 0,
            mutable=list(other),
        )
        each = optax.softmax_cross_entropy_with_integer_labels(
            logits, training.labels[chosen]
        )
        return jnp.mean(each, where=chosen >= 0), changed

    def step(state, batch):
        params, other, moments = state
        number, chosen = batch
        own = jax.random.fold_in(dropout, number)
        gradient, other = jax.grad(loss, has_aux=True)(params, other, own, chosen)
        updates, moments = optimizer.update(gradient, moments)
        return (optax.apply_updates(params, updates), other, moments), None

    @jax.jit
    def epoch(state, batches):
        state, _ = jax.lax.scan(step, state, batches)
        right = jax.lax.map(partial(_is_right, network, state), test, batch_size=size)
        return state, right.mean()

    state = params, other, optimizer.init(params)
    found = []
    for i, chosen in enumerate(batches):
        numbers = jnp.arange(len(chosen)) + i * len(chosen)
        state, right = epoch(state, (numbers, chosen))
        found.append(float(right))
    return found


def _is_right(network: nn.Module, state: tuple, labelled: Labelled) -> Array:
    params, other, _ = state
    images = pixels(labelled.images)[None]
    logits: Any = network.apply({"params": params, **other}, images, training=False)
    return logits.argmax() == labelled.labels
