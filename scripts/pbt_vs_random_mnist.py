"""PBT against random search on MNIST: do schedules found by copying train a better network from scratch?

A population of 15 of PyTorch's old MNIST example networks; learning rate (1e-5 to 1, by its logarithm) and momentum (0.1 to
0.9999) of SGD are searched, batches of 64, 10 epochs, a decision every half an epoch. Three arms begin with the same networks and
hyperparameters and see the same batches in the same order: `random` changes nothing; `best`: all copy the best member;
`truncation`: each of the worst fifth copies one of the best fifth. Whoever copies takes weights, momentum buffers and
hyperparameters, and multiplies each of these by 0.8 or 1.2. Of the member with the best validation accuracy at the end, the
schedule along its lineage is what counts: from the first weights of that lineage a network is trained with it, stretched over the
whole training set, and tested once. No training and no choice sees the test images.

Reported: seeds 0 to 9 with 6,000 of the 60,000 training images, and seed 0 with all (`--images 60000 --seeds 0`), committed
before the first reported run; development uses seeds from 1000 on and digits. A fifth of the images is for validation. A member
that fails (its loss or weights are not finite) copies another one, in `random` it is drawn anew; how many did is reported, and
whether a retrained network is finite.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Drawing
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D

import bgpbt
import main as command_line
from bgpbt import records
from bgpbt.options import BadInput, Options, load_options
from bgpbt.plots import MEMBER, WINNER
from bgpbt.population import Purpose, member_key
from bgpbt.tasks import images
from bgpbt.tasks.classification import BATCH, classifier, shown, split
from bgpbt.tasks.images import Images
from bgpbt.types import Task
from scripts.benchmarks import flags
from scripts.benchmarks.figures import Figure, Result, machine, show, write
from scripts.compare_small import interval, mean

MEMBERS, EPOCHS, INTERVALS = 15, 10, 20
DOTS, STARS = (2, 30), (20, 110)  # areas in the figure: at the beginning of training, at its end
ARMS = {
    "random": {"strategy": "random"},
    "best": {"strategy": "pbt", "exploit": "best"},
    "truncation": {"strategy": "pbt", "exploit": "truncation"},
}


def parser() -> flags.Parser:
    """The flags."""
    result = flags.Parser(__doc__)
    result.add_argument("--problem", default="mnist", choices=images.NAMES, help="default mnist")
    result.add_argument("--data_dir", metavar="FOLDER", help="of the images")
    result.add_argument("--images", type=int, default=6_000, metavar="N", help="training images; default 6000")
    result.add_argument("--seeds", type=flags.seeds, default="0,1,2,3,4,5,6,7,8,9", metavar="0,1,2", help="default 0 to 9")
    result.add_argument("--save_dir", default="runs/pbt_vs_random_mnist", metavar="FOLDER", help="where runs go and go on")
    result.add_argument("--json", type=flags.output, metavar="FILE", help="also write the figures there")
    result.add_argument("--csv", type=flags.output, metavar="FILE", help="write the accuracies of every seed there")
    result.add_argument(
        "--figure", type=flags.picture, metavar="FILE", help="draw members' accuracies and hyperparameters of the first seed"
    )
    result.add_quick("small, on all digits", problem="digits", images=1_437, seeds=(1000, 1001))
    return result


def options_of(arm: str, args: argparse.Namespace, training: Images) -> Options:
    """The settings of an arm, which divides its training into `INTERVALS` rounds."""
    epochs, intervals = (2, 4) if args.quick else (EPOCHS, INTERVALS)
    batches = epochs * (len(training.labels) // BATCH) // intervals
    values = {
        "task": "classification",
        "problem": args.problem,
        "data_dir": args.data_dir,
        "seed": args.seeds,
        "exp_name": f"{arm}_{args.images}",
        "save_dir": args.save_dir,
        "pop_size": 5 if args.quick else MEMBERS,
        "quantile_fraction": 0.2,
        "t_ready": batches,
        "max_timesteps": intervals * batches,
    }
    return load_options(values | ARMS[arm])


def population_task(name: str, training: Images, judged: Images) -> Task:
    """What the populations learn. Its report is not used, and sees the validation images: the test images come at the end."""
    return classifier(name, training, judged, unseen=None)._replace(unseen=None)


def schedule_of(result) -> pd.DataFrame:
    """The winner's lineage, oldest first: the ancestor of every round, the untrained one included."""
    last = int(result.records["round"].max())
    return records.lineage(result.records, last, records.best_member(result.records, last))


def retrain(task: Task, seed: int, lineage: pd.DataFrame, epochs: int):
    """A network from the first weights of a lineage, trained for `epochs` of the task's images with its schedule.

    The schedule is stretched: of k rounds, the n-th ends after n / k of the training.
    """
    # Weights that began afresh after a round were drawn with its number; the first ones with 0.
    root, drawn, rounds = lineage["member"].iloc[0], max(lineage["round"].iloc[0] - 1, 0), lineage[lineage["round"] > 0]
    data, batches = jax.tree.map(jnp.asarray, task.data), epochs * (len(task.data["labels"]) // BATCH)
    key = member_key(jnp.uint32(seed), Purpose.initialise, jnp.int32(drawn), jnp.int32(root))
    state, train, done = task.init(key, {}), jax.jit(task.train), 0
    for number, (_, row) in enumerate(rounds.iterrows(), start=1):
        due = round(number / len(rounds) * batches)
        h = {name: jnp.asarray(float(row[name])) for name in task.space}
        state, _ = train(jax.random.fold_in(key, number), state, h, jnp.int32(due - done), (), data=data)
        done = due
    return state


def test_accuracy(task: Task, state, tested: Images) -> float:
    """Of one network, on all test images (but a remainder of less than ten)."""
    right, _ = jax.jit(task.evaluate)(jax.random.PRNGKey(0), state, {}, data=jax.tree.map(jnp.asarray, shown(tested)))
    return float(right.mean())


def study(args: argparse.Namespace) -> tuple[pd.DataFrame, dict[str, object]]:
    """Runs all arms on all seeds, then retrains and tests every winner.

    Returns:
      One row for every arm and seed, and the runs of the first seed by arm.
    """
    whole = images.load(args.problem, "train", args.data_dir)
    least = 2 * BATCH * 5 // 4  # a minibatch to every half epoch
    if args.images < least:
        raise BadInput(f"images: {args.images} give no minibatch to every half epoch, give at least {least}")
    number = min(args.images, len(whole.labels))
    rows = np.random.default_rng(0).permutation(len(whole.labels))[:number]
    whole = Images(whole.images[rows], whole.labels[rows])
    training, judged = split(whole)
    if args.problem != "digits":
        shown(images.load(args.problem, "test", args.data_dir))  # read and dropped: whether it can be tested on
    epochs, found, first = 2 if args.quick else EPOCHS, [], {}
    for place, arm in enumerate(ARMS):
        options = options_of(arm, args, training)
        if place == 0:
            command_line.prepare_jax(options)
            task = population_task(args.problem, training, judged)
        for seed, result in zip(options.seed, bgpbt.run_seeds(options, task), strict=True):
            lineage = schedule_of(result)
            first.setdefault(arm, result)
            row = {"seed": seed, "arm": arm, "validation": float(lineage["fitness"].iloc[-1]), "lineage": lineage}
            found.append(row | {"failures": int(result.records["fitness"].isna().sum())})
    again = population_task(args.problem, whole, judged)
    states = [retrain(again, row["seed"], row["lineage"], epochs) for row in found]
    tested = images.load(args.problem, "test", args.data_dir)
    for row, state in zip(found, states, strict=True):
        row["test"] = test_accuracy(again, state, tested)
        row["finite"] = all(bool(jnp.isfinite(x).all()) for x in jax.tree.leaves(state.params))
    return pd.DataFrame(found).drop(columns="lineage"), first


def summarise(rows: pd.DataFrame) -> list[Figure]:
    """Every arm's accuracies, and what PBT's winners are better than random search's, seed by seed."""
    wide, figures = rows.pivot(index="seed", columns="arm", values="test"), []
    for arm in ARMS:
        own = rows[rows["arm"] == arm]
        spread = f"variance {own['test'].var(ddof=1):.2e}" if len(own) > 1 else ""
        figures += [
            Figure(f"{arm}: test accuracy, retrained", float(own["test"].mean()), "", note=spread, repeats=tuple(own["test"])),
            Figure(f"{arm}: validation accuracy, winner", float(own["validation"].mean()), ""),
        ]
    for arm in [a for a in ARMS if a != "random"]:
        difference = (wide[arm] - wide["random"]).to_numpy()
        low, high = interval(difference, mean)
        note = f"{low:+.4f} to {high:+.4f}, variance {difference.var(ddof=1):.2e}" if len(difference) > 1 else "one seed"
        figures.append(Figure(f"{arm} less random, test", float(difference.mean()), "", note=note, repeats=tuple(difference)))
    failed = rows.groupby("arm")["failures"].sum()
    note = ", ".join(f"{arm} {failed[arm]}" for arm in ARMS)
    figures.append(Figure("rounds of members that failed", float(failed.sum()), "", note=note))
    figures.append(Figure("retrained networks that are not finite", float((~rows["finite"]).sum()), ""))
    return figures


def draw(first: dict[str, object], path: Path) -> None:
    """Accuracies over the epochs, and hyperparameters with dots that grow over time; the winner's lineage in purple."""
    figure = Drawing(figsize=(4 * len(first), 6.4), layout="constrained")
    above, below = figure.subplots(2, len(first), sharex="row", sharey="row")
    for top, bottom, (arm, result) in zip(above, below, first.items(), strict=True):
        rows, lineage = result.records, schedule_of(result)
        rounds = rows["round"].max()
        for _, member in rows.groupby("member"):
            top.plot(member["round"] / rounds, member["fitness"], color=MEMBER, lw=0.8, alpha=0.7)
        top.plot(lineage["round"] / rounds, lineage["fitness"], color=WINNER, lw=1.8)
        size, star = (np.interp(x["round"], (0, rounds), areas) for x, areas in ((rows, DOTS), (lineage, STARS)))
        bottom.scatter(rows["learning_rate"], rows["momentum"], s=size, color=MEMBER, alpha=0.35, lw=0)
        bottom.scatter(lineage["learning_rate"], lineage["momentum"], s=star, color=WINNER, marker="*", lw=0)
        bottom.plot(lineage["learning_rate"], lineage["momentum"], color=WINNER, lw=0.8)
        top.set(title=arm, xlabel="share of training")
        bottom.set(xscale="log", xlabel="learning rate")
    above[0].set(ylabel="validation accuracy")
    below[0].set(ylabel="momentum")
    for axes in (*above, *below):
        axes.spines[["top", "right"]].set_visible(False)
    handles, growing = legend(), HandlerTuple(ndivide=None, pad=0)
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=2, frameon=False, handler_map={tuple: growing})
    figure.savefig(path, dpi=120)


def legend() -> dict[str, Line2D | tuple[Line2D, ...]]:
    """What is drawn for whom: of marks that grow, the first and the last."""
    dots, stars = (
        tuple(Line2D([], [], color=color, marker=marker, lw=0, mew=0, ms=area**0.5) for area in areas)
        for color, marker, areas in ((MEMBER, "o", DOTS), (WINNER, "*", STARS))
    )
    return {
        "a member": Line2D([], [], color=MEMBER, lw=0.8),
        "a member's hyperparameters, larger with every round": dots,
        "the winner's lineage": Line2D([], [], color=WINNER, lw=1.8),
        "the lineage's hyperparameters, larger with every round": stars,
    }


@flags.answered
def main(argv: list[str]) -> int:
    """Runs what is missing, prints the figures. Exit code 2 where the images cannot be used, 3 where all members fail at once."""
    args = parser().parse_args(argv)
    rows, first = study(args)
    result = Result("pbt_vs_random_mnist", {"seeds": args.seeds, "images": args.images}, summarise(rows), args.quick, machine())
    show(result)
    if args.csv:
        rows.to_csv(args.csv, index=False)
    if args.figure:
        draw(first, args.figure)
    if args.json:
        write(result, args.json)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
