"""Classifiers of images as a `Task`: a timestep is a minibatch, a return an accuracy.

All members see the same minibatches in the same order.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from bgpbt.config.errors import BadInput
from bgpbt.networks.convolutional import (
    PLAIN_BLOCKS,
    SEARCHED_BLOCKS,
    Plain,
    Searched,
    operation_space,
)
from bgpbt.tasks.vision import learner
from bgpbt.tasks.vision.images import Images
from bgpbt.tasks.vision.learner import (
    BATCH_SIZE,
    EPOCHS,
    EVALUATION_PARTS,
    HYPERPARAMETERS,
    VisionSettings,
)
from bgpbt.types import Task

SPLIT_SEED = 123  # of what never changes: the split, and the orders of images
# Numbers per pixel that a convolution sees of 16 channels, at half the height and
# width.
WIDEST_LAYER = 5 * 5 * 16 // 4


def classifier(
    name: str,
    training: Images,
    validation: Images,
    *,
    test_data: Callable[[], Images] | None,
    search_mode: str = "hpo",
    algorithm: str = "sgd",
) -> Task:
    """Builds the task.

    Args:
      name: for titles.
      training: what is learnt from, at least a minibatch.
      validation: what members are ranked on; at least `EVALUATION_PARTS` images.
      test_data: loads what the report is about; None: there is nothing of the kind.
      search_mode: "hpo", "nas" or "both".
      algorithm: "sgd", with momentum, or "adam".

    Raises:
      BadInput: there is no such algorithm.
    """
    if algorithm not in ("sgd", "adam"):
        raise BadInput(
            f"alg_name: {algorithm} trains agents, give sgd or adam", "alg_name"
        )
    settings = _settings(training, validation, search_mode, algorithm)
    return Task(
        name=f"classification of {name}",
        space=settings.space,
        blocks=settings.blocks,
        timesteps_per_update=1,
        init=partial(learner.init, settings),
        train=partial(learner.train, settings),
        evaluate=partial(learner.evaluate, settings),
        data={
            "images": training.images,
            "labels": training.labels,
            "orders": draw_orders(len(training.labels)),
            **evaluation_data(validation),
        },
        test_data=(lambda: evaluation_data(test_data())) if test_data else None,
        step_unit="minibatches",
        return_label="accuracy",
        evaluation_steps=-(-len(validation.labels) // BATCH_SIZE),
        workspace_bytes=partial(workspace_bytes, settings),
        offered={} if search_mode != "nas" else HYPERPARAMETERS,
    )


def _settings(
    training: Images, validation: Images, search_mode: str, algorithm: str
) -> VisionSettings:
    if search_mode == "hpo":
        network = Plain(5 if training.images.shape[1] >= 28 else 3)
        space = HYPERPARAMETERS
    else:
        network = Searched()
        searches_both = search_mode == "both"
        space = (HYPERPARAMETERS if searches_both else {}) | operation_space()
    return VisionSettings(
        network=network,
        blocks=PLAIN_BLOCKS if search_mode == "hpo" else SEARCHED_BLOCKS,
        space=space,
        algorithm=algorithm,
        image_shape=training.images.shape[1:],
        mean=training.images.mean() / 255,
        std=training.images.std() / 255,
        minibatches_per_epoch=len(training.labels) // BATCH_SIZE,
        validation_size=len(validation.labels),
    )


def draw_orders(number: int) -> np.ndarray:
    """Draws the orders in which the training images come, always the same ones.

    Args:
      number: of training images, N.

    Returns:
      An order for each epoch. Shape `[EPOCHS, N]`, int32.
    """
    rows = np.tile(np.arange(number, dtype=np.int32), (EPOCHS, 1))
    return np.random.default_rng(SPLIT_SEED + 1).permuted(rows, axis=1)


def evaluation_data(labelled: Images) -> dict[str, np.ndarray]:
    """What `evaluate` gets, in parts of equal size.

    Args:
      labelled: images to predict on.

    Returns:
      `validation_images` `[N, H, W, 1]` uint8 and `validation_labels` `[N]`, where N is
      a multiple of `EVALUATION_PARTS`.

    Raises:
      BadInput: there are too few images.
    """
    number = len(labelled.labels) // EVALUATION_PARTS * EVALUATION_PARTS
    if not number:
        raise BadInput(
            f"data_dir: {len(labelled.labels)} images cannot be tested on, give at "
            f"least {EVALUATION_PARTS}",
            "data_dir",
        )
    return {
        "validation_images": labelled.images[:number],
        "validation_labels": labelled.labels[:number],
    }


def workspace_bytes(settings: VisionSettings, size: dict[str, int]) -> int:
    """Bytes of a member that trains, beside its state.

    They hold weights, gradients and changes, and what the widest layer sees of a part
    of an evaluation, and its gradient.

    Args:
      settings: what is static.
      size: bytes of the fields of the member's state.
    """
    widest = int(np.prod(settings.image_shape)) * WIDEST_LAYER
    images = max(settings.validation_size // EVALUATION_PARTS, BATCH_SIZE)
    return 4 * size["params"] + 2 * 4 * widest * images
