"""What can be searched when agents learn by PPO: hyperparameters and architectures."""

from typing import Any

from bgpbt.config.settings import ROLLOUT_LENGTH
from bgpbt.networks.mlp import ACTIVATIONS, SILU
from bgpbt.space import Categorical, Float, Integer, SearchSpace
from bgpbt.tasks.ppo.actor_critic import BLOCKS


def hyperparameter_space(num_envs: int, discounting_scale: str = "log") -> SearchSpace:
    """The nine hyperparameters of BG-PBT (Wan et al., 2022).

    `batch_size` keeps its ratio to the number of environments, 1/32 to 1/2.

    Args:
      num_envs: environments of a member.
      discounting_scale: "log" or "log_complement".
    """
    near_one: dict[str, Any] = {discounting_scale: True, "complement": True}
    return {
        "learning_rate": Float(1e-4, 1e-3, 3e-4, log=True, least=0),
        "entropy_cost": Float(1e-6, 1e-1, 1e-2, log=True, least=0),
        "discounting": Float(0.9, 0.9999, 0.97, **near_one, least=0, most=1),
        "gae_lambda": Float(0.9, 1.0, 0.95, complement=True, least=0, most=1),
        "clipping_epsilon": Float(0.1, 0.4, 0.2, least=0),
        "reward_scaling": Float(0.05, 20.0, 10.0, log=True, least=0),
        "batch_size": Integer(
            num_envs // 32,
            num_envs // 2,
            num_envs // 2,
            doubling=True,
            least=1,
            most=num_envs,
        ),
        "num_update_epochs": Integer(2, 16, 4, log=True, least=1),
        "unroll_length": Integer(5, ROLLOUT_LENGTH, 5, least=1, most=ROLLOUT_LENGTH),
    }


def architecture_space(depth: int = 5, width: int = 256) -> SearchSpace:
    """The six architecture dimensions of BG-PBT (Wan et al., 2022).

    Each belongs to the block of weights that it describes.

    Args:
      depth: most hidden layers.
      width: most units of each, 32 times a power of 2.
    """
    space: SearchSpace = {}
    for block in BLOCKS:
        sizes: dict[str, Any] = {"group": block, "least": 1}
        space[f"{block}_depth"] = Integer(1, depth, 2, **sizes, most=depth)
        space[f"{block}_width"] = Integer(
            32, width, 32, doubling=True, **sizes, most=width
        )
        space[f"{block}_spectral_norm"] = Integer(0, 1, 1, group=block, least=0, most=1)
    return space


def offered_space(num_envs: int, discounting_scale: str = "log") -> SearchSpace:
    """What is searched or fixed only where a user says so.

    Args:
      num_envs: environments of a member.
      discounting_scale: "log" or "log_complement".
    """
    return hyperparameter_space(num_envs, discounting_scale) | {
        "activation": Categorical(tuple(ACTIVATIONS), SILU),
    }
