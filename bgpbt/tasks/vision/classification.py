"""`-t classification`: convolutional networks on small images.

A fifth of the training images is kept for evaluation and never trained on; the report
alone sees the test images.
"""

from functools import cache, partial

import numpy as np

from bgpbt.config.errors import BadInput
from bgpbt.config.options import Options
from bgpbt.tasks.vision import images
from bgpbt.tasks.vision.classifier import SPLIT_SEED, classifier, evaluation_data
from bgpbt.tasks.vision.images import Images
from bgpbt.tasks.vision.learner import BATCH_SIZE, EVALUATION_PARTS
from bgpbt.types import Task


def classification(options: Options) -> Task:
    """Builds the task that the options describe.

    `problem` names the images, `alg_name` the optimizer. With `search_mode: hpo` the
    network is `Plain`, and learning rate and momentum are searched; with nas or both it
    is `Searched`, whose operations are searched.

    Args:
      options: of the run.

    Raises:
      BadInput: no such images or algorithm, or the files cannot be used.
    """
    name = options.problem or images.NAMES[0]
    load_test = cache(partial(images.load, name, "test", options.data_dir))
    labelled = images.load(name, "train", options.data_dir)
    if name != "digits":
        # What is wrong with it is said before the training.
        evaluation_data(load_test())
    training, validation = split(labelled)
    if len(training.labels) < BATCH_SIZE or not len(validation.labels):
        raise BadInput(
            f"data_dir: {len(labelled.labels)} training images give no minibatch, give "
            f"at least {BATCH_SIZE + EVALUATION_PARTS}",
            "data_dir",
        )
    return classifier(
        f"{name}, {options.alg_name}",
        training,
        validation,
        test_data=load_test,
        search_mode=options.search_mode,
        algorithm=options.alg_name,
    )


def split(labelled: Images) -> tuple[Images, Images]:
    """Splits images into what is trained on and what members are ranked on.

    The second part is a fifth, rounded down to a multiple of `EVALUATION_PARTS`. The
    split is always the same.

    Args:
      labelled: the training images.

    Returns:
      Training and validation images.
    """
    rows = np.random.default_rng(SPLIT_SEED).permutation(len(labelled.labels))
    number = len(rows) // 5 // EVALUATION_PARTS * EVALUATION_PARTS
    training, validation = (
        Images(labelled.images[part], labelled.labels[part])
        for part in (rows[number:], rows[:number])
    )
    return training, validation
