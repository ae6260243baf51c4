"""PBT against random search on MNIST.

Do schedules found by copying train a better network from scratch? A population of 15 of
PyTorch's old MNIST example networks; learning rate (1e-5 to 1, by its logarithm) and
momentum (0.1 to 0.9999) of SGD are searched, batches of 64, 10 epochs, a decision every
half an epoch. Three arms begin with the same networks and hyperparameters and see the
same batches in the same order: `random` changes nothing; `best`: all copy the best
member; `truncation`: each of the worst fifth copies one of the best fifth. Whoever
copies takes weights, momentum buffers and hyperparameters, and multiplies each of these
by 0.8 or 1.2. Of the member with the best validation accuracy at the end, the schedule
along its lineage is what counts: from the first weights of that lineage a network is
trained with it, stretched over the whole training set, and tested once. No training and
no choice sees the test images.

Reported: seeds 0 to 9 with 6,000 of the 60,000 training images, and seed 0 with all
(`--images 60000 --seeds 0`), committed before the first reported run; development uses
seeds from 1000 on and digits. A fifth of the images is for validation. A member that
fails (its loss or weights are not finite) copies another one, in `random` it is drawn
anew; how many did is reported, and whether a retrained network is finite.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

import bgpbt
from bgpbt.cli.command import prepare_jax
from bgpbt.config.errors import BadInput
from bgpbt.config.loading import load_options
from bgpbt.config.options import Options
from bgpbt.execution.streams import Stream, member_key
from bgpbt.result import Result as Run
from bgpbt.tasks.vision import images
from bgpbt.tasks.vision.classification import split
from bgpbt.tasks.vision.classifier import classifier, evaluation_data
from bgpbt.tasks.vision.images import Images
from bgpbt.tasks.vision.learner import BATCH_SIZE
from bgpbt.types import Task, TrainState
from scripts.benchmarks import flags
from scripts.benchmarks.figures import Result
from scripts.benchmarks.report import finish, machine
from scripts.studies.mnist_figures import draw, schedule_of, summarise

MEMBERS = 15
EPOCHS = 10
INTERVALS = 20
LEAST_IMAGES = 2 * BATCH_SIZE * 5 // 4  # a minibatch to every half epoch
ARMS = {
    "random": {"strategy": "random"},
    "best": {"strategy": "pbt", "exploit": "best"},
    "truncation": {"strategy": "pbt", "exploit": "truncation"},
}


def parser() -> flags.Parser:
    """The flags."""
    result = flags.Parser(__doc__)
    result.add_argument(
        "--problem", default="mnist", choices=images.NAMES, help="default mnist"
    )
    result.add_argument("--data_dir", metavar="FOLDER", help="of the images")
    result.add_argument(
        "--images",
        type=int,
        default=6_000,
        metavar="N",
        help="training images; default 6000",
    )
    result.add_seeds("0,1,2,3,4,5,6,7,8,9", "default 0 to 9")
    result.add_argument(
        "--save_dir",
        default="runs/pbt_vs_random_mnist",
        metavar="FOLDER",
        help="where runs go and go on",
    )
    result.add_json()
    result.add_argument(
        "--csv",
        type=flags.output,
        metavar="FILE",
        help="write the accuracies of every seed there",
    )
    result.add_figure("draw members' accuracies and hyperparameters of the first seed")
    result.add_quick(
        "small, on all digits", problem="digits", images=1_437, seeds=(1000, 1001)
    )
    return result


def options_of(arm: str, args: argparse.Namespace, training: Images) -> Options:
    """The settings of an arm, which divides its training into `INTERVALS` rounds."""
    epochs, intervals = (2, 4) if args.quick else (EPOCHS, INTERVALS)
    minibatches = epochs * (len(training.labels) // BATCH_SIZE) // intervals
    values = {
        "task": "classification",
        "problem": args.problem,
        "data_dir": args.data_dir,
        "seed": args.seeds,
        "exp_name": f"{arm}_{args.images}",
        "save_dir": args.save_dir,
        "pop_size": 5 if args.quick else MEMBERS,
        "quantile_fraction": 0.2,
        "t_ready": minibatches,
        "max_timesteps": intervals * minibatches,
    }
    return load_options(values | ARMS[arm])


def population_task(name: str, training: Images, validation: Images) -> Task:
    """What the populations learn.

    Its report is not used, and sees the validation images: the test images come at the
    end.
    """
    return classifier(name, training, validation, test_data=None)


def retrain(task: Task, seed: int, lineage: pd.DataFrame, epochs: int) -> TrainState:
    """A network from the first weights of a lineage, trained with its schedule.

    The schedule is stretched: of k rounds, the n-th ends after n / k of the training.

    Args:
      task: whose images are trained on.
      seed: of the run.
      lineage: its rows, oldest first.
      epochs: of the task's images.
    """
    rounds = lineage[lineage["round"] > 0]
    data = jax.tree.map(jnp.asarray, task.data)
    minibatches = epochs * (len(task.data["labels"]) // BATCH_SIZE)
    key = _key_of_first_weights(seed, lineage)
    state = task.init(key, {})
    train = jax.jit(task.train)
    done = 0
    for number, (_, row) in enumerate(rounds.iterrows(), start=1):
        due = round(number / len(rounds) * minibatches)
        hyperparams = {name: jnp.asarray(float(row[name])) for name in task.space}
        key_round = jax.random.fold_in(key, number)
        updates = jnp.int32(due - done)
        state, _ = train(key_round, state, hyperparams, updates, (), data=data)
        done = due
    return state


def _key_of_first_weights(seed: int, lineage: pd.DataFrame) -> jax.Array:
    # Weights that began afresh after a round were drawn with its number; the first ones
    # with 0.
    drawn = max(lineage["round"].iloc[0] - 1, 0)
    return member_key(
        jnp.uint32(seed),
        Stream.initialise,
        jnp.int32(drawn),
        jnp.int32(lineage["member"].iloc[0]),
    )


def test_accuracy(task: Task, state: TrainState, test: Images) -> float:
    """Accuracy on all test images (but a remainder of less than ten)."""
    data = jax.tree.map(jnp.asarray, evaluation_data(test))
    right, _ = jax.jit(task.evaluate)(jax.random.PRNGKey(0), state, {}, data=data)
    return float(right.mean())


def load_training(args: argparse.Namespace) -> Images:
    """The training images that are used.

    Raises:
      BadInput: they are too few, or the images cannot be used for training or test.
    """
    everything = images.load(args.problem, "train", args.data_dir)
    if args.images < LEAST_IMAGES:
        raise BadInput(
            f"images: {args.images} give no minibatch to every half epoch, "
            f"give at least {LEAST_IMAGES}"
        )
    number = min(args.images, len(everything.labels))
    rows = np.random.default_rng(0).permutation(len(everything.labels))[:number]
    if args.problem != "digits":
        # Read and dropped: whether it can be tested on.
        evaluation_data(images.load(args.problem, "test", args.data_dir))
    return Images(everything.images[rows], everything.labels[rows])


def run_arms(
    args: argparse.Namespace, training: Images, validation: Images
) -> dict[tuple[str, int], Run]:
    """The runs of all arms and seeds; finished ones are only read."""
    runs = {}
    prepare_jax(options_of(next(iter(ARMS)), args, training))
    task = population_task(args.problem, training, validation)
    for arm in ARMS:
        options = options_of(arm, args, training)
        results = bgpbt.run_seeds(options, task)
        for seed, result in zip(options.seed, results, strict=True):
            runs[arm, seed] = result
    return runs


def study(args: argparse.Namespace) -> tuple[pd.DataFrame, dict[str, Run]]:
    """Runs all arms on all seeds, then retrains and tests every winner.

    Returns:
      One row for every arm and seed, and the runs of the first seed by arm.
    """
    everything = load_training(args)
    training, validation = split(everything)
    runs = run_arms(args, training, validation)
    lineages = {key: schedule_of(run) for key, run in runs.items()}
    task = population_task(args.problem, everything, validation)
    epochs = 2 if args.quick else EPOCHS
    states = {
        (arm, seed): retrain(task, seed, lineage, epochs)
        for (arm, seed), lineage in lineages.items()
    }
    test = images.load(args.problem, "test", args.data_dir)
    rows = []
    for (arm, seed), state in states.items():
        leaves = jax.tree.leaves(state.params)
        row = {
            "seed": seed,
            "arm": arm,
            "validation": float(lineages[arm, seed]["fitness"].iloc[-1]),
            "failures": int(runs[arm, seed].records["fitness"].isna().sum()),
            "test": test_accuracy(task, state, test),
            "finite": all(bool(jnp.isfinite(x).all()) for x in leaves),
        }
        rows.append(row)
    first_seed = next(seed for _, seed in runs)
    return pd.DataFrame(rows), {arm: runs[arm, first_seed] for arm in ARMS}


@flags.answered
def main(argv: list[str]) -> int:
    """Runs what is missing, prints the figures.

    Exit code 2 where the images cannot be used, 3 where all members fail at once.
    """
    args = parser().parse_args(argv)
    rows, first = study(args)
    settings = {"seeds": args.seeds, "images": args.images}
    figures = summarise(rows, ARMS)
    result = Result("pbt_vs_random_mnist", settings, figures, args.quick, machine())
    finish(result, args, table=rows, draw=lambda path: draw(first, path))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
