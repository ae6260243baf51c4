"""What both arms of `ppo_parity.py` train with, and where each number is from.

Brax's published hyperparameters are those of its notebook `notebooks/training.ipynb`
(github.com/google/brax, version 0.12 and before): reward scaling, discounting, unroll
length, epochs (`num_updates_per_batch`), entropy cost, action repeat and learning rate.
What the notebook leaves open has the default of Brax's trainer: clipping epsilon and
GAE's lambda. For `hopper` the notebook has SAC alone; it gets what the notebook gives
both pendulums and the ant, which the code of BG-PBT falls back to as well. An unroll of
20 or 50 becomes `ROLLOUT_LENGTH`, the longest that bgpbt has. The notebook's sizes are
those of an accelerator (2048 environments, 32 minibatches): at most 12 updates in two
million steps. They are smaller here. The number of minibatches was chosen on Brax's
agents in `inverted_pendulum` (docs/experiments.md).
"""

from typing import NamedTuple

from bgpbt.config.options import Options
from bgpbt.tasks.ppo.spaces import ROLLOUT_LENGTH
from scripts.benchmarks import brax_ppo
from scripts.small_ant import TINY

ARMS = ("bgpbt", "brax")
REPORTED = ("halfcheetah", "hopper", "inverted_double_pendulum", "reacher")
DEVELOPMENT = "inverted_pendulum"
SEEDS = range(10)
QUICK_SEEDS = range(9000, 9002)
EPISODES = 128  # fresh ones, that an agent is judged on in the end
MINIBATCHES = 4
LEARNING_RATE = 3e-4  # published for all of them, and the default of bgpbt


class Published(NamedTuple):
    """Hyperparameters of Brax's notebook that depend on the environment."""

    reward_scaling: float
    discounting: float
    unroll_length: int
    num_update_epochs: int
    entropy_cost: float
    action_repeat: int = 1


PENDULUMS = Published(10.0, 0.97, 5, 4, 1e-2)
PUBLISHED = {
    "halfcheetah": Published(1.0, 0.95, 20, 8, 1e-3),
    "hopper": PENDULUMS,
    "inverted_double_pendulum": PENDULUMS,
    "reacher": Published(5.0, 0.95, 50, 8, 1e-3, action_repeat=4),
    DEVELOPMENT: PENDULUMS,
}
OPEN = {"clipping_epsilon": 0.3, "gae_lambda": 0.95}  # defaults of Brax's trainer
SIZES = {
    "num_envs": 128,
    "policy_layers": (64, 64),
    "value_layers": (64, 64),
    "t_ready": 99_840,  # steps between two evaluations: 52 updates, or 13 of reacher
    "max_timesteps": 1_996_800,  # 20 times
    "eval_episodes": 16,
    "report_episodes": 16,
}
QUICK_SIZES = TINY | {"t_ready": 960, "max_timesteps": 1920}


def hyperparameters(task: str, num_envs: int) -> dict[str, float]:
    """What both arms learn with beside the learning rate, in bgpbt's names.

    Args:
      task: one of `PUBLISHED`.
      num_envs: environments of an agent.
    """
    published = PUBLISHED[task]
    unroll = min(published.unroll_length, ROLLOUT_LENGTH)
    return OPEN | {
        "reward_scaling": published.reward_scaling,
        "discounting": published.discounting,
        "entropy_cost": published.entropy_cost,
        "num_update_epochs": published.num_update_epochs,
        "unroll_length": unroll,
        "batch_size": num_envs * ROLLOUT_LENGTH // (unroll * MINIBATCHES),
    }


def options_of(task: str, seeds: range, save_dir: str, quick: bool) -> Options:
    """The settings of a population whose members are agents of the same configuration.

    Args:
      task: one of `PUBLISHED`.
      seeds: their first one is the population's; there is a member for each.
      save_dir: where runs lie.
      quick: something tiny.
    """
    sizes = QUICK_SIZES if quick else SIZES
    same = {
        "env_name": task,
        "strategy": "random",
        "freeze": "default",
        "action_repeat": PUBLISHED[task].action_repeat,
        "seed": seeds.start,
        "save_dir": save_dir,
        "exp_name": f"ppo_parity_{task}",
        "render": False,
    }
    values = same | sizes | {"pop_size": len(seeds), "n_init": len(seeds)}
    fixed = hyperparameters(task, values["num_envs"])
    return Options(**values, fix=fixed)


def evaluations(options: Options) -> int:
    """How often an agent is evaluated in training, beside the untrained one."""
    return -(-options.max_timesteps // options.t_ready)


def brax_arguments(task: str, options: Options) -> dict:
    """The arguments of Brax's trainer that say the same as the options.

    Args:
      task: one of `PUBLISHED`.
      options: of the population.
    """
    ours = hyperparameters(task, options.num_envs)
    epochs = ours.pop("num_update_epochs")
    return brax_ppo.settings(
        options,
        num_updates_per_batch=epochs,
        num_minibatches=MINIBATCHES,
        learning_rate=LEARNING_RATE,
        num_timesteps=options.max_timesteps,
        num_evals=evaluations(options) + 1,
        **ours,
    )
