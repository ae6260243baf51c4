"""What fetch, ur5e and grasp learn in ten minutes to half an hour of one core.

A run of `configs/NAME_small.yaml` for every seed. Three policies play 32 episodes that
selection has not seen: one that does nothing, one of random actions, and the one that
the run selected. Exit code 1 where that one's mean return is not the highest with every
seed. The settings were chosen with seed 9000; others are reported.

Every run leaves a small file in --results and is not made again. An interrupted one
goes on after its last round, with the same --save_dir.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import jax
import numpy as np
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bgpbt.cli.command import prepare_jax
from bgpbt.config.errors import BadInput
from bgpbt.config.loading import load_options
from bgpbt.config.options import Options
from bgpbt.files import write_json
from bgpbt.tasks.ppo.agents import make_env
from bgpbt.tasks.ppo.episodes import play
from scripts.benchmarks import flags
from scripts.benchmarks.figures import Figure, Result, Target
from scripts.benchmarks.report import finish, machine, say
from scripts.small_ant import ROOT
from scripts.studies.policies import at_random, nothing, side_by_side

ROBOTS = ("fetch", "ur5e", "grasp")
BASELINES = ("doing nothing", "random actions")
EPISODES = 32
QUICK = {"num_envs": 32, "t_ready": 1920, "max_timesteps": 1920, "episode_length": 40}


def parser() -> flags.Parser:
    """The flags."""
    result = flags.Parser(__doc__)
    result.add_names("--robots", ROBOTS)
    result.add_seeds("0,1,2", "default 0,1,2")
    result.add_folders("robots", "run")
    result.add_json()
    result.add_quick("small, one seed of each", seeds=(9000,))
    return result


def options_of(robot: str, seed: int, save_dir: str, quick: bool) -> Options:
    """The settings of a run.

    Args:
      robot: one of `ROBOTS`.
      seed: its only one.
      save_dir: where runs lie.
      quick: something tiny.
    """
    values = {"seed": seed, "save_dir": save_dir} | (QUICK if quick else {})
    return load_options(values, _config(robot))


def settings_of(robot: str, seed: int, quick: bool) -> dict:
    """What a result depends on beside the program; others are not taken for it."""
    settings = yaml.safe_load(_config(robot).read_text())
    return settings | (QUICK if quick else {}) | {"seed": seed, "episodes": EPISODES}


def _config(robot: str) -> Path:
    return ROOT / "configs" / f"{robot}_small.yaml"


def learn(options: Options) -> dict:
    """Trains one run, and plays its policy and the baselines.

    Args:
      options: of the run, one seed.

    Returns:
      By policy, mean and standard deviation of the return, and the mean number of
      targets reached in an episode; the seconds of training and evaluation.
    """
    import bgpbt

    result = bgpbt.run(options)
    env = make_env(options.model_copy(update={"objective": "hits"}))
    (seed,) = options.seed
    key, key_actions = jax.random.split(jax.random.PRNGKey(10_000 + seed))
    policies = {
        "doing nothing": nothing(env.action_size),
        "random actions": at_random(key_actions, env.action_size),
        "trained": result.policy(),
    }
    together = side_by_side(list(policies.values()), EPISODES)
    gained = jax.jit(lambda key: play(key, env, together, 3 * EPISODES).gained)(key)
    returns = np.asarray(gained["return"], np.float64).reshape(3, EPISODES)
    targets = np.asarray(gained["objective"]).reshape(3, EPISODES)
    scores = {
        name: {
            "mean": float(own.mean()),
            "sd": float(own.std(ddof=1)),
            "targets": float(reached.mean()),
        }
        for name, own, reached in zip(policies, returns, targets, strict=True)
    }
    seconds = float(result.records.groupby("round")["seconds"].first().sum())
    return scores | {"seconds": round(seconds, 1)}


def result_of(robot: str, seed: int, args: argparse.Namespace) -> dict:
    """A run's result, from its file or made now."""
    folder, save_dir = (
        Path(path) / "quick" if args.quick else Path(path)
        for path in (args.results, args.save_dir)
    )
    file = folder / f"{robot}_{seed}.json"
    settings = settings_of(robot, seed, args.quick)
    if file.exists():
        return _read(file, settings)
    say(f"{robot}, seed {seed}")
    jax.clear_caches()  # Linux gives a process so many memory maps and no more
    began = time.monotonic()
    options = options_of(robot, seed, str(save_dir), args.quick)
    result = learn(options) | {"settings": settings, "machine": machine()}
    folder.mkdir(parents=True, exist_ok=True)
    write_json(file, result)
    say(f"{time.monotonic() - began:.0f} s")
    return result


def _read(file: Path, settings: dict) -> dict:
    try:
        result = json.loads(file.read_text())
        for name in (*BASELINES, "trained"):
            for number in ("mean", "targets"):
                float(result[name][number])
        made_with = result["settings"]
    except (OSError, ValueError, TypeError, KeyError):
        problem = f"{file} holds no such result, give another --results"
        raise BadInput(problem) from None
    if made_with != settings:
        raise BadInput(f"{file} was made with other settings, give another --results")
    return result


def judge(robot: str, results: dict[int, dict]) -> list[Figure]:
    """The figures of a robot.

    Args:
      robot: its name.
      results: by seed.
    """
    figures = []
    for name in (*BASELINES, "trained"):
        scores = [result[name] for result in results.values()]
        means = [score["mean"] for score in scores]
        targets = statistics.mean(score["targets"] for score in scores)
        figures += [
            Figure(
                f"{robot}: {name}",
                statistics.mean(means),
                "",
                note="return, mean of the seeds",
                repeats=tuple(means),
            ),
            Figure(f"{robot}: {name}, targets", targets, "an episode"),
        ]
    above = sum(
        all(result["trained"]["mean"] > result[name]["mean"] for name in BASELINES)
        for result in results.values()
    )
    name = f"{robot}: seeds where trained is highest"
    return [*figures, Figure(name, above, "", Target(">=", len(results)))]


@flags.answered
def main(argv: list[str]) -> int:
    """Runs what is missing, prints, judges."""
    args = parser().parse_args(argv)
    first = options_of(args.robots[0], args.seeds[0], args.save_dir, args.quick)
    prepare_jax(first)
    figures = []
    for robot in args.robots:
        results = {seed: result_of(robot, seed, args) for seed in args.seeds}
        figures += judge(robot, results)
    settings = {"robots": args.robots, "seeds": list(args.seeds)}
    result = Result("learning_robots", settings, figures, args.quick, machine())
    finish(result, args)
    return int(bool(result.missed) and not args.quick)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
