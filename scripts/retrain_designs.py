"""Trains the best designs of a run in full, beside a shortened VGG19.

`python scripts/retrain_designs.py RUN_FOLDER` reads the best designs from the run's
database of experiments, and the data set and size of its images from its settings. Each
network trains for many epochs with the training images, and is judged on images that no
reward has seen, after every epoch. What is reported is the last one.
"""

import argparse
import statistics
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import optax

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bgpbt.cli.command import prepare_jax
from bgpbt.config.errors import BadInput
from bgpbt.networks.designed import DesignedNetwork, SmallVGG
from bgpbt.networks.structure import Rows
from bgpbt.storage.run_folder import EXPERIMENTS, OPTIONS, RunFolder
from bgpbt.tasks.nas import database
from bgpbt.tasks.nas.children import Labelled
from bgpbt.tasks.nas.data import split
from bgpbt.tasks.nas.designing import problem_of
from bgpbt.tasks.nas.exact import accuracies
from scripts.benchmarks import flags
from scripts.benchmarks.figures import Figure, Result
from scripts.benchmarks.report import finish, machine, say

BATCH_SIZE = 128
LEARNING_RATE = 1e-3  # times 0.9 for every `DECAY_STEPS` gradient steps
DECAY_STEPS = 100


def parser() -> flags.Parser:
    """The flags."""
    result = flags.Parser(__doc__)
    result.add_argument("folder", type=Path, metavar="RUN_FOLDER", help="of a seed")
    result.add_argument(
        "--designs", type=flags.count, default=2, help="how many, default 2"
    )
    result.add_argument(
        "--data_dir", metavar="FOLDER", help="of the images; default: the run's"
    )
    result.add_seeds("0,1,2", "of weights and minibatches, default 0,1,2")
    result.add_argument("--epochs", type=flags.count, default=100, help="default 100")
    result.add_argument(
        "--divide",
        type=flags.count,
        default=1,
        help="filters and units are so many times fewer than in the paper",
    )
    result.add_json()
    return result


def networks(
    args: argparse.Namespace, designs: list[Rows], classes: int, norm: str
) -> dict:
    """The networks by name: the designs, normalised as in the run, and the VGG."""
    units = max(1, 4096 // args.divide)
    filters = tuple(max(1, 2**i // args.divide) for i in range(5, 15))
    named = {
        f"design {i + 1}": DesignedNetwork(rows, filters, units, classes, norm=norm)
        for i, rows in enumerate(designs)
    }
    blocks = tuple(max(1, x // args.divide) for x in (64, 128))
    return named | {"shortened VGG19": SmallVGG(classes, blocks, units)}


@flags.answered
def main(argv: list[str]) -> int:
    """Trains, judges, prints."""
    args = parser().parse_args(argv)
    folder = RunFolder(args.folder)
    if not (folder.path / OPTIONS).exists() and not folder.rounds():
        raise BadInput(f"{args.folder} holds no run, give one such as runs/.../seed_0")
    options = folder.options()
    if options.task != "nas":
        raise BadInput(f"{args.folder} is a run of -t {options.task}, give one of nas")
    prepare_jax(options)
    name, profile = problem_of(options)
    if not profile.third_split:
        raise BadInput(f"{args.folder} has --quirks reference: rewards saw all images")
    database_path = Path(options.database or args.folder / EXPERIMENTS).expanduser()
    found = database.best(database_path, name, profile.form, args.designs)
    if not found:
        raise BadInput(f"{database_path} holds no designs, give a run of -t nas")
    designs = [rows for rows, _ in found]
    data = profile.load(name, args.data_dir or options.data_dir)
    parts = split(len(data.labels), third=True)
    training, test = (
        Labelled(jnp.asarray(data.images[part]), jnp.asarray(data.labels[part]))
        for part in (parts.training, parts.test)
    )
    schedule = optax.exponential_decay(LEARNING_RATE, DECAY_STEPS, 0.9)
    figures = []
    trained = networks(args, designs, data.classes, options.norm)
    for label, network in trained.items():
        last = []
        for seed in args.seeds:
            key = jax.random.PRNGKey(seed)
            sizes = args.epochs, BATCH_SIZE
            curve = accuracies(network, training, test, key, *sizes, schedule)
            say(f"{label}, seed {seed}: {100 * curve[-1]:.2f} %")
            last.append(100 * curve[-1])
        note = f"on {len(test.labels)} images that no reward has seen"
        mean = statistics.mean(last)
        figures.append(Figure(label, mean, "%", note=note, repeats=tuple(last)))
    settings = {"folder": str(args.folder), "epochs": args.epochs}
    settings |= {"divide": args.divide, "seeds": list(args.seeds)}
    finish(Result("retrain_designs", settings, figures, False, machine()), args)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
