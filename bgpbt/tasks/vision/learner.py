"""How a classifier of images learns and is evaluated, for one member.

Shapes: `N` images of `H x W` pixels, `B` images of a minibatch.
"""

from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from bgpbt import space as spaces
from bgpbt.space import Float, SearchSpace
from bgpbt.tasks import distillation
from bgpbt.types import Array, Distillation, Hyperparams, Key, Metrics, TrainState

BATCH_SIZE = 64
EVALUATION_PARTS = 10  # an evaluation gives as many returns
EPOCHS = 64  # different orders of the training images; then they begin again
HYPERPARAMETERS: SearchSpace = {
    "learning_rate": Float(1e-5, 1.0, 1e-2, log=True, least=0),
    # Of Adam: the first moment's decay.
    "momentum": Float(0.1, 0.9999, 0.9, least=0, most=0.99999),
}


class VisionSettings(NamedTuple):
    """What is the same for all members, and static in every program."""

    network: nn.Module
    blocks: tuple[str, ...]
    space: SearchSpace
    algorithm: str  # "sgd" or "adam"
    image_shape: tuple[int, ...]  # [H, W, 1]
    mean: float  # of the training images' pixels, in [0, 1]
    std: float
    minibatches_per_epoch: int
    validation_size: int


def optimizer(settings: VisionSettings, hyperparams: Hyperparams):
    """Builds the optimizer, at the member's learning rate and momentum."""
    momentum = hyperparams["momentum"]
    if settings.algorithm == "adam":
        direction = optax.scale_by_adam(b1=momentum)
    else:
        direction = optax.trace(momentum)
    return optax.chain(direction, optax.scale(-hyperparams["learning_rate"]))


def logits(
    settings: VisionSettings,
    params: dict,
    images: Array,
    hyperparams: Hyperparams,
    key: Key | None = None,
) -> Array:
    """Applies the network.

    Args:
      settings: what is static.
      params: weights by block.
      images: pixels from 0 to 255. Shape `[N, H, W, 1]`.
      hyperparams: natural values by name.
      key: of dropout, consumed; None: there is none.

    Returns:
      Logits. Shape `[N, 10]`.
    """
    x = (images / 255.0 - settings.mean) / settings.std
    return settings.network.apply(
        {"params": params},
        x,
        hyperparams,
        train=key is not None,
        rngs={} if key is None else {"dropout": key},
    )


def init(settings: VisionSettings, key: Key, hyperparams: Hyperparams) -> TrainState:
    """Draws an untrained member, as `bgpbt.types.Init`."""
    hyperparams = spaces.defaults(HYPERPARAMETERS) | hyperparams
    example = jnp.zeros((1, *settings.image_shape))
    network = settings.network
    params: Any = network.init(key, example, hyperparams, train=False)["params"]
    opt_state = {
        block: optimizer(settings, hyperparams).init(weights)
        for block, weights in params.items()
    }
    return TrainState(params, opt_state, (), {"step": jnp.zeros((), jnp.int32)})


def train(
    settings: VisionSettings,
    key: Key,
    state: TrainState,
    hyperparams: Hyperparams,
    updates: Array,
    teaching: Distillation | tuple[()],
    *,
    data: dict[str, Array],
) -> tuple[TrainState, Metrics]:
    """Trains a member on minibatches, as `bgpbt.types.Train`."""
    hyperparams = spaces.defaults(HYPERPARAMETERS) | hyperparams
    loss_and_grad = jax.value_and_grad(partial(_loss, settings, hyperparams, teaching))

    def update(i: Array, carry: tuple) -> tuple:
        params, opt_state, step, _ = carry
        images, labels = _minibatch(settings, data, step)
        key_update = jax.random.fold_in(key, i)
        loss, grads = loss_and_grad(params, images, labels, key_update, i)
        for block in settings.blocks:
            change, block_state = optimizer(settings, hyperparams).update(
                grads[block], opt_state[block]
            )
            weights = optax.apply_updates(params[block], change)
            params = params | {block: weights}
            opt_state = opt_state | {block: block_state}
        return params, opt_state, step + 1, loss

    carry = (state.params, state.opt_state, state.env_state["step"], jnp.zeros(()))
    params, opt_state, step, loss = jax.lax.fori_loop(0, updates, update, carry)
    state = TrainState(params, opt_state, (), {"step": step})
    return state, {"loss": loss, "env_steps": updates}


def _minibatch(
    settings: VisionSettings, data: dict[str, Array], step: Array
) -> tuple[Array, Array]:
    """The images `[B, H, W, 1]` and labels `[B]` of a member's step."""
    epoch = step // settings.minibatches_per_epoch % EPOCHS
    first = step % settings.minibatches_per_epoch * BATCH_SIZE
    rows = jax.lax.dynamic_slice(data["orders"], (epoch, first), (1, BATCH_SIZE))[0]
    return data["images"][rows], data["labels"][rows]


def _loss(
    settings: VisionSettings,
    hyperparams: Hyperparams,
    teaching: Distillation | tuple[()],
    params: dict,
    images: Array,
    labels: Array,
    key: Key,
    steps: Array,
) -> Array:
    """Cross-entropy, and the divergence from a teacher; `steps` into the round."""
    student = logits(settings, params, images, hyperparams, key)
    loss = optax.softmax_cross_entropy_with_integer_labels(student, labels).mean()
    if not teaching:
        return loss
    teacher_hyperparams = spaces.defaults(HYPERPARAMETERS) | dict(
        teaching.teacher_hyperparams
    )
    teacher = logits(settings, teaching.teacher.params, images, teacher_hyperparams)
    divergence = optax.losses.kl_divergence(
        jax.nn.log_softmax(student), jax.nn.softmax(teacher)
    ).mean()
    return loss + distillation.weight(teaching, steps) * divergence


def evaluate(
    settings: VisionSettings,
    key: Key,
    state: TrainState,
    hyperparams: Hyperparams,
    *,
    data: dict[str, Array],
) -> tuple[Array, Array]:
    """Predicts on held-out images, as `bgpbt.types.Evaluate`."""
    del key
    hyperparams = spaces.defaults(HYPERPARAMETERS) | hyperparams
    labels = data["validation_labels"]
    parts = jax.tree.map(
        lambda x: x.reshape(EVALUATION_PARTS, -1, *x.shape[1:]),
        (data["validation_images"], labels),
    )

    def accuracy(part: tuple[Array, Array]) -> Array:
        images, labels = part
        predicted = logits(settings, state.params, images, hyperparams).argmax(axis=1)
        return jnp.mean(predicted == labels)

    minibatches = -(-len(labels) // BATCH_SIZE)
    return jax.lax.map(accuracy, parts), jnp.asarray(minibatches, jnp.int32)
