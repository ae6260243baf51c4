"""What a schedule is worth without the population that found it: a finished run's winner, its schedule and its end, four ways.

- `adaptive`: the run as it was, its reported member.
- `replayed`: that member's schedule, round by round along its lineage, from fresh weights.
- `constant`: its last hyperparameters from fresh weights, for as long.
- `continued`: the finished population, every member with its last hyperparameters and nobody copying, for as long again; the
  member with the highest fitness of any round, those of the run included, is reported.

Replayed and constant are populations of their own whose members never meet: as many repeats as the run has members, from seeds
that the run has not used. Nobody is selected among them, so the evaluation after as many rounds as the schedule has is their
report; that of the others is on fresh episodes or unseen data. Of images, repeats are judged on those that members are ranked by,
and say so. The run must have one generation, and architectures must stay the same along the lineage; where rounds become
shorter, it must begin with the run.
"""

import hashlib
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import EngFormatter

import bgpbt
import main as command_line
from bgpbt import space as spaces
from bgpbt.api import make_strategy
from bgpbt.options import BadInput, Options
from bgpbt.plots import MEMBER, WINNER
from bgpbt.store import folder
from bgpbt.strategies.operators import whole
from bgpbt.types import Source, Strategy, Task
from scripts.benchmarks import flags
from scripts.benchmarks.figures import Figure, Result, machine, show, write

WAYS = ("adaptive", "replayed", "constant", "continued")


def parser() -> flags.Parser:
    """The flags."""
    result = flags.Parser(__doc__)
    result.add_argument("run_folder", type=Path, metavar="RUN_FOLDER", help="of a finished run")
    result.add_argument(
        "--seed", type=flags.seed, metavar="N", help="of the repeats, not the run's; default: the run's plus 1,000"
    )
    result.add_argument("--save_dir", default="runs/schedule_replay", metavar="FOLDER", help="where runs go and go on")
    result.add_argument("--json", type=flags.output, metavar="FILE", help="also write the figures there")
    result.add_argument("--figure", type=flags.picture, metavar="FILE", help="draw fitness against timesteps there")
    return result


def unused(given: int | None, used: tuple[int, ...]) -> int:
    """The seed of the repeats: the given one, or the run's plus 1,000. Raises BadInput: the run has used it."""
    found = (used[0] + 1000) % 2**32 if given is None else given
    if found in used:
        raise BadInput(f"seed: the run itself has used {found}, give another, or leave --seed out")
    return found


def encoded(task: Task, lineage: pd.DataFrame) -> np.ndarray:
    """The configurations of a lineage's rounds, untrained one left out. Shape `[rounds, D]`."""
    rows = lineage[lineage["round"] > 0]
    values = {name: rows[name].to_numpy(dtype=np.float32) for name in task.space}
    return np.asarray(spaces.encode(task.space, values), np.float32)


def replay(schedule: np.ndarray, num_blocks: int) -> Strategy:
    """Every member has the configuration of the round, whatever happens; who fails starts afresh. `schedule`: `[rounds, D]`."""

    def step(key, state, outcome):
        number = len(outcome.fitness)
        config = np.tile(schedule[min(int(state) + 1, len(schedule) - 1)], (number, 1))
        failed = np.isnan(np.asarray(outcome.fitness))
        source = np.where(failed, Source.random, Source.previous)
        decision = whole(outcome, config, np.arange(number), num_blocks, source)
        fresh = np.repeat(failed[:, None], num_blocks, axis=1).astype(np.float32)
        return state + 1, decision._replace(shrink=1 - fresh, perturb=fresh)

    return Strategy(
        init=lambda key, outcome: np.array(0, np.int32),
        step=step,
        draw=lambda key, config: np.tile(schedule[0], (len(config), 1)),
    )


def held(strategy: Strategy, num_blocks: int) -> Strategy:
    """The strategy whose decisions are not carried out: everybody goes on as it is."""

    def step(key, state, outcome):
        own = np.arange(len(outcome.fitness))
        return state, whole(outcome, outcome.config, own, num_blocks, np.full(len(own), int(Source.previous)))

    return strategy._replace(step=step)


def digest(what: np.ndarray) -> str:
    """A few letters that tell schedules apart, and runs."""
    return hashlib.sha256(np.ascontiguousarray(what).tobytes()).hexdigest()[:8]


def repeats(result, options: Options, schedule: np.ndarray, way: str) -> pd.DataFrame:
    """Members that all follow a schedule. Returns their records."""
    changes = {"exp_name": f"{way}_{digest(schedule)}", "n_init": options.pop_size, "strategy": "random"}
    task, strategy = result.task._replace(first=None), replay(schedule, len(result.task.blocks))
    return bgpbt.run(options.model_copy(update=changes), task, strategy).records


def continued(result, options: Options):
    """The finished population trained as long again."""
    old, name = result.options, f"continued_{digest(result.records['fitness'].to_numpy())}"
    there = folder(options.model_copy(update={"exp_name": name}), old.seed[0])
    longer = old.model_copy(
        update={
            "save_dir": options.save_dir,
            "exp_name": name,
            "t_ready": old.t_ready_at(old.max_timesteps),
            "t_ready_end": None,
            "max_timesteps": int(result.records["timesteps"].max()) * 2,
        }
    )
    if not there.exists():
        copy = there.with_name(there.name + ".partial")
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(result.path, copy, ignore=shutil.ignore_patterns("report.json", "*.png", "*.gif", ".lock"))
        longer.save(copy / "options.yaml")
        copy.rename(there)
    strategy = held(make_strategy(old, result.task), len(result.task.blocks))
    return bgpbt.run(longer, result.task, strategy)


def study(result, seed: int, save_dir: str) -> dict[str, pd.DataFrame | object]:
    """The four ways: results of runs, or records of repeats.

    Raises:
      BadInput: the run is not finished, or its architectures changed.
    """
    if result.report is None:
        raise BadInput(f"{result.path} is not finished, give the folder of a run with a report")
    if result.records["generation"].max() > 0:
        raise BadInput(f"{result.path} has {result.records['generation'].max() + 1} generations, give a run with one")
    options = result.options.model_copy(update={"seed": (seed,), "save_dir": save_dir, "render": False})
    schedule = encoded(result.task, result.lineage)
    genes = ~spaces.group_mask(result.task.space, "hyperparameter")
    if (schedule[:, genes] != schedule[:1, genes]).any():
        raise BadInput(f"{result.path}: the winner's architecture changed along its lineage, give a run where it did not")
    if options.t_ready_end is not None and result.lineage["round"].iloc[0] > 0:
        raise BadInput(f"{result.path}: rounds become shorter and the winner began after the first, give a run without -te")
    return {
        "adaptive": result,
        "replayed": repeats(result, options, schedule, "replayed"),
        "constant": repeats(result, options, schedule[-1:], "constant"),
        "continued": continued(result, options),
    }


def summarise(found: dict) -> list[Figure]:
    """What each way comes to."""
    figures, result = [], found["adaptive"]
    at = int((result.lineage["round"] > 0).sum())  # fewer than the run's where the winner's weights began afresh
    where = ", on the data that members are ranked by" if result.task.unseen else ""
    for way in WAYS:
        if isinstance(found[way], pd.DataFrame):
            rows = found[way][found[way]["round"] == at]
            unbroken = rows["fitness"].notna() & (rows["age"] == rows["timesteps"])  # who failed before trained less
            last = rows.loc[unbroken, "fitness"]
            note = f"{len(last)} repeats, sd {last.std():.4g}{where}"
            note += f"; {len(rows) - len(last)} more failed" if len(last) < len(rows) else ""
            figures.append(Figure(way, float(last.mean()), "", note=note, repeats=tuple(last)))
        else:
            report = found[way].report
            figures.append(Figure(way, report["mean"], "", note=f"one run, sd over episodes {report['sd']:.4g}"))
    return figures


def draw(found: dict, path: Path) -> None:
    """Fitness against timesteps: the run and its continuation as their best member, repeats one by one with their mean."""
    figure = Drawing(figsize=(7.2, 4.0), layout="constrained")
    axes = figure.subplots()
    styles = {"adaptive": WINNER, "continued": "#c77dbb", "replayed": "#2a7f62", "constant": MEMBER}
    for way, color in styles.items():
        rows = found[way] if isinstance(found[way], pd.DataFrame) else found[way].records
        if way == "continued":
            rows = rows[rows["round"] >= found["adaptive"].records["round"].max()]
        rounds = rows.groupby("round")
        times = rounds["timesteps"].max()
        if isinstance(found[way], pd.DataFrame):
            for _, member in rows.groupby("member"):
                axes.plot(member["timesteps"], member["fitness"], color=color, lw=0.6, alpha=0.4)
            axes.plot(times, rounds["fitness"].mean(), color=color, lw=1.8, label=f"{way}, mean")
        else:
            axes.plot(times, rounds["fitness"].max(), color=color, lw=1.8, label=f"{way}, best member")
    axes.set(xlabel="timesteps of a member", ylabel=f"fitness (mean {found['adaptive'].task.measure})")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=120)


@flags.answered
def main(argv: list[str]) -> int:
    """Runs what is missing, prints the figures. Exit code 2 where the run cannot be used, 3 where all repeats fail at once."""
    args = parser().parse_args(argv)
    options = bgpbt.load_options({}, args.run_folder / "options.yaml")
    chosen = unused(args.seed, options.seed)
    command_line.prepare_jax(options)
    found = study(bgpbt.open_run(args.run_folder), chosen, args.save_dir)
    outcome = Result("schedule_replay", {"run": str(args.run_folder), "seed": chosen}, summarise(found), False, machine())
    show(outcome)
    if args.figure:
        draw(found, args.figure)
    if args.json:
        write(outcome, args.json)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
