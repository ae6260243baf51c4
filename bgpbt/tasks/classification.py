"""`-t classification`: convolutional networks on small images. A timestep is a minibatch; accuracy is what counts.

A fifth of the training images is kept for evaluation and never trained on; the report alone sees the test images. All members
see the same minibatches in the same order.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from bgpbt import space as spaces
from bgpbt.networks.convolutional import PLAIN_BLOCKS, SEARCHED_BLOCKS, Plain, Searched, operations
from bgpbt.options import BadInput, Options
from bgpbt.space import Float, SearchSpace
from bgpbt.tasks import distillation, images
from bgpbt.tasks.images import Images
from bgpbt.types import Hyperparams, Task, TrainState

BATCH = 64
PARTS = 10  # of an evaluation: as many returns
EPOCHS = 64  # different orders of the training images; then they begin again
SPLIT_SEED = 123
WIDEST = 5 * 5 * 16 // 4  # numbers per pixel: what a convolution sees of 16 channels, at half the height and width
HYPERPARAMETERS: SearchSpace = {
    "learning_rate": Float(1e-5, 1.0, 1e-2, log=True),
    "momentum": Float(0.1, 0.9999, 0.9),  # of Adam: the first moment's decay
}


def classification(options: Options) -> Task:
    """Images that `problem` names (digits, mnist, fashion_mnist), learnt as `alg_name` says (sgd, adam).

    With `search_mode: hpo` the network is `Plain` and learning rate and momentum are searched; with nas or both it is
    `Searched`, whose operations are.

    Raises:
      BadInput: no such images or algorithm, or the files cannot be used.
    """
    name = options.problem or images.NAMES[0]
    training = images.load(name, "train", options.data_dir)
    if name != "digits":
        shown(images.load(name, "test", options.data_dir))  # read and dropped: what is wrong with it is said before the training
    trained, judged = split(training)
    if len(trained.labels) < BATCH or not len(judged.labels):
        text = f"data_dir: {len(training.labels)} training images give no minibatch, give at least {BATCH + PARTS}"
        raise BadInput(text, "data_dir")
    return classifier(
        f"{name}, {options.alg_name}",
        trained,
        judged,
        unseen=lambda: images.load(name, "test", options.data_dir),
        search_mode=options.search_mode,
        algorithm=options.alg_name,
    )


def split(training: Images) -> tuple[Images, Images]:
    """What is trained on and what members are ranked on, a fifth, rounded to `PARTS`. Always the same images."""
    order = np.random.default_rng(SPLIT_SEED).permutation(len(training.labels))
    kept = len(order) // 5 // PARTS * PARTS
    return tuple(Images(training.images[rows], training.labels[rows]) for rows in (order[kept:], order[:kept]))


def shown(found: Images) -> dict:
    """What `evaluate` gets, in whole parts: `judged` `[N, H, W, 1]` uint8 and `answers` `[N]`, N a multiple of `PARTS`.

    Raises:
      BadInput: there are too few images.
    """
    kept = len(found.labels) // PARTS * PARTS
    if not kept:
        raise BadInput(f"data_dir: {len(found.labels)} images cannot be tested on, give at least {PARTS}", "data_dir")
    return {"judged": found.images[:kept], "answers": found.labels[:kept]}


def classifier(name: str, training: Images, judged: Images, *, unseen, search_mode: str = "hpo", algorithm: str = "sgd") -> Task:
    """The task.

    Args:
      name: for titles.
      training: what is learnt from, at least a minibatch.
      judged: what members are ranked on; a multiple of `PARTS`.
      unseen: loads what the report is about.
      search_mode: "hpo", "nas" or "both".
      algorithm: "sgd", with momentum, or "adam".

    Raises:
      BadInput: there is no such algorithm.
    """
    if algorithm not in ("sgd", "adam"):
        raise BadInput(f"alg_name: {algorithm} trains agents, give sgd or adam", "alg_name")
    network = Plain(5 if training.images.shape[1] >= 28 else 3) if search_mode == "hpo" else Searched()
    space = ({} if search_mode == "nas" else HYPERPARAMETERS) | ({} if search_mode == "hpo" else operations())
    fixed = spaces.defaults(HYPERPARAMETERS)
    mean, sd = training.images.mean() / 255, training.images.std() / 255
    per_epoch = len(training.labels) // BATCH
    rows = np.tile(np.arange(len(training.labels), dtype=np.int32), (EPOCHS, 1))
    orders = np.random.default_rng(SPLIT_SEED + 1).permuted(rows, axis=1)
    example = jnp.zeros((1, *training.images.shape[1:]))
    blocks = PLAIN_BLOCKS if search_mode == "hpo" else SEARCHED_BLOCKS

    def optimizer(h: Hyperparams):
        if algorithm == "adam":
            return optax.chain(optax.scale_by_adam(b1=h["momentum"]), optax.scale(-h["learning_rate"]))
        return optax.chain(optax.trace(h["momentum"]), optax.scale(-h["learning_rate"]))

    def logits(params, pixels, h, key=None):
        x = (pixels / 255.0 - mean) / sd
        return network.apply({"params": params}, x, h, train=key is not None, rngs={} if key is None else {"dropout": key})

    def init(key, hyperparams) -> TrainState:
        h = fixed | hyperparams
        params = network.init(key, example, h, train=False)["params"]
        moments = {block: optimizer(h).init(weights) for block, weights in params.items()}
        return TrainState(params, moments, (), {"step": jnp.zeros((), jnp.int32)})

    def train(key, state, hyperparams, updates, extra, *, data):
        h = fixed | hyperparams

        def objective(params, pixels, labels, key, i):
            found = logits(params, pixels, h, key)
            loss = optax.softmax_cross_entropy_with_integer_labels(found, labels).mean()
            if not extra:
                return loss
            taught = logits(extra.teacher.params, pixels, fixed | spaces.decode(space, extra.config))
            divergence = optax.losses.kl_divergence(jax.nn.log_softmax(found), jax.nn.softmax(taught)).mean()
            return loss + distillation.weight(extra, i) * divergence

        def update(i, carry):
            params, moments, step, _ = carry
            place = (step // per_epoch % EPOCHS, step % per_epoch * BATCH)
            rows = jax.lax.dynamic_slice(data["orders"], place, (1, BATCH))[0]
            batch = data["images"][rows], data["labels"][rows]
            loss, slopes = jax.value_and_grad(objective)(params, *batch, jax.random.fold_in(key, i), i)
            for block in blocks:
                change, kept = optimizer(h).update(slopes[block], moments[block])
                params = params | {block: optax.apply_updates(params[block], change)}
                moments = moments | {block: kept}
            return params, moments, step + 1, loss

        start = (state.params, state.moments, state.world["step"], jnp.zeros(()))
        params, moments, step, loss = jax.lax.fori_loop(0, updates, update, start)
        return TrainState(params, moments, (), {"step": step}), {"loss": loss, "env_steps": updates}

    def evaluate(key, state, hyperparams, *, data):
        del key
        h = fixed | hyperparams
        parts = jax.tree.map(lambda x: x.reshape(PARTS, -1, *x.shape[1:]), (data["judged"], data["answers"]))
        right = jax.lax.map(lambda p: jnp.mean(logits(state.params, p[0], h).argmax(axis=1) == p[1]), parts)
        return right, jnp.asarray(-(-len(data["answers"]) // BATCH), jnp.int32)

    def in_flight(size: dict[str, int]) -> int:
        """Weights, slopes and changes; what the widest layer sees of a part of an evaluation, and its slope."""
        widest = int(np.prod(training.images.shape[1:])) * WIDEST
        return 4 * size["params"] + 2 * 4 * widest * max(len(judged.labels) // PARTS, BATCH)

    return Task(
        name=f"classification of {name}",
        space=space,
        blocks=blocks,
        timesteps_per_update=1,
        init=init,
        train=train,
        evaluate=evaluate,
        data={"images": training.images, "labels": training.labels, "orders": orders, **shown(judged)},
        unseen=lambda: shown(unseen()),
        unit="minibatches",
        measure="accuracy",
        evaluation_steps=-(-len(judged.labels) // BATCH),
        in_flight=in_flight,
    )
