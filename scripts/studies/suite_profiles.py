"""What `suite.py` compares: tasks, arms, and their settings."""

from pathlib import Path
from typing import Any, NamedTuple

from bgpbt.config.loading import load_options
from bgpbt.config.options import Options


class Problem(NamedTuple):
    """A task of a profile."""

    settings: dict[str, Any]
    seeds: range
    block: int  # seeds of a cell


class Profile(NamedTuple):
    """A machine's size of the suite."""

    common: dict[str, Any]
    problems: dict[str, Problem]
    generations: dict[str, Any]  # of the arm that searches architectures


ROUNDS = 150
ARMS: dict[str, dict[str, Any]] = {
    "bgpbt": {"strategy": "bgpbt"},
    "both": {"strategy": "bgpbt", "search_mode": "both"},
    "pbt": {"strategy": "pbt"},
    "pb2": {"strategy": "pb2"},
    "ipbt": {"strategy": "ipbt"},
    "random": {"strategy": "random"},
    "frozen": {"strategy": "pbt", "freeze": "sampled"},
}
# In development, for the profile `dev`: `suite_variants.py` has them.
VARIANTS: dict[str, dict[str, Any]] = {
    name: {"strategy": f"scripts/studies/suite_variants.py:{name}"}
    for name in ("bgpbt_jitter", "pbt_jitter", "bgpbt_short", "bgpbt_memory")
}
SCREENED = 64  # constant configurations, drawn at random
SCREEN: dict[str, Any] = {
    "strategy": "random",
    "pop_size": SCREENED,
    "n_init": SCREENED,
    "report_every": None,
}
SCREEN_SEED = 9000


def _agents(env_name: str, round_: int, **changes: Any) -> dict[str, Any]:
    """The settings of agents in an environment, `round_` steps a round."""
    length = {"t_ready": round_, "max_timesteps": ROUNDS * round_}
    return {"task": "ppo", "env_name": env_name} | length | changes


_SMALL_NETWORKS = {"policy_layers": (32, 32), "value_layers": (32, 32)}
CPU = Profile(
    common={
        "pop_size": 8,
        "n_init": 8,
        "quantile_fraction": 0.25,
        "num_envs": 32,
        "eval_episodes": 4,
        "report_every": 5,
        "save_every": 10,
        "render": False,
        "arch_space": "small",
    }
    | _SMALL_NETWORKS,
    problems={
        "cartpole": Problem(_agents("gymnax:CartPole-v1", 4_800), range(24), 8),
        "acrobot": Problem(_agents("gymnax:Acrobot-v1", 4_800), range(24), 8),
        "breakout": Problem(_agents("gymnax:Breakout-MinAtar", 4_800), range(24), 8),
        "reacher": Problem(_agents("reacher", 4_800), range(8), 4),
        "hopper": Problem(_agents("hopper", 4_800), range(8), 4),
    },
    generations={
        "max_distillation": 2,
        "distill_every": 40 * 4_800,
        "t_distillation": 20 * 4_800,
    },
)
GPU = Profile(
    common={
        "pop_size": 8,
        "n_init": 8,
        "quantile_fraction": 0.125,
        "num_envs": 2048,
        "t_ready": 1_000_000,
        "max_timesteps": 150_000_000,
        "report_every": 5,
        "render": False,
    },
    problems={
        name: Problem({"task": "ppo", "env_name": name}, range(4), 1)
        for name in ("ant", "halfcheetah", "hopper", "humanoid", "walker2d")
    },
    generations={},
)
# Tasks and seeds on which nothing is judged.
DEV = CPU._replace(
    problems={
        "double_pendulum": Problem(
            _agents("inverted_double_pendulum", 4_800), range(9001, 9013), 4
        ),
        "pendulum": Problem(_agents("gymnax:Pendulum-v1", 4_800), range(9001, 9013), 6),
        "mountain_car": Problem(
            _agents("gymnax:MountainCarContinuous-v0", 4_800), range(9001, 9013), 6
        ),
    }
)
PROFILES = {"cpu": CPU, "gpu": GPU, "dev": DEV}
ROOT = Path(__file__).resolve().parents[2]
QUICK = {
    "env_name": "fast",
    "num_envs": 32,
    "pop_size": 4,
    "n_init": 4,
    "policy_layers": (8, 8),
    "value_layers": (8, 8),
    "episode_length": 50,
    "t_ready": 480,
    "max_timesteps": 1920,
    "eval_episodes": 2,
    "report_episodes": 4,
    "report_every": 1,
    "max_distillation": 0,
}


def values_of(
    profile: str, problem: str, arm: str | None, *, quick: bool = False
) -> dict[str, Any]:
    """The settings that results depend on.

    Args:
      profile: one of `PROFILES`.
      problem: one of its problems.
      arm: of `ARMS` or `VARIANTS`; None: the screen of constant configurations.
      quick: something tiny.
    """
    chosen = PROFILES[profile]
    values = chosen.common | chosen.problems[problem].settings
    values |= SCREEN if arm is None else (ARMS | VARIANTS)[arm]
    if arm == "both":
        values |= chosen.generations
    values |= QUICK if quick else {}
    return _in_halves(values) if arm == "ipbt" else values


def _in_halves(values: dict[str, Any]) -> dict[str, Any]:
    """Twice the slots, of which half train at a time: the same steps in all."""
    twice = {name: 2 * values[name] for name in ("pop_size", "n_init")}
    return values | twice | {"max_timesteps": values["max_timesteps"] // 2}


def options_of(
    values: dict[str, Any], seeds: tuple[int, ...], save_dir: str, name: str
) -> Options:
    """The settings of runs, one for each seed, in a folder of that name."""
    place = {"seed": seeds, "save_dir": save_dir, "exp_name": name}
    if ":" in values["strategy"]:  # a file of ours, whatever the folder of the call
        place["strategy"] = str(ROOT / values["strategy"])
    return load_options(values | place)
