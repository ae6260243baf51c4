"""What a schedule is worth without the population that found it.

A finished run's winner, its schedule and its end, four ways:

- `adaptive`: the run as it was, its reported member.
- `replayed`: that member's schedule, round by round along its lineage, from fresh
  weights.
- `constant`: its last hyperparameters from fresh weights, for as long.
- `continued`: the finished population, every member with its last hyperparameters and
  nobody copying, for as long again; the member with the best fitness of any round,
  those of the run included, is reported.

Replayed and constant are populations of their own whose members never meet: as many
repeats as the run has members, from seeds that the run has not used. Nobody is selected
among them, so the evaluation after as many rounds as the schedule has is their report;
that of the others is on fresh episodes or unseen data. Of images, repeats are judged on
those that members are ranked by, and say so. The run must have one generation, and
architectures must stay the same along the lineage; where rounds become shorter, it must
begin with the run.
"""

import hashlib
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd

import bgpbt
from bgpbt import space as spaces
from bgpbt.api import make_strategy
from bgpbt.cli.command import prepare_jax
from bgpbt.config.errors import BadInput
from bgpbt.config.options import Options
from bgpbt.files import write
from bgpbt.result import Result as Run
from bgpbt.storage.places import run_folder
from bgpbt.storage.run_folder import OPTIONS
from bgpbt.strategies.operators import inherit_all
from bgpbt.types import Source, Strategy, Task
from scripts.benchmarks import flags
from scripts.benchmarks.figures import Result
from scripts.benchmarks.report import finish, machine
from scripts.studies.replay_figures import draw, summarise

# What a continued run does not take over.
LEFT_BEHIND = ("report.json", "*.png", "*.gif", ".lock")


def parser() -> flags.Parser:
    """The flags."""
    result = flags.Parser(__doc__)
    result.add_argument(
        "run_folder", type=Path, metavar="RUN_FOLDER", help="of a finished run"
    )
    result.add_argument(
        "--seed",
        type=flags.seed,
        metavar="N",
        help="of the repeats, not the run's; default: the run's plus 1,000",
    )
    result.add_argument(
        "--save_dir",
        default="runs/schedule_replay",
        metavar="FOLDER",
        help="where runs go and go on",
    )
    result.add_json()
    result.add_figure("draw fitness against timesteps there")
    return result


def unused(seed: int | None, used: tuple[int, ...]) -> int:
    """The seed of the repeats.

    Args:
      seed: None: the run's plus 1,000.
      used: by the run.

    Raises:
      BadInput: the run has used it.
    """
    seed = (used[0] + 1000) % 2**32 if seed is None else seed
    if seed in used:
        raise BadInput(
            f"seed: the run itself has used {seed}, give another, or leave --seed out"
        )
    return seed


def encoded(task: Task, lineage: pd.DataFrame) -> np.ndarray:
    """The configurations of a lineage's rounds without the untrained one.

    Shape `[rounds, D]`.
    """
    rows = lineage[lineage["round"] > 0]
    values = {name: rows[name].to_numpy(dtype=np.float32) for name in task.space}
    return np.asarray(spaces.encode(task.space, values), np.float32)


def replay(schedule: np.ndarray, num_blocks: int) -> Strategy:
    """Every member has the configuration of the round, whatever happens.

    A failed member starts afresh.

    Args:
      schedule: configurations, the last of which stays. Shape `[rounds, D]`.
      num_blocks: B.
    """

    def step(key, state, outcome):
        number = len(outcome.fitness)
        row = min(int(state) + 1, len(schedule) - 1)
        config = np.tile(schedule[row], (number, 1))
        failed = np.isnan(np.asarray(outcome.fitness))
        source = np.where(failed, Source.random, Source.previous)
        own = np.arange(number)
        decision = inherit_all(outcome, config, own, num_blocks, source)
        fresh = np.repeat(failed[:, None], num_blocks, axis=1).astype(np.float32)
        return state + 1, decision._replace(shrink=1 - fresh, perturb=fresh)

    return Strategy(
        init=lambda key, outcome: np.array(0, np.int32),
        step=step,
        draw=lambda key, config: np.tile(schedule[0], (len(config), 1)),
    )


def held(strategy: Strategy, num_blocks: int) -> Strategy:
    """The strategy whose decisions are not carried out: members go on as they are."""

    def step(key, state, outcome):
        own = np.arange(len(outcome.fitness))
        source = np.full(len(own), int(Source.previous))
        return state, inherit_all(outcome, outcome.config, own, num_blocks, source)

    return strategy._replace(step=step)


def digest(values: np.ndarray) -> str:
    """A few letters that tell schedules apart, and runs."""
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()[:8]


def repeats(run: Run, options: Options, schedule: np.ndarray, way: str) -> pd.DataFrame:
    """Members that all follow a schedule. Returns their records."""
    changes = {
        "exp_name": f"{way}_{digest(schedule)}",
        "n_init": options.pop_size,
        "strategy": "random",
    }
    task = run.task._replace(initial_configs=None)
    strategy = replay(schedule, len(task.blocks))
    return bgpbt.run(options.model_copy(update=changes), task, strategy).records


def continued(run: Run, options: Options) -> Run:
    """The finished population trained as long again."""
    old = run.options
    name = f"continued_{digest(run.records['fitness'].to_numpy())}"
    named = options.model_copy(update={"exp_name": name})
    folder = run_folder(named, old.seed[0])
    changes = {
        "save_dir": options.save_dir,
        "exp_name": name,
        "t_ready": old.schedule(1).round_steps(old.max_timesteps),
        "t_ready_end": None,
        "max_timesteps": int(run.records["timesteps"].max()) * 2,
    }
    longer = old.model_copy(update=changes)
    if not folder.exists():
        copy = folder.with_name(folder.name + ".partial")
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(run.path, copy, ignore=shutil.ignore_patterns(*LEFT_BEHIND))
        write(copy / OPTIONS, longer.to_yaml())
        copy.rename(folder)
    strategy = held(make_strategy(old, run.task), len(run.task.blocks))
    return bgpbt.run(longer, run.task, strategy)


def study(run: Run, seed: int, save_dir: str) -> dict[str, pd.DataFrame | Run]:
    """The four ways: runs, or records of repeats.

    Args:
      run: a finished one.
      seed: of the repeats.
      save_dir: where runs go.

    Raises:
      BadInput: the run cannot be replayed.
    """
    if run.report is None:
        raise BadInput(
            f"{run.path} is not finished, give the folder of a run with a report"
        )
    if (generations := run.records["generation"].max() + 1) > 1:
        raise BadInput(f"{run.path} has {generations} generations, give a run with one")
    schedule = encoded(run.task, run.lineage)
    mask = ~spaces.group_mask(run.task.space, "hyperparameter")
    if (schedule[:, mask] != schedule[:1, mask]).any():
        raise BadInput(
            f"{run.path}: the winner's architecture changed along its lineage, "
            "give a run where it did not"
        )
    if run.options.t_ready_end is not None and run.lineage["round"].iloc[0] > 0:
        raise BadInput(
            f"{run.path}: rounds become shorter and the winner began after the first, "
            "give a run without -te"
        )
    changes = {"seed": (seed,), "save_dir": save_dir, "render": False}
    options = run.options.model_copy(update=changes)
    return {
        "adaptive": run,
        "replayed": repeats(run, options, schedule, "replayed"),
        "constant": repeats(run, options, schedule[-1:], "constant"),
        "continued": continued(run, options),
    }


@flags.answered
def main(argv: list[str]) -> int:
    """Runs what is missing, prints the figures.

    Exit code 2 where the run cannot be used, 3 where all repeats fail at once.
    """
    args = parser().parse_args(argv)
    options = bgpbt.load_options({}, args.run_folder / "options.yaml")
    seed = unused(args.seed, options.seed)
    prepare_jax(options)
    ways = study(bgpbt.open_run(args.run_folder), seed, args.save_dir)
    settings = {"run": str(args.run_folder), "seed": seed}
    result = Result("schedule_replay", settings, summarise(ways), False, machine())
    finish(result, args, draw=lambda path: draw(ways, path))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
